"""Faults of the distributed deployment under load: nothing acknowledged is lost, and nothing is counted twice."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kafka
import pytest

from ingest.privacy import Alias
from ingest.vocabulary.codec import VERSION
from ingest.vocabulary.ids import CustomerId, partition_of
from tests.support.deployment import Deployment, deployment
from tests.support.distributed import own_prefix
from tests.support.folded import is_folded
from tests.support.kafka import KafkaBroker
from tests.support.killing import kill_worker, replace, workers_of
from tests.support.ledger import (
    PAIRS,
    Ledger,
    Load,
    assert_as_replayed,
    assert_counted_once,
    evidence,
    load,
    profiles_of,
)
from tests.support.redis_server import RedisServer
from tests.support.server_process import ServerProcess, started
from tests.support.service import Service, wait_for
from tests.support.small_shop import MUGS, PRODUCTS, REGULAR, order, view

SESSION_WAIT_S = 40.0  # a group notices after 10 s that a member died, and moves its partitions


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker of these tests' own, to be killed."""
    with started(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka"))) as own:
        yield own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of these tests' own, to be killed and emptied."""
    with started(lambda: RedisServer(tmp_path_factory.mktemp("redis"))) as own:
        yield own


@pytest.fixture
def shop(broker: KafkaBroker, store: RedisServer, tmp_path: Path) -> Iterator[Deployment]:
    """An empty shop."""
    prefix = own_prefix()
    with deployment(tmp_path / "data", broker.address, store.url, prefix=prefix) as made:
        yield made


def opened(shop: Deployment, *arguments: str) -> Service:
    """A server of a shop that knows the products."""
    service = shop.serve(*arguments)
    assert service.send_json("POST", "/v1/products", {"products": PRODUCTS}).status == 200
    return service


def assert_nothing_lost_or_repeated(shop: Deployment, ledger: Ledger, answering: Service) -> None:
    """What must hold after every fault, once everything is folded."""
    print(dict(ledger.answers), f"{ledger.size()} events, {ledger.longest_silence_s:.1f} s without an answer at most")
    shop.wait_until_folded()
    with shop.opened() as engine:
        assert_counted_once(ledger, engine, answering)


def a_moment(rng: random.Random) -> None:
    """Let a random time pass: chance decides what a fault cuts off."""
    time.sleep(rng.uniform(0.05, 0.6))


def test_processes_that_are_killed_lose_and_repeat_nothing(shop: Deployment, rng: random.Random) -> None:
    ledger, projectors = Ledger(), [shop.projector(), shop.projector()]
    answering, collecting = opened(shop, "--workers", "2"), shop.serve("--role", "collect")
    with load(ledger, answering, collecting) as running:
        running.goes_on()
        faults = ["projector", "collector", "worker"]
        rng.shuffle(faults)
        for fault in faults:
            a_moment(rng)
            if fault == "projector":
                projectors.pop(rng.randrange(2)).kill()
            elif fault == "collector":
                collecting.kill()
                running.goes_on()
                old, collecting = collecting, shop.serve("--role", "collect")
                replace(running, old, collecting)
            else:
                kill_worker(answering, rng.choice(workers_of(answering)))
            running.goes_on()
    assert_nothing_lost_or_repeated(shop, ledger, answering)


def test_a_projector_that_slept_while_its_partitions_moved_changes_nothing_when_it_wakes_up(
    shop: Deployment, store: RedisServer
) -> None:
    ledger, zombie, answering = Ledger(), shop.projector(), opened(shop)
    shop.wait_until_folded()
    zombie.pause()
    with load(ledger, answering) as running:
        running.goes_on(300)
    with store.paused():
        zombie.go_on()  # it reads a batch, asks Redis about it …
        wait_for(lambda: questions_waiting(store.port), "the projector to be in mid-batch")
        zombie.pause()  # … and is away before it hears the answer
    shop.projector()
    shop.wait_until_folded(SESSION_WAIT_S)
    zombie.go_on()
    wait_for(lambda: "another projector was here" in zombie.said, "the late write to be refused", within_s=30)
    with load(ledger, answering, name="later") as running:
        running.goes_on()
    assert_nothing_lost_or_repeated(shop, ledger, answering)


def questions_waiting(port: int) -> bool:
    """Whether a server that stands still has bytes to read from a client."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues = line.split()[:5]
        if state == "01" and int(local.partition(":")[2], 16) == port and int(queues.partition(":")[2], 16):
            return True
    return False


def test_projectors_that_join_and_leave_in_mid_batch_lose_and_repeat_nothing(
    shop: Deployment, rng: random.Random
) -> None:
    ledger, projectors, answering = Ledger(), [shop.projector()], opened(shop)
    with load(ledger, answering) as running:
        for _ in range(2):
            projectors.append(shop.projector())
            a_moment(rng)
        running.goes_on(100)
        for _ in range(2):
            a_moment(rng)
            assert projectors.pop(rng.randrange(len(projectors))).stop() in (0, -signal.SIGTERM)  # not begun yet
            projectors.append(shop.projector())
        running.goes_on(100)
        assert projectors.pop(0).stop() in (0, -signal.SIGTERM)
    assert_nothing_lost_or_repeated(shop, ledger, answering)


def test_a_broker_that_is_killed_and_started_again_loses_and_repeats_nothing(
    shop: Deployment, broker: KafkaBroker, rng: random.Random
) -> None:
    ledger, projector, answering = Ledger(), shop.projector(), opened(shop)
    shop.wait_until_folded()
    with load(ledger, answering) as running, killed_meanwhile(broker, ledger, running, rng):
        assert answering.row("home.popular"), "answers go on without a broker"
        newcomer = shop.projector()
        wait_for(lambda: "what is needed is away" in newcomer.said, "a projector that starts without a broker to wait")
    wait_for(lambda: newcomer.said.count("folding (Ctrl-C stops)") == 2, "it to begin")
    assert_nothing_lost_or_repeated(shop, ledger, answering)
    assert projector.stop() == newcomer.stop() == 0, "both were at work"


def test_a_redis_that_is_killed_and_started_again_loses_and_repeats_nothing(
    shop: Deployment, store: RedisServer, rng: random.Random
) -> None:
    ledger, _, answering = Ledger(), shop.projector(), opened(shop)

    def degraded() -> list[str] | None:
        """What an answer says is missing; None where no worker takes requests."""
        with contextlib.suppress(OSError):
            missing: list[str] = answering.get("/v1/recommendations/home.popular", customer_id="c-0-0")["degraded"]
            return missing
        return None

    with load(ledger, answering) as running:
        with killed_meanwhile(store, ledger, running, rng):
            assert "profiles" in (degraded() or ()), "and says so"
            kill_worker(answering, *workers_of(answering))
            assert "catalogue" in wait_for(degraded, "a worker that starts without Redis to answer")
            assert not answering.is_ready()
        answering.wait_until_ready()
        wait_for(lambda: "catalogue" not in (degraded() or ["catalogue"]), "the worker to know the products again")
    assert_nothing_lost_or_repeated(shop, ledger, answering)


@contextlib.contextmanager
def killed_meanwhile(server: ServerProcess, ledger: Ledger, running: Load, rng: random.Random) -> Iterator[None]:
    """A server that senders need is away inside; before and afterwards they are served."""
    running.goes_on()
    a_moment(rng)
    server.stop(kill=True)
    try:
        wait_for(lambda: ledger.answers["503"], "senders to be told to come again")
        yield
    finally:
        server.start()  # other tests use it as well
    running.goes_on()


def test_nobody_is_answered_as_a_new_customer_after_redis_came_back_empty(shop: Deployment, store: RedisServer) -> None:
    ledger, projector, answering = Ledger(), shop.projector(), opened(shop)
    told = [view("v-own", MUGS[4], customer_id=REGULAR), order("o-own", *PAIRS[0], customer=REGULAR)]
    assert ledger.tell(answering, *told) == ["accepted", "accepted"]
    with load(ledger, answering) as running:
        running.goes_on(200)
    shop.wait_until_folded()
    customers = [REGULAR, *ledger.counts().orders]
    before = stored_profiles(shop, customers)
    assert projector.stop() == 0

    store.stop(kill=True)
    store.empty()
    store.start()

    def own() -> list[str] | None:
        """What the regular looked at; None where the answer says that it cannot tell."""
        answer = answering.get("/v1/recommendations/home.recently-viewed", customer_id=REGULAR)
        return None if answer["degraded"] != ["snapshot"] else [item["product_id"] for item in answer["items"]]

    for _ in range(5):
        assert own() is None, "nobody has folded anything yet"
    shop.projector()
    answers: list[Any] = []
    wait_for(lambda: answers.append(own()) or answers[-1], "the regular to be known again", within_s=SESSION_WAIT_S)
    assert [] not in answers, "answered as if nobody had ever been here"
    assert MUGS[4] in answers[-1]
    wait_for(lambda: stored_profiles(shop, customers) == before, "everybody to be known again", within_s=20)
    assert ledger.tell(answering, *told) == ["repeated", "repeated"]
    with load(ledger, answering) as running:  # what was acknowledged before is sent again, and more behind it
        running.goes_on(200)
    assert_nothing_lost_or_repeated(shop, ledger, answering)


def stored_profiles(shop: Deployment, customers: list[str]) -> dict[str, Any]:
    """Profiles as they are stored."""
    with shop.opened() as engine:
        return profiles_of(engine, customers)


def produce(shop: Deployment, broker: KafkaBroker, partition: int, value: bytes) -> int:
    """Write a record of somebody else's into the log; its offset."""
    producer = kafka.KafkaProducer(bootstrap_servers=broker.address)
    told = producer.send(f"{shop.prefix}.events", value, key=b"nobody", partition=partition).get(10)
    producer.close()
    return int(told.offset)


def test_records_that_are_no_facts_stop_nobody_and_are_kept_as_dead_letters(
    shop: Deployment, broker: KafkaBroker
) -> None:
    ledger, _, answering = Ledger(), shop.projector(), opened(shop)
    with load(ledger, answering) as running:
        running.goes_on()
        places = {(partition, produce(shop, broker, partition, b"\x01?")) for partition in (0, 3)}
        running.goes_on(200)
    places.add((3, produce(shop, broker, 3, b"\x01 the last of its partition")))
    assert_nothing_lost_or_repeated(shop, ledger, answering)
    with shop.opened() as engine:
        letters = list(engine.dead_letters.all())
        assert engine.train().orders == sum(ledger.counts().orders.values())
    assert {(letter.code, letter.place) for letter in letters} == {
        ("unreadable", f"partition {partition}, offset {offset}") for partition, offset in places
    }


def test_a_record_of_a_newer_version_stops_its_partition_and_no_other(shop: Deployment, broker: KafkaBroker) -> None:
    ledger, _, answering = Ledger(), shop.projector(), opened(shop)
    with load(ledger, answering) as running:
        running.goes_on(200)
    shop.wait_until_folded()
    with shop.opened() as engine:
        customers = sorted(ledger.counts().orders)
        subjects = {who: engine.keyring.find(Alias("customer", CustomerId(who))) for who in customers}
        places = {who: partition_of(subject) for who, subject in subjects.items() if subject is not None}
        stopped = places[customers[0]]
        offset = produce(shop, broker, stopped, bytes([VERSION + 1]) + b"of the future")
        before = profiles_of(engine, customers)
        with load(ledger, answering) as running:
            running.goes_on(200)

        wait_for(lambda: is_folded(engine, except_for=(stopped,)), "the other partitions")
        assert engine.store.positions()[stopped] == offset - 1
        after = profiles_of(engine, customers)
        assert engine.dead_letters.count() == 0
        assert_as_replayed(engine)
    orders = ledger.counts().orders
    for who, partition in places.items():
        assert after[who] == before[who] if partition == stopped else after[who].orders == orders[who]
    known = sum(profile.orders for profile in after.values())
    wait_for(lambda: sum(evidence(answering).values()) == known, "the other partitions in the answers", within_s=20)
