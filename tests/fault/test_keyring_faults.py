"""What must not happen to a keyring on Kafka and Redis: another subject for a known id, a subject the broker lacks."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from ingest.keyrings.cache import KeyringCache
from ingest.keyrings.kafka import KafkaKeyring
from ingest.keyrings.memory import FRESH_S
from ingest.keyrings.scripts import FENCE_MS
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics
from ingest.privacy import Alias
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.ids import Subject
from tests.support.distributed import own_prefix
from tests.support.kafka import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.server_process import started

MARY = Alias("customer", "mary-17850@example.org")
VISITOR = Alias("anonymous", "visitor-a-7")
WAIT_S = 60.0


class Place:
    """A broker and a Redis of our own, and the keyring they keep."""

    def __init__(self, broker: KafkaBroker, server: RedisServer) -> None:
        self.broker, self.server, self.prefix = broker, server, own_prefix()
        self.settings = KafkaSettings(bootstrap=broker.address, prefix=self.prefix)
        prepare_topics(self.settings)

    @contextlib.contextmanager
    def open(self) -> Iterator[KafkaKeyring]:
        """The keyring as one process has it."""
        with redis.Redis.from_url(self.server.url) as client:
            keyring = KafkaKeyring(self.settings, client, self.prefix)
            try:
                yield keyring
            finally:
                keyring.close()

    def files(self) -> dict[str, bytes]:
        """Everything that broker and Redis have on their disks about this keyring."""
        folders = [*(self.broker.folder / "log").glob(f"{self.prefix}.keyring-*"), self.server.folder]
        paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        found: dict[str, bytes] = {}
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # cleaners delete files meanwhile
                found[str(path)] = path.read_bytes()
        return found

    def without(self, *needles: bytes) -> bool:
        """Whether none of some bytes is on the disks."""
        return not any(needle in stored for stored in self.files().values() for needle in needles)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, kafka_address: str) -> Iterator[KafkaBroker]:
    with started(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka"))) as made:
        yield made


@pytest.fixture
def place(broker: KafkaBroker, tmp_path: Path) -> Iterator[Place]:
    with started(lambda: RedisServer(tmp_path / "redis")) as server:
        yield Place(broker, server)


def eventually(what: Callable[[], object]) -> None:
    """Wait for a condition; while a store does not answer, it does not hold."""
    deadline = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(Unavailable):
            if what():
                return
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def subject_of(keyring: KafkaKeyring, alias: Alias) -> Subject:
    return keyring.resolve([alias])[alias]


def test_an_emptied_redis_changes_nothing_of_what_is_known(place: Place) -> None:
    others = [Alias("customer", f"other-{number}") for number in range(1_200)]
    leaver = Alias("customer", "leaver")
    with place.open() as keyring:
        known = keyring.resolve([*others, MARY, leaver])
        visitor = subject_of(keyring, VISITOR)
        keyring.link(VISITOR, known[MARY])
        sealed = keyring.seal(known[MARY], {"email": "e"})
        keyring.begin_erasure(known[leaver])
        place.server.stop(kill=True)
        place.server.empty()
        with pytest.raises(Unavailable):
            keyring.resolve([MARY])
        place.server.start()
        with contextlib.suppress(Unavailable):
            assert subject_of(keyring, Alias("customer", "new")), "a new one is made at the earliest when all is back"
        eventually(lambda: keyring.resolve([*others, MARY]))
        assert keyring.resolve(others) == {alias: known[alias] for alias in others}
        assert subject_of(keyring, VISITOR) == subject_of(keyring, MARY) == known[MARY]
        assert keyring.linked(known[MARY]) == [known[MARY], visitor]
        assert keyring.aliases(known[MARY]) == [VISITOR, MARY]
        assert sealed is not None
        assert keyring.open(known[MARY], sealed) == {"email": "e"}
        assert keyring.erasing() == [known[leaver]]
        assert keyring.find(leaver) is None


def test_a_redis_that_comes_back_with_old_data_is_made_anew(place: Place, tmp_path: Path) -> None:
    with place.open() as keyring:
        mary, early = subject_of(keyring, MARY), subject_of(keyring, Alias("customer", "early"))
        shutil.copytree(place.server.folder, tmp_path / "old")
        visitor = subject_of(keyring, VISITOR)
        keyring.destroy(keyring.begin_erasure(early)[0])
        place.server.stop(kill=True)
        shutil.rmtree(place.server.folder)
        shutil.copytree(tmp_path / "old", place.server.folder)
        place.server.start()
    with place.open() as keyring:
        assert keyring.find(Alias("customer", "early")) is None
        assert keyring.resolve([MARY, VISITOR]) == {MARY: mary, VISITOR: visitor}


def test_without_its_broker_nobody_new_is_made_and_nothing_is_left_half_made(place: Place) -> None:
    with place.open() as keyring, place.open() as other:
        mary = subject_of(keyring, MARY)
        place.broker.stop(kill=True)
        try:
            with ThreadPoolExecutor(2) as threads:
                for each in (threads.submit(keyring.resolve, [VISITOR]), threads.submit(keyring.begin_erasure, mary)):
                    with pytest.raises(Unavailable):
                        each.result(WAIT_S)
            assert other.find(VISITOR) is None, "what the broker does not have is given to nobody"
            assert other.find(MARY) == mary, "what is known is known without the broker"
            assert keyring.erasing() == []
        finally:
            place.broker.start()
        eventually(lambda: keyring.resolve([VISITOR]))
        assert subject_of(keyring, VISITOR) == subject_of(other, VISITOR)
        assert subject_of(keyring, MARY) == mary


def test_what_a_dead_process_proposed_is_completed_as_it_stands(place: Place) -> None:
    with place.open() as keyring, redis.Redis.from_url(place.server.url) as client:
        mac = keyring._names.mac(VISITOR)
        proposal = keyring._propose(VISITOR, mac)
        KeyringCache(client, place.prefix).claim([proposal])  # and here the process dies
        died = time.monotonic()
        with pytest.raises(Unavailable):
            keyring.resolve([VISITOR])
        eventually(lambda: keyring.resolve([VISITOR]))
        assert time.monotonic() - died > FENCE_MS / 1000, "until then the process might still write"
        assert subject_of(keyring, VISITOR) == proposal.subject
        assert keyring.aliases(proposal.subject) == [VISITOR]


def test_what_another_process_forgets_or_links_is_noticed_within_a_second(place: Place) -> None:
    with place.open() as here, place.open() as there:
        mary, visitor = subject_of(here, MARY), subject_of(here, VISITOR)
        assert there.resolve([MARY, VISITOR]) == {MARY: mary, VISITOR: visitor}
        sealed = there.seal(mary, {"email": "e"})
        assert sealed is not None
        here.link(VISITOR, mary)
        time.sleep(FRESH_S)
        assert there.find(VISITOR) == mary
        subjects, _ = here.begin_erasure(mary)
        assert there.find(MARY) is None, "when it was begun, nobody remembers the id any more"
        here.destroy(subjects)
        time.sleep(FRESH_S)
        assert there.seal(mary, {"email": "e"}) is None
        assert there.open(mary, sealed) is None


def test_many_ids_cost_as_many_round_trips_as_one(place: Place) -> None:
    with place.open() as keyring, place.open() as other, redis.Redis.from_url(place.server.url) as client:
        many = [Alias("customer", str(number)) for number in range(900)]

        def calls() -> int:
            stats = client.info("commandstats")
            return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "script|load"))

        keyring.resolve([MARY])
        other.resolve([MARY])
        before = calls()
        made = keyring.resolve(many)
        assert calls() - before <= 4, "look, claim, settle, and a look at what was forgotten"
        before = calls()
        assert other.resolve(many) == made
        assert calls() - before <= 2
        before = calls()
        assert other.resolve(many) == made
        assert calls() - before <= 1, "they are remembered"


def test_no_id_is_on_any_disk_and_keys_leave_them_when_the_cleaner_has_come(place: Place) -> None:
    with place.open() as keyring, redis.Redis.from_url(place.server.url) as client:
        mary, visitor = subject_of(keyring, MARY), subject_of(keyring, VISITOR)
        keyring.link(VISITOR, mary)
        (person,) = keyring._cache.people([mary])
        assert person is not None
        ids = (MARY.value.encode(), VISITOR.value.encode(), b"mary-17850")
        traces = (person.wrapped, mary.encode(), visitor.encode(), keyring._names.mac(MARY))
        assert place.without(*ids), "never, not even while she is known"
        for trace in traces:
            assert not place.without(trace), "the search can find what is there"
        keyring.destroy(keyring.begin_erasure(mary)[0])
        assert place.without(*ids)
        compact_soon(place)
        number = iter(range(1_000_000))

        def is_gone() -> bool:
            keyring.resolve([Alias("customer", f"later-{next(number)}")])  # a segment is closed by the next writing
            with contextlib.suppress(redis.ResponseError):  # one is being written already
                client.bgrewriteaof()
            return place.without(*traces)

        eventually(is_gone)
        assert keyring.find(MARY) is None


def compact_soon(place: Place) -> None:
    """Let the cleaner come at once, tombstones included."""
    soon = {
        "segment.ms": "100",
        "max.compaction.lag.ms": "100",
        "delete.retention.ms": "0",
        "file.delete.delay.ms": "0",
    }
    admin = KafkaAdminClient(bootstrap_servers=place.broker.address)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, place.settings.keyring_topic, configs=soon)])
    admin.close()
