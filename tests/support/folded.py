"""Whether projectors have folded everything: asked of Kafka and Redis themselves, not with a command a time."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from ingest.vocabulary.errors import Unavailable
from serving.configuration import load_configuration
from serving.distributed import Addresses, distributed_shop

POLL_S = 0.05


def addresses_of(folder: Path, redis_password: str | None = None) -> Addresses:
    """Where the Kafka and the Redis of a data folder are."""
    distributed = load_configuration(folder / "dangol.toml", required=True).distributed
    assert distributed is not None
    secret = "" if redis_password is None else f":{redis_password}@"
    return Addresses(distributed.kafka_settings, distributed.redis.replace("redis://", f"redis://{secret}"))


def wait_until_folded(there: Addresses, within_s: float) -> None:
    """Wait until positions in Redis are the ends of the log; while one of them is away, they are not.

    Raises:
        AssertionError: it did not come to that in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(Unavailable), distributed_shop(there) as shop:
            while True:
                if sum(shop.log.ends()) == sum(shop.positions()):
                    return
                assert time.monotonic() < deadline, f"waited {within_s} s for everything to be folded"
                time.sleep(POLL_S)
        assert time.monotonic() < deadline, f"waited {within_s} s for Kafka and Redis"
        time.sleep(POLL_S)
