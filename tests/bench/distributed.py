"""The distributed deployment beside the embedded one: a broker, a Redis, a projector and two servers on this machine.

They share its processors with each other and with the load, so seconds of wall time say less than seconds of processor
time, and latencies are those of a machine that is fuller than its load.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.folder import CONFIGURATION_FILE
from serving.wiring import DETERMINISTIC_ENVIRONMENT, open_engine
from tests.bench import serving, shop, steps
from tests.bench.client import Job, load
from tests.bench.machine import Row, cpu_s, running
from tests.bench.server import Served, served
from tests.support.kafka import KafkaBroker
from tests.support.redis_server import RedisServer

PLACEMENTS = ("product.bought-together", "home.for-you")
RUNS_MAX, PROBES_MAX = 2, 100  # all of it in some 100 seconds
BACKLOG = 20_000  # facts, at least
LOADED_S_MAX = 60.0  # longer than all probes take
_SECOND = 1.0


class _Shop(NamedTuple):
    """The example shop: its data folder, its customers and products, the busiest first."""

    folder: Path
    customers: Sequence[str]
    products: Sequence[str]


def rows(folder: Path, plan: serving.Plan) -> list[Row]:
    """Everything about the example shop that is embedded in `folder`, on Kafka and Redis.

    Raises:
        NotToBeHad: Kafka or Redis is not on this machine and could not be brought here.
    """
    plan = plan._replace(runs=min(RUNS_MAX, plan.runs), probes=min(PROBES_MAX, plan.probes))
    embedded = folder / "shop"
    customers, products = steps.people_and_products(embedded)
    own = _Shop(folder / "distributed", customers, products)
    with _services(folder) as (kafka, redis):
        own.folder.mkdir()
        written = f'[distributed]\nkafka = "{kafka.address}"\nredis = "{redis.url}"\n'
        (own.folder / CONFIGURATION_FILE).write_text(written, encoding="utf-8")
        return [*_history(own, embedded), *_live(own, plan), *_sizes(embedded)]


def _history(own: _Shop, embedded: Path) -> list[Row]:
    """The orders of the example shop, imported into Kafka and then folded; afterwards its snapshot is in use."""
    imported = steps.run("import-example", own.folder)
    folded = steps.run("project", own.folder)
    with open_engine(embedded, None) as engine:
        publication = engine.snapshots.current()
        assert publication is not None, "the embedded shop was trained"
    shutil.copytree(embedded / "snapshots", own.folder / "snapshots", dirs_exist_ok=True)
    with open_engine(own.folder, None) as engine:
        engine.snapshots.publish(publication.snapshot_id, engine.store.positions(), publication.reference_time)
    return [
        Row("import into Kafka, order lines", "lines/CPU-s", [imported.count / imported.cpu_s], "the example shop"),
        Row("", "lines/s", [imported.count / imported.wall_s], "wall"),
        *_projected(folded, "orders and products"),
    ]


def _live(own: _Shop, plan: serving.Plan) -> list[Row]:
    """Two servers; first nobody folds what they take in, then a projector does."""
    with served(own.folder) as told:
        found = [serving.idle(told, 4 * plan.seconds, name="idle server, Kafka and Redis")]
        events = serving.events_per_second(told, plan, own.customers, own.products, durable="acknowledged by Kafka")
        load(
            Job(told.port, _views(own, plan, 100, BACKLOG // 100), LOADED_S_MAX, serving.EVENT_CONNECTIONS, again=False)
        )
        found += [*events, *_projected(steps.run("project", own.folder), "views")]
        with _projector(own.folder) as projector:
            found += serving.rows_above_hello(told, plan, own.customers, own.products, placements=PLACEMENTS)
            _wait_until_folded(own.folder, projector)
            found.append(_idle_projector(projector, 4 * plan.seconds))
            with served(own.folder) as asked:
                one_by_one = statistics.median(events[1].values)
                found += _freshness(own, told, asked, plan, one_by_one / 2)
    return found


def _freshness(own: _Shop, told: Served, asked: Served, plan: serving.Plan, rate: float) -> list[Row]:
    """From one server's acknowledgement to the other's answer, while the first is at half of its load."""
    requests = _views(own, plan, 1, int(rate * LOADED_S_MAX))
    ended = threading.Event()

    def keep_busy() -> None:
        for start in range(0, len(requests), max(1, int(rate))):
            if ended.is_set():
                return
            some = requests[start : start + max(1, int(rate))]
            load(Job(told.port, some, _SECOND, serving.EVENT_CONNECTIONS, rate=rate, again=False))

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        serving.warm(asked, plan, own.customers, own.products, placements=PLACEMENTS)
        return serving.freshness(
            told, asked, plan, own.products, remark=f", one server to another, {rate:.0f} events/s"
        )
    finally:
        ended.set()
        busy.join()


def _views(own: _Shop, plan: serving.Plan, batch: int, count: int) -> list[bytes]:
    run = uuid.uuid4().hex[:12]
    return list(shop.view_batches(own.customers, own.products, run=run, batch=batch, count=count, seed=plan.seed))


def _projected(outcome: steps.Outcome, what: str) -> list[Row]:
    return [
        Row("projector, a backlog", "events/CPU-s", [outcome.count / outcome.cpu_s], f"{outcome.count:,} {what}"),
        Row("", "events/s", [outcome.count / outcome.wall_s], "wall"),
    ]


def _sizes(embedded: Path) -> list[Row]:
    on_redis = steps.run("redis-sizes", embedded).more
    return [
        Row("Redis", "bytes/customer", [on_redis["median"]], "the median shopper: profile, key, share of the index"),
        Row("", "bytes/customer", [on_redis["mean"]], "mean, all that the server uses"),
    ]


def _idle_projector(process: subprocess.Popen[bytes], seconds: float) -> Row:
    before = cpu_s([process.pid])
    time.sleep(seconds)
    return Row("idle projector", "% of a core", [100 * (cpu_s([process.pid]) - before) / seconds])


def _wait_until_folded(folder: Path, process: subprocess.Popen[bytes]) -> None:
    with open_engine(folder, None) as engine:
        deadline = time.monotonic() + steps.PROJECT_S_MAX
        while any(map(int.__lt__, engine.store.positions(), engine.log.ends())):
            assert process.poll() is None, "the projector ended"
            assert time.monotonic() < deadline, "the projector has not folded what there is"
            time.sleep(0.1)


@contextlib.contextmanager
def _services(folder: Path) -> Iterator[tuple[KafkaBroker, RedisServer]]:
    """A broker and a Redis, which writes to disk every second, as in the compose file."""
    kafka, redis = KafkaBroker(folder / "kafka"), RedisServer(folder / "live-redis", "--appendfsync", "everysec")
    with contextlib.ExitStack() as started:
        for service in (kafka, redis):
            service.start()
            started.callback(service.stop, kill=True)
        yield kafka, redis


def _projector(folder: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """One projector."""
    command = [sys.executable, "-m", "serving", "project", "--data", str(folder)]
    return running(command, **DETERMINISTIC_ENVIRONMENT)
