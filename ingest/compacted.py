"""A compacted topic of Kafka: the last value under each key stays, and a key without a value is forgotten."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.errors import Unavailable

REQUEST_S, DELIVERY_S = 3.0, 4.0  # of one attempt, and of all: afterwards a record will not be sent any more
METADATA_S = 1.0  # how long a send waits to learn where a partition is
READ_PATIENCE_S = 10.0  # without a new record
_READ_RECORDS = 2_000


class Record(NamedTuple):
    """A value under a key; None forgets the key. The offset is the broker's: nobody else has it, ever."""

    key: bytes
    value: bytes | None
    offset: int = -1


class CompactedTopic:
    """A topic with values of our own; `prepare_topics` has made it.

    Guarantees: what `append` returned from is acknowledged by all replicas in sync, in the order given; `read`
    gives everything that was acknowledged before it began. Any thread may append.
    Not guaranteed: that values which were replaced are gone before the topic's `max.compaction.lag.ms` has passed and
    it has been written to again, since a broker closes a segment only when it writes the next.
    """

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._settings, self.name = settings, name
        with _translated(f"open topic {name}"):
            self._producer = KafkaProducer(
                **settings.client_options()
                | {
                    "request_timeout_ms": int(REQUEST_S * 1000),
                    "delivery_timeout_ms": int(DELIVERY_S * 1000),
                    "max_block_ms": int(METADATA_S * 1000),
                    "acks": "all",
                    "enable_idempotence": True,
                    "allow_auto_create_topics": False,
                }
            )

    def append(self, records: Sequence[Record], *, partition: int) -> list[int]:
        """Write records durably, in order; their offsets.

        Raises:
            Unavailable: not all are acknowledged; some may be written nevertheless, or none.
        """
        with _translated(f"write to topic {self.name}"):
            futures = [
                self._producer.send(self.name, key=each.key, value=each.value, partition=partition) for each in records
            ]
            deadline = time.monotonic() + DELIVERY_S + 1.0
            return [future.get(timeout=max(0.0, deadline - time.monotonic())).offset for future in futures]

    def read(self, partition: int, *, start: int = 0) -> Iterator[tuple[int, list[Record]]]:
        """The records from an offset to the present end, in order, in batches; with each, the offset behind it.

        Raises:
            Unavailable: the broker did not answer.
        """
        place = TopicPartition(self.name, partition)
        with _translated(f"read topic {self.name}"), contextlib.closing(self._consumer()) as consumer:
            consumer.assign([place])
            end = consumer.end_offsets([place])[place]
            start = max(start, consumer.beginning_offsets([place])[place])
            consumer.seek(place, start)
            deadline = time.monotonic() + READ_PATIENCE_S
            while start < end:
                batch = consumer.poll(timeout_ms=500, max_records=_READ_RECORDS).get(place, [])
                if batch:
                    start = batch[-1].offset + 1
                    yield start, [Record(each.key, each.value, each.offset) for each in batch if each.offset < end]
                    deadline = time.monotonic() + READ_PATIENCE_S
                elif time.monotonic() > deadline:
                    raise Unavailable(f"topic {self.name} cannot be read: the broker sends nothing")

    def close(self) -> None:
        """Let go of the broker."""
        with _translated(f"close topic {self.name}"):
            self._producer.close(timeout=DELIVERY_S)

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(**self._settings.client_options(), group_id=None, enable_auto_commit=False)


@contextlib.contextmanager
def _translated(deed: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka did not let us {deed}: {type(error).__name__}: {error}") from error


def pause(seconds: float) -> None:
    """Wait for others, who answer over the network and cannot wake us."""
    threading.Event().wait(seconds)
