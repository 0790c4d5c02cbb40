"""Whether projectors have folded everything: asked from within this process, as a command takes a second each time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from unittest import mock

from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.ids import PARTITIONS
from serving.configuration import load_configuration
from serving.distributed import Addresses
from serving.engine import Engine
from serving.wiring import open_engine
from tests.support.service import wait_for


def addresses_of(folder: Path, redis_password: str | None = None) -> Addresses:
    """Where the Kafka and the Redis of a data folder are."""
    distributed = load_configuration(folder / "dangol.toml", required=True).distributed
    assert distributed is not None
    secret = "" if redis_password is None else f":{redis_password}@"
    return Addresses(distributed.kafka_settings, distributed.redis.replace("redis://", f"redis://{secret}"))


@contextlib.contextmanager
def opened(folder: Path, variables: Mapping[str, str]) -> Iterator[Engine]:
    """A shop, opened in this process with environment variables of its own."""
    with mock.patch.dict(os.environ, variables), open_engine(folder, None) as engine:
        yield engine


def is_folded(engine: Engine, *, except_for: Collection[int] = ()) -> bool:
    """Whether everything in the log is folded, perhaps but for some partitions; False where that cannot be told now."""
    try:
        ends, positions = engine.log.ends(), engine.store.positions()
    except Unavailable:
        return False
    return all(ends[each] == positions[each] for each in range(PARTITIONS) if each not in except_for)


def wait_until_folded(folder: Path, variables: Mapping[str, str], within_s: float) -> None:
    """Wait until positions are the ends of the log; while Kafka or Redis is away, they are not.

    Raises:
        AssertionError: it did not come to that in time.
    """
    with opened(folder, variables) as engine:
        wait_for(lambda: is_folded(engine), "everything to be folded", within_s=within_s)
