"""What an erasure reaches, on each backend, with a search for what it left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import redis
from kafka import KafkaConsumer, TopicPartition

from ingest.collector import Collector
from ingest.dead_letters import DeadLetters
from ingest.erasure import Erasure
from ingest.keyrings.kafka import KafkaKeyring
from ingest.letters.kafka import KafkaDeadLetters
from ingest.logs.kafka_settings import KafkaSettings
from ingest.privacy import Keyring
from ingest.vocabulary.ports import EventLog
from tests.support.build import HandClock
from tests.support.distributed import kafka_log
from tests.support.embedded import embedded


class Shop(Protocol):
    """Where facts go in and people are forgotten."""

    @property
    def log(self) -> EventLog:
        """The log."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keyring."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """What could not be read."""
        ...

    @property
    def collector(self) -> Collector:
        """The way in."""
        ...

    @property
    def erasure(self) -> Erasure:
        """The way out."""
        ...


class Backend(Protocol):
    """A place for a shop's data."""

    clear_ids: bool  # whether ids of living customers are somewhere in clear

    def open(self) -> contextlib.AbstractContextManager[Shop]:
        """The shop, closed at the end."""
        ...

    def stored(self) -> bytes:
        """Everything that is kept, as it is kept."""
        ...


class EmbeddedBackend:
    """A folder."""

    clear_ids = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> contextlib.AbstractContextManager[Shop]:
        """The shop, closed at the end."""
        return embedded(self.folder)

    def stored(self) -> bytes:
        """The bytes of every file."""
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


class _Distributed:
    def __init__(self, log: EventLog, keyring: Keyring, dead_letters: DeadLetters) -> None:
        self.log, self.keyring, self.dead_letters = log, keyring, dead_letters
        clock = HandClock()
        self.collector = Collector(log, keyring, clock, lambda _: {})
        self.erasure = Erasure(log, keyring, dead_letters, clock)


class DistributedBackend:
    """Topics, and keys in Redis."""

    clear_ids = False

    def __init__(self, bootstrap: str, redis_url: str, prefix: str) -> None:
        self.bootstrap, self.redis_url, self.prefix = bootstrap, redis_url, prefix
        self.settings = KafkaSettings(bootstrap=bootstrap, prefix=prefix)

    @contextlib.contextmanager
    def open(self) -> Iterator[Shop]:
        """The shop, closed at the end."""
        with (
            kafka_log(self.bootstrap, self.prefix, self.redis_url) as log,
            redis.Redis.from_url(self.redis_url) as client,
            contextlib.closing(KafkaKeyring(self.settings, client, self.prefix)) as keyring,
            contextlib.closing(KafkaDeadLetters(self.settings, keyring)) as letters,
        ):
            yield _Distributed(log, keyring, letters)

    def stored(self) -> bytes:
        """Every record that the broker still has, decompressed, and every key and value of ours in Redis."""
        return b"\n".join([*self._records(), *self._values()])

    def _records(self) -> Iterator[bytes]:
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.bootstrap)) as consumer:
            topics = [topic for topic in consumer.topics() if topic.startswith(f"{self.prefix}.")]
            places = [TopicPartition(topic, each) for topic in topics for each in consumer.partitions_for_topic(topic)]
            consumer.assign(places)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < end for place, end in ends.items()):
                for batch in consumer.poll(timeout_ms=500).values():
                    for record in batch:
                        headers = [part for name, value in record.headers for part in (name.encode(), value)]
                        yield from (record.key or b"", record.value or b"", *headers)

    def _values(self) -> Iterator[bytes]:
        with redis.Redis.from_url(self.redis_url) as client:
            for key in client.scan_iter(match=f"{self.prefix}*"):
                yield key
                kind = client.type(key)
                if kind == b"hash":
                    yield from (part for pair in client.hgetall(key).items() for part in pair)
                elif kind == b"list":
                    yield from client.lrange(key, 0, -1)
                elif kind == b"set":
                    yield from client.smembers(key)
                else:
                    yield client.get(key) or b""
