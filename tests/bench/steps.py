"""Steps that are measured in a process of their own, so that processor time and peak memory are theirs alone.

`python -m tests.bench.steps <name> <argument>…` does one and prints an `Outcome`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import redis

from ingest.dialects.category_rules import load_category_rules
from ingest.dialects.reading import ImportOptions
from ingest.folding.fold import fold, read_batches
from ingest.folding.group import POLL_S
from ingest.importer import import_file
from ingest.logs.sqlite import SqliteEventLog
from ingest.states.redis import RedisStateStore
from ingest.vocabulary.ids import PARTITIONS
from personalization.customer.projection import ProfileProjection
from serving.demo import CATEGORIES_FILE, COLUMNS, CONSTANTS, EXAMPLE_FOLDER, ORDERS_FILE
from serving.wiring import DETERMINISTIC_ENVIRONMENT, open_engine
from tests.bench import shop
from tests.bench.machine import percentile
from tests.support.redis_server import RedisServer

EXAMPLE_CUSTOMERS = 1_000
REDIS_BATCH, REDIS_TIMEOUT_S = 500, 10.0
PROJECT_S_MAX = 60.0  # until the group has given its partitions to the only projector


class Outcome(msgspec.Struct):
    """What a step took: wall and processor seconds, how many things it did, its peak memory, and more by name."""

    wall_s: float
    cpu_s: float
    count: int
    peak_mb: float
    more: dict[str, float] = {}


def run(name: str, *arguments: object) -> Outcome:
    """Do a step in a child process."""
    return child("tests.bench.steps", name, *arguments)


def child(module: str, *arguments: object, timeout_s: float = 600.0) -> Outcome:
    """Run a module that prints an `Outcome`, with training's deterministic arithmetic."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, timeout=timeout_s, env={**os.environ, **DETERMINISTIC_ENVIRONMENT}
    )
    return msgspec.json.decode(finished.stdout, type=Outcome)


class Watch:
    """Wall and processor time from here on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def outcome(self, count: int, more: dict[str, float] | None = None) -> Outcome:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Outcome(time.perf_counter() - self._wall, time.process_time() - self._cpu, count, peak_mb, more or {})


def import_clicks(folder: Path, file: Path) -> Outcome:
    """The generated one-line events, into a new folder."""
    options = ImportOptions(columns={column: column for column in shop.COLUMNS})
    return _imported(folder, file, options)


def import_example(folder: Path) -> Outcome:
    """The example shop's order lines, its history moved so that it ends now."""
    options = ImportOptions(
        columns=COLUMNS,
        constants=CONSTANTS,
        category_of=load_category_rules(EXAMPLE_FOLDER / CATEGORIES_FILE).category_of,
        shift_to=datetime.now(UTC),
    )
    return _imported(folder, EXAMPLE_FOLDER / ORDERS_FILE, options)


def _imported(folder: Path, file: Path, options: ImportOptions) -> Outcome:
    with open_engine(folder, None, create=True) as engine:
        watch = Watch()
        report = import_file(file, "csv", options, engine.import_targets())
        outcome = watch.outcome(report.rows, {"accepted": sum(report.accepted.values())})
        if isinstance(engine.log, SqliteEventLog):
            outcome.more["log_bytes_per_event"] = _log_bytes(engine.log) / max(1, sum(engine.log.ends()) + PARTITIONS)
    return outcome


def train(folder: Path) -> Outcome:
    """A snapshot of everything, published."""
    with open_engine(folder, None) as engine:
        watch = Watch()
        trained = engine.train()
        more = {"bytes_per_product": trained.bytes / max(1, trained.products), **trained.seconds}
        return watch.outcome(trained.interactions, more)


def fold_in_memory(folder: Path) -> Outcome:
    """The folds alone: facts are decoded already, states stay in memory."""
    with open_engine(folder, None) as engine:
        batches = list(engine.batches(engine.log.ends()))
        states: dict[tuple[str, str], object] = {}
        watch = Watch()
        for batch in batches:
            states.update(fold(engine.projections, batch, lambda _, __: {}, states.get).states)
        return watch.outcome(sum(map(len, batches)))


def replay(folder: Path) -> Outcome:
    """Every state anew from the log, into the file."""
    with open_engine(folder, None) as engine:
        watch = Watch()
        return watch.outcome(engine.replay(verify=False, progress=lambda _: None).facts)


def project(folder: Path) -> Outcome:
    """The backlog that is in Kafka, folded by one projector, from its first batch on."""
    with open_engine(folder, None) as engine:
        ends, before = engine.log.ends(), sum(engine.store.positions())
        projector = engine.projector_of_the_group()
        membership_s = time.monotonic() + PROJECT_S_MAX
        while not (first := projector.step(REDIS_TIMEOUT_S)):
            assert time.monotonic() < membership_s, "the projector was given nothing to fold"
        watch = Watch()
        while any(position < end for position, end in zip(engine.store.positions(), ends, strict=True)):
            projector.step(POLL_S)
        outcome = watch.outcome(sum(ends) - before - first)
        projector.stop()
        projector.run()  # leaves the group
        return outcome


