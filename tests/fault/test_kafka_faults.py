"""The broker, Redis or a collector goes away in mid-append: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from ingest.logs.kafka import KafkaEventLog
from ingest.states.claims import RedisClaims
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import Event, ProductViewed
from tests.support.build import fact, views
from tests.support.distributed import counted, kafka_log, own_prefix
from tests.support.embedded import read_all
from tests.support.kafka import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.server_process import started

ROOT = Path(__file__).parents[2]
SENDERS, BATCHES, BATCH = 4, 25, 5
GIVE_UP_S = 120.0
Answer = TypeVar("Answer")


@pytest.fixture(scope="module")
def kept_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker of these tests' own."""
    with started(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka"))) as made:
        yield made


@pytest.fixture
def broker(kept_broker: KafkaBroker) -> KafkaBroker:
    """The broker, running whatever the test before did to it."""
    assert kept_broker.process is not None
    if kept_broker.process.poll() is not None:
        kept_broker.start()
    return kept_broker


@pytest.fixture
def prefix() -> str:
    """What the names of the test's own topics and keys begin with."""
    return own_prefix()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with started(lambda: RedisServer(tmp_path / "redis")) as made:
        yield made


@pytest.fixture
def log(broker: KafkaBroker, server: RedisServer, prefix: str) -> Iterator[KafkaEventLog]:
    """An empty log."""
    with kafka_log(broker.address, prefix, server.url) as opened:
        yield opened


@pytest.fixture
def claims(server: RedisServer, prefix: str) -> Iterator[RedisClaims]:
    """The claims of the log, as a projector sees them."""
    with redis.Redis.from_url(server.url) as client:
        yield RedisClaims(client, prefix)


class Senders:
    """Threads that append batches, and each again until it is acknowledged, as a shop's server does."""

    def __init__(self, log: KafkaEventLog) -> None:
        self._log = log
        self.acknowledged: list[Event] = []
        self.refused = 0
        self._threads = ThreadPoolExecutor(SENDERS)
        self._running = [self._threads.submit(self._send, number) for number in range(SENDERS)]

    def wait_for(self, count: int) -> None:
        """Until so many facts are acknowledged."""
        deadline = time.monotonic() + GIVE_UP_S
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} facts in {GIVE_UP_S} s"
            time.sleep(0.01)

    def wait(self) -> list[Event]:
        """Until all is sent."""
        for each in self._running:
            each.result(GIVE_UP_S)
        self._threads.shutdown()
        assert len(self.acknowledged) == SENDERS * BATCHES * BATCH
        return self.acknowledged

    def _send(self, sender: int) -> None:
        for batch in range(BATCHES):
            events: list[Event] = [
                fact(ProductViewed, event_id=f"{sender}-{batch}-{number}", subject=f"s-{sender}-{number}")
                for number in range(BATCH)
            ]
            while not self._accepted(events):
                time.sleep(0.05)
            self.acknowledged += events

    def _accepted(self, events: list[Event]) -> bool:
        try:
            self._log.append(events)
        except Unavailable:
            self.refused += 1
            return False
        return True


