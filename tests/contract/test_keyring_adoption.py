"""What one keyring exports another takes over: people, links, erasing marks and secrets, and only what differs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ingest.compacted import CompactedTopic
from ingest.embedded import SqliteFile
from ingest.keyrings.kafka import KafkaKeyring
from ingest.keyrings.records import PEOPLE, SECRETS
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics
from ingest.privacy import Alias
from tests.support.distributed import own_prefix, remove_topics

MARY, VISITOR = Alias("customer", "mary-17850"), Alias("anonymous", "visitor-a-7")
GONE, PHONE = Alias("customer", "gone"), Alias("anonymous", "visitor-phone-8")
CROWD = [Alias("customer", f"other-{number}") for number in range(2_500)]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[SqliteKeyring]:
    """An empty keyring to export."""
    with contextlib.closing(
        SqliteFile(tmp_path / "keyring.sqlite3", schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
    ) as file:
        yield SqliteKeyring(file)


@pytest.fixture
def settings(kafka_address: str) -> Iterator[KafkaSettings]:
    """Topics of the test's own."""
    made = KafkaSettings(bootstrap=kafka_address, prefix=own_prefix())
    prepare_topics(made)
    yield made
    remove_topics(made.bootstrap, made.prefix)


@contextlib.contextmanager
def opened(settings: KafkaSettings, redis_url: str) -> Iterator[KafkaKeyring]:
    """The keyring that takes over, as a process of its own opens it."""
    with (
        redis.Redis.from_url(redis_url) as client,
        contextlib.closing(KafkaKeyring(settings, client, settings.prefix)) as keyring,
    ):
        yield keyring


def written(settings: KafkaSettings) -> tuple[int, int]:
    """How many records the topic ever had of secrets and of people."""
    with contextlib.closing(CompactedTopic(settings, settings.keyring_topic)) as topic:
        ends = [[behind for behind, _ in topic.read(partition)] for partition in (SECRETS, PEOPLE)]
    return max(ends[0], default=0), max(ends[1], default=0)


def test_everything_in_a_keyring_is_taken_over_and_nothing_twice(
    old: SqliteKeyring, settings: KafkaSettings, redis_url: str
) -> None:
    subjects = old.resolve([MARY, VISITOR, GONE, *CROWD])
    old.link(VISITOR, subjects[MARY])
    old.begin_erasure(subjects[GONE])
    sealed = {each: old.seal(subjects[each], {"email": each.value}) for each in (MARY, VISITOR, GONE)}
    secret = old.secret("click-tokens")
    with opened(settings, redis_url) as keyring:
        assert keyring.find_secret("click-tokens") is None
        assert keyring.secret("click-tokens") != secret
        assert not keyring.holds_people()
        told: list[int] = []
        keyring.adopt(old.secrets(), old.export(), told.append)
        assert sum(told) == old.count() == len(subjects)
        assert keyring.secret("click-tokens") == secret
        assert keyring.holds_people()
    with opened(settings, redis_url) as keyring:
        assert keyring.secret("click-tokens") == secret
        assert keyring.resolve([MARY, *CROWD]) == {each: subjects[each] for each in (MARY, *CROWD)}
        assert keyring.find(VISITOR) == subjects[MARY]
        assert keyring.find(GONE) is None
        assert keyring.aliases(subjects[MARY]) == [VISITOR, MARY]
        assert keyring.linked(subjects[MARY]) == old.linked(subjects[MARY]) == [subjects[MARY], subjects[VISITOR]]
        assert keyring.erasing() == old.erasing() == [subjects[GONE]]
        for each, held in sealed.items():
            assert held is not None
            assert keyring.open(subjects[each], held) == {"email": each.value}
        before = written(settings)
        keyring.adopt(old.secrets(), old.export())
        assert written(settings) == before


def test_what_changed_since_an_earlier_taking_over_is_taken_over(
    old: SqliteKeyring, settings: KafkaSettings, redis_url: str
) -> None:
    subjects = old.resolve([MARY, VISITOR, PHONE, GONE])
    with opened(settings, redis_url) as keyring, opened(settings, redis_url) as other:
        keyring.adopt(old.secrets(), old.export())
        before = written(settings)
        old.link(VISITOR, subjects[MARY])
        old.destroy(old.begin_erasure(subjects[GONE])[0])
        keyring.adopt(old.secrets(), old.export())
        assert written(settings)[1] == before[1] + 4, "a subject and an id that moved, a subject and an id that went"
        for each in (keyring, other):
            assert each.find(VISITOR) == each.find(MARY) == subjects[MARY]
            assert each.find(PHONE) == subjects[PHONE]
            assert each.find(GONE) is None
            assert each.linked(subjects[MARY]) == [subjects[MARY], subjects[VISITOR]]
            assert each.seal(subjects[GONE], {"email": "e"}) is None