def commit_one_by_one(folder: Path) -> Outcome:
    """A view at a time, each with an fsync of its own: what a live event costs inside, without HTTP."""
    from ingest.collector import Incoming
    from ingest.vocabulary.events import ProductViewed
    from ingest.vocabulary.ids import AnonymousId, EventId, ProductId, Subject, content_id

    products = _ordered_products(folder)
    with open_engine(folder, None) as engine:
        engine.answers  # noqa: B018 - as in a server: what follows commits is loaded
        count, now = 300, engine.clock.now()
        incoming = [
            Incoming(
                ProductViewed(
                    event_id=EventId(content_id("bench", str(now), str(number))),
                    occurred_at=now,
                    received_at=now,
                    subject=Subject(""),
                    product_id=ProductId(products[number % len(products)]),
                ),
                anonymous_id=AnonymousId(f"bench-{number % 50}"),
            )
            for number in range(count)
        ]
        watch = Watch()
        for each in incoming:
            engine.collector.collect([each])
        return watch.outcome(count)


def sizes(folder: Path) -> Outcome:
    """Bytes of the stored profiles."""
    with open_engine(folder, None) as engine:
        watch = Watch()
        sizes = [len(stored) for _, stored in engine.store.scan("profile")]
        more = {
            "mean": statistics.fmean(sizes),
            "median": statistics.median(sizes),
            "p99": percentile(sizes, 0.99),
        }
        return watch.outcome(len(sizes), more)


def redis_sizes(folder: Path) -> Outcome:
    """Bytes of profiles in a Redis of their own: key, value and their share of the index."""
    profiles = ProfileProjection()
    with open_engine(folder, None) as engine:
        states = list(engine.store.scan(profiles.name))
    server = RedisServer(folder.parent / "redis")
    server.start()
    try:
        with redis.Redis.from_url(server.url, socket_timeout=REDIS_TIMEOUT_S) as client:
            store = RedisStateStore(client, "dangol", [profiles])
            store.begin_epoch(store.positions)
            empty = client.info("memory")["used_memory"]
            watch = Watch()
            _commit(store, profiles, states)
            outcome = watch.outcome(len(states))
            key, stored = sorted(states, key=lambda state: len(state[1]))[len(states) // 2]
            partition = profiles.partition_of_key(key)
            index = f"dangol:{{p{partition:02d}}}:{profiles.name}"
            median = client.memory_usage(f"{index}:{key}") + client.memory_usage(index, samples=0) / client.zcard(index)
            mean = (client.info("memory")["used_memory"] - empty) / len(states)
            outcome.more = {"median": median, "mean": mean, "stored": len(stored)}
            return outcome
    finally:
        server.stop(kill=True)


def _commit(store: RedisStateStore, profiles: ProfileProjection, states: Sequence[tuple[str, bytes]]) -> None:
    """Write profiles as a projector does, batch by batch of a partition."""
    for partition in range(PARTITIONS):
        own = [(key, value) for key, value in states if profiles.partition_of_key(key) == partition]
        for start in range(0, len(own), REDIS_BATCH):
            changes = {(profiles.name, key): value for key, value in own[start : start + REDIS_BATCH]}
            store.commit(changes, partition=partition, before=start - 1, after=start + REDIS_BATCH - 1)


def _log_bytes(log: SqliteEventLog) -> int:
    query = "SELECT sum(length(stored)) FROM events"
    found: int = log._file.reader().execute(query).fetchone()[0]
    return found


def _ordered_products(folder: Path) -> list[str]:
    return people_and_products(folder)[1]


def people_and_products(folder: Path) -> tuple[list[str], list[str]]:
    """Customers of the example shop, the busiest first, and the products of its orders, likewise."""
    with open_engine(folder, None) as engine:
        query = "SELECT value, subject FROM aliases WHERE kind = 'customer'"
        named = {subject: value for value, subject in engine.keyring._file.reader().execute(query)}
        orders: dict[str, int] = {}
        sold: dict[str, int] = {}
        for partition in range(PARTITIONS):
            for batch in read_batches(engine.log, partition, after=-1, upto=engine.log.ends()[partition]):
                for recorded in batch:
                    lines = getattr(recorded.event, "lines", ())
                    subject = getattr(recorded.event, "subject", None)
                    if lines and subject in named:
                        orders[named[subject]] = orders.get(named[subject], 0) + 1
                    for line in lines:
                        sold[line.product_id] = sold.get(line.product_id, 0) + 1
    return sorted(orders, key=lambda each: (-orders[each], each)), sorted(sold, key=lambda each: (-sold[each], each))


STEPS: dict[str, Callable[..., Outcome]] = {
    "import-clicks": import_clicks,
    "import-example": import_example,
    "train": train,
    "fold": fold_in_memory,
    "replay": replay,
    "project": project,
    "commit": commit_one_by_one,
    "sizes": sizes,
    "redis-sizes": redis_sizes,
}


def main(name: str, *arguments: str) -> None:
    """Do a step and print what it took."""
    outcome = STEPS[name](*map(Path, arguments))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
