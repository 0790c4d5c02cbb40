"""A compacted topic of Kafka: the last value under each key stays, and a key without a value is forgotten."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from ingest.logs.kafka_clients import asked_offsets, connected, new_consumer, translated
from ingest.logs.kafka_settings import CONNECT_MS_MAX, KafkaSettings
from ingest.vocabulary.errors import Unavailable

REQUEST_MS = 3_000  # of one attempt to write
DELIVERY_S = 4.0  # of all attempts: afterwards a record will not be sent any more
METADATA_MS = 1_000  # to find a broker, and where a partition is
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
        self._lock = threading.Lock()
        self._producer: Any = None
        with self._translated("let us write to"):
            self._connected(CONNECT_MS_MAX)

    def append(self, records: Sequence[Record], *, partition: int) -> None:
        """Write records durably, in order.

        Raises:
            Unavailable: not all are acknowledged; some may be written nevertheless, or none.
        """
        with self._translated("acknowledge what we wrote to"):
            producer = self._connected()
            futures: list[Any] = []
            try:
                futures += [
                    producer.send(self.name, key=each.key, value=each.value, partition=partition) for each in records
                ]
                deadline = time.monotonic() + DELIVERY_S + 1.0
                for future in futures:
                    future.get(timeout=max(0.0, deadline - time.monotonic()))
            except KafkaError as error:
                hangs = not all(future.is_done for future in futures)  # it should have given the records up by itself
                if hangs or not error.retriable:
                    self._give_up(producer)
                raise

    def read(self, partition: int, *, start: int = 0) -> Iterator[tuple[int, list[Record]]]:
        """The records from an offset to the present end, in order, in batches; with each, the offset behind it.

        Raises:
            Unavailable: the broker did not answer.
        """
        place = TopicPartition(self.name, partition)
        with self._translated("let us read"), contextlib.closing(new_consumer(self._settings)) as consumer:
            consumer.assign([place])
            end = asked_offsets(consumer.end_offsets, [place])[place]
            start = max(start, asked_offsets(consumer.beginning_offsets, [place])[place])
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
        """Send what is on its way, then let go of the broker."""
        with self._translated("let us go from"), self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                producer.close(timeout=DELIVERY_S)

    def _connected(self, patience_ms: int = METADATA_MS) -> Any:
        with self._lock:
            if self._producer is None:
                self._producer = connected(
                    KafkaProducer,
                    **self._settings.client_options()
                    | {"request_timeout_ms": REQUEST_MS, "bootstrap_timeout_ms": patience_ms},
                    delivery_timeout_ms=int(DELIVERY_S * 1000),
                    max_block_ms=METADATA_MS,
                    acks="all",
                    enable_idempotence=True,
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                )
            return self._producer

    def _give_up(self, producer: Any) -> None:
        """A producer that cannot go on is replaced by the next append."""
        with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        with contextlib.suppress(KafkaError):
            producer.close(timeout=0.1)

    @contextlib.contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError) as error:
            raise translated(error, f"does not {deed} topic {self.name} ({type(error).__name__})") from error


def pause(seconds: float) -> None:
    """Wait for others, who answer over the network and cannot wake us."""
    threading.Event().wait(seconds)
