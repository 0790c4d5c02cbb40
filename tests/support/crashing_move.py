"""A move that is to die: `python -m tests.support.crashing_move STRIKE_AT before|after WORD…`, the words of a command.

The process kills itself at the n-th step that writes to the new place.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ingest.compacted import CompactedTopic
from ingest.ledgers.redis import RedisImportLedger
from ingest.logs.kafka import KafkaEventLog
from ingest.states.claims import RedisClaims
from recommender.snapshot import SnapshotStore
from serving.access import AccessKeys
from serving.cli import main

STEPS: tuple[tuple[type, str], ...] = (
    (CompactedTopic, "append"),
    (KafkaEventLog, "append"),
    (RedisClaims, "settle"),
    (RedisImportLedger, "finish"),
    (SnapshotStore, "write"),
    (SnapshotStore, "_replace"),
    (AccessKeys, "adopt"),
)


def strike_at(number: int, *, after: bool) -> None:
    """Let the n-th of all steps, or what follows it, be the end of this process."""
    done = 0

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            struck = done == number
            if struck and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = step(*arguments, **options)
            if struck:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return run

    for kind, name in STEPS:
        setattr(kind, name, counted(getattr(kind, name)))


if __name__ == "__main__":
    strike_at(int(sys.argv[1]), after=sys.argv[2] == "after")
    main(sys.argv[3:])