def once_it_answers(ask: Callable[[], Answer]) -> Answer:
    """What a log says when its broker is back: a connection that failed before is tried again after a second only."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return ask()
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def assert_each_counts_once(log: KafkaEventLog, claims: RedisClaims, acknowledged: list[Event]) -> None:
    times = Counter(recorded.event.event_id for recorded in once_it_answers(lambda: counted(log, claims)))
    assert times == Counter(event.event_id for event in acknowledged)


def pending_claims_run_out(server: RedisServer, prefix: str) -> None:
    """Half a minute later."""
    with redis.Redis.from_url(server.url) as client:
        for key in client.scan_iter(match=f"{prefix}:p:*"):
            client.delete(key)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_broker_that_restarts_in_mid_append_loses_and_repeats_nothing(
    broker: KafkaBroker, log: KafkaEventLog, claims: RedisClaims, kill: bool
) -> None:
    senders = Senders(log)
    senders.wait_for(SENDERS * BATCHES * BATCH // 4)
    broker.stop(kill=kill)
    broker.start()
    assert_each_counts_once(log, claims, senders.wait())


def test_a_broker_that_stays_away_refuses_and_what_was_refused_may_be_sent_again(
    broker: KafkaBroker, log: KafkaEventLog, claims: RedisClaims
) -> None:
    before, during = views(10), views(10)
    log.append(before)
    broker.stop(kill=True)
    with ThreadPoolExecutor(2) as threads:
        for each in (threads.submit(log.append, during), threads.submit(log.read, 0, after=-1, limit=10)):
            with pytest.raises(Unavailable, match="Kafka"):
                each.result(GIVE_UP_S)
    broker.start()
    once_it_answers(lambda: log.append(during))
    assert log.append([*before, *during]) == [None] * 20
    assert_each_counts_once(log, claims, [*before, *during])


def test_a_record_that_is_written_after_it_was_given_up_does_not_count_twice(
    broker: KafkaBroker, log: KafkaEventLog, claims: RedisClaims
) -> None:
    log.append(views(1))
    late = views(20)
    assert broker.process is not None
    os.kill(broker.process.pid, signal.SIGSTOP)  # requests wait in its sockets, and are done when it goes on
    try:
        with pytest.raises(Unavailable):
            log.append(late)
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
    once_it_answers(lambda: log.append(late))
    written = [recorded.event for recorded in once_it_answers(lambda: read_all(log))]
    assert len(written) > 21, "the test is about copies: Kafka must have some"
    assert log.append(late) == [None] * 20
    assert_each_counts_once(log, claims, list({each.event_id: each for each in written}.values()))


def test_a_redis_that_restarts_in_mid_append_loses_and_repeats_nothing(
    server: RedisServer, log: KafkaEventLog, claims: RedisClaims, prefix: str
) -> None:
    senders = Senders(log)
    for part in (4, 2):
        senders.wait_for(SENDERS * BATCHES * BATCH // part)
        server.stop(kill=True)
        refused, deadline = senders.refused, time.monotonic() + GIVE_UP_S
        while senders.refused == refused:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.start()
        pending_claims_run_out(server, prefix)
    assert_each_counts_once(log, claims, senders.wait())


def test_a_redis_that_is_away_when_facts_are_acknowledged_changes_nothing(
    server: RedisServer, log: KafkaEventLog, claims: RedisClaims, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended = views(5)
    settle = log._claims.settle

    def without_redis(places: object) -> list[int]:
        server.stop(kill=True)
        return settle(places)  # type: ignore[arg-type]

    monkeypatch.setattr(log._claims, "settle", without_redis)
    assert None not in log.append(appended), "Kafka has them: they are acknowledged"
    monkeypatch.undo()
    server.start()
    pending_claims_run_out(server, prefix)
    assert None not in log.append(appended[:2]), "nobody took note, so a second copy is written"
    assert len(read_all(log)) == 7
    assert_each_counts_once(log, claims, appended)


def test_a_collector_that_is_killed_in_mid_append_loses_and_repeats_nothing(
    broker: KafkaBroker, server: RedisServer, log: KafkaEventLog, claims: RedisClaims, prefix: str
) -> None:
    acknowledged: list[str] = []
    for killed in range(3):
        place = f"kafka {broker.address} {prefix} {server.url}"
        command = [sys.executable, "-m", "tests.support.append_elsewhere", place, f"k{killed}", "1000000", "7"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as collector:
            assert collector.stdout is not None
            for _ in range(20 + killed):
                acknowledged.append(collector.stdout.readline().strip())
            collector.kill()
            acknowledged += collector.stdout.read().split()
    pending_claims_run_out(server, prefix)
    written = {recorded.event.event_id for recorded in read_all(log)}
    assert set(acknowledged) <= written
    again = [fact(ProductViewed, event_id=event_id, subject="subject-1") for event_id in sorted(written)]
    log.append(again)
    assert_each_counts_once(log, claims, list(again))


def test_folding_while_facts_are_appended_and_the_broker_restarts_counts_each_once(
    broker: KafkaBroker, log: KafkaEventLog, claims: RedisClaims
) -> None:
    ended = threading.Event()

    def fold() -> None:
        while not ended.is_set():
            try:
                counted(log, claims)
            except Unavailable:
                ended.wait(0.1)

    senders = Senders(log)
    with ThreadPoolExecutor(1) as threads:
        folding = threads.submit(fold)
        senders.wait_for(SENDERS * BATCHES * BATCH // 3)
        broker.stop(kill=True)
        broker.start()
        acknowledged = senders.wait()
        ended.set()
        folding.result(GIVE_UP_S)
    assert_each_counts_once(log, claims, acknowledged)
