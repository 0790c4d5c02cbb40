"""The event log on Apache Kafka: acknowledged means that every replica in sync has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import structlog
from kafka import errors
from kafka.structs import TopicPartition

from ingest.logs.claim_ids import Claim, claim_id, claim_of, place_of, position_at
from ingest.logs.kafka_clients import DELIVERY_MS_MAX, READ_S_MAX, Consumers, Shared, asked_offsets, translated
from ingest.logs.kafka_records import Outgoing, outgoing, recorded_of
from ingest.logs.kafka_settings import KafkaSettings
from ingest.states.claims import MINE, PENDING, RedisClaims
from ingest.vocabulary.errors import (
    ConfigurationError,
    Corrupt,
    DangolError,
    NewerVersion,
    OutOfRetention,
    Unavailable,
)
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import GENERATION, PARTITIONS, EventId, Position

RECORDS_AT_ONCE_MAX = 2_000  # of an append; more go one group after another
ACKNOWLEDGED_S_MAX = DELIVERY_MS_MAX / 1_000 + 1  # a moment after the producer itself gives up
ANOTHER_S_MAX = 8.0  # another process that writes the same fact is waited for: longer than an append lasts
_PAUSE_S, _PAUSE_S_MAX = 0.004, 0.1  # between questions how far it is

_log = structlog.get_logger(__name__)
_Asked = tuple[int, Claim]  # its place in the append


class KafkaEventLog:
    """An `EventLog` on a topic of 16 partitions, with claims in Redis so that each fact counts once.

    Guarantees: what `append` returned for is on all replicas in sync (`acks=all` over `min.insync.replicas`), and any
    `read` in any process returns it; of the records of one event id exactly one has the place that its claim counts;
    facts of a key that one append wrote keep their order. Any thread may call.
    Not guaranteed: all or nothing; that Kafka holds no second copy of a fact (see `append`), which `RedisClaims.settle`
    tells apart, and nothing else does; that facts are there for longer than the topic keeps them.
    Cost: two round trips to Redis and one to Kafka for an append, shared by appends that begin within 2 ms; 0.3 ms of
    CPU for each fact. Nothing is connected until it is needed.
    """

    def __init__(self, settings: KafkaSettings, claims: RedisClaims) -> None:
        self._claims = claims
        self._topic = settings.events_topic
        self._partitions = [TopicPartition(self._topic, number) for number in range(PARTITIONS)]
        self._producers, self._consumers = Shared(settings), Consumers(settings)
        self._closing = threading.Event()
        self._last_told = 0.0  # when a broker last acknowledged anything

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """Write facts durably; None stands where a fact was there already.

        Raises:
            OversizedInput: a fact is larger than a record may be; nothing was written.
            ConfigurationError: the topic or our rights on it are not as they must be.
            Unavailable: Kafka did not acknowledge every fact in time, or Redis did not say which are new. Any of the
                facts may have been written, or be written a moment later. Append all of them again: with `once`,
                those that were acknowledged are recognised and get None; those of which nobody knows are written a
                second time, and one copy of the two counts. Without `once` both count.
        """
        records = [outgoing(event) for event in events]
        if not once:
            return self._plain(records)
        positions: list[Position | None] = []
        for start in range(0, len(records), RECORDS_AT_ONCE_MAX):
            end = start + RECORDS_AT_ONCE_MAX
            positions += self._once([claim_of(event) for event in events[start:end]], records[start:end])
        return positions

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts of a partition behind offset `after` (-1 for the first), at most `limit`.

        Records that are no facts are passed over: whoever folds the partition sets them aside as dead letters.

        Cost: two round trips; what follows is fetched ahead, so that reading on is cheaper than reading elsewhere.

        Raises:
            OutOfRetention: Kafka no longer has the first of them.
            NewerVersion: a newer Dangol wrote the next one; the message has its coordinates.
            Unavailable: Kafka did not answer.
        """
        facts: list[Recorded] = []
        while (missing := limit - len(facts)) > 0:
            records = self._records(partition, after=after, limit=missing)
            try:
                for record in records:
                    facts += _facts_in(record)
            except NewerVersion:
                if not facts:
                    raise
                break
            if len(records) < missing:
                break
            after = records[-1].offset
        return facts

    def _records(self, partition: int, *, after: int, limit: int) -> list[Any]:
        """The next records; fewer than `limit` where the partition ends."""
        topic_partition, first = self._partitions[partition], after + 1
        try:
            with self._consumers.lend(topic_partition) as consumer:
                end = asked_offsets(consumer.end_offsets, [topic_partition])[topic_partition]
                if first >= end:
                    return []
                if consumer.assignment() != {topic_partition}:
                    consumer.assign([topic_partition])
                    consumer.seek(topic_partition, first)
                elif consumer.position(topic_partition) != first:
                    consumer.seek(topic_partition, first)
                return _fetched(consumer, topic_partition, end, limit)
        except errors.OffsetOutOfRangeError as error:
            begins = self.beginnings()[partition]
            if first < begins:
                raise OutOfRetention(
                    f"partition {partition} of {self._topic} begins at offset {begins}, not at {first}",
                    partition=partition,
                    begins=begins,
                ) from error
            raise Unavailable(f"Kafka has no offset {first} in partition {partition} of {self._topic}") from error
        except (errors.KafkaError, OSError) as error:
            raise translated(error, f"did not give partition {partition} of {self._topic}") from error

    def find(self, event_id: EventId) -> Event | None:
        """A fact by its id, if it was appended once, its claim has not run out, and Kafka still has it.

        Cost: a round trip to Redis and, if there is such a fact, two to Kafka.
        """
        (place,) = self._claims.places([Claim(claim_id(event_id), None)])
        if place is None:
            return None
        position = position_at(place)
        try:
            found = self.read(position.partition, after=position.offset - 1, limit=1)
        except OutOfRetention:
            return None
        if not found or found[0].position != position or found[0].event.event_id != event_id:
            return None
        return found[0].event

    def ends(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 where it is empty. Cost: a round trip to each broker."""
        try:
            with self._consumers.lend() as consumer:
                ends = asked_offsets(consumer.end_offsets, self._partitions)
        except (errors.KafkaError, OSError) as error:
            raise translated(error, f"did not tell the ends of {self._topic}") from error
        return tuple(ends[each] - 1 for each in self._partitions)

    def beginnings(self) -> tuple[int, ...]:
        """The first offset that each partition still has, or will have. Cost: a round trip to each broker."""
        try:
            with self._consumers.lend() as consumer:
                beginnings = asked_offsets(consumer.beginning_offsets, self._partitions)
        except (errors.KafkaError, OSError) as error:
            raise translated(error, f"did not tell the beginnings of {self._topic}") from error
        return tuple(beginnings[each] for each in self._partitions)

    def close(self) -> None:
        """Send what is queued, then end; appends that come later are refused."""
        self._closing.set()
        self._producers.close()
        self._consumers.close()

    def _plain(self, records: Sequence[Outgoing]) -> list[Position | None]:
        positions: list[Position | None] = []
        for start in range(0, len(records), RECORDS_AT_ONCE_MAX):
            for produced in self._produce(records[start : start + RECORDS_AT_ONCE_MAX]):
                if isinstance(produced, DangolError):
                    raise produced
                positions.append(produced)
        return positions

    def _once(self, claims: Sequence[Claim], records: Sequence[Outgoing]) -> list[Position | None]:
        """Write those that nobody has written; those that others are writing, if the others give up."""
        positions: list[Position | None] = [None] * len(claims)
        asked = _first_of_each(claims)
        deadline, pause = time.monotonic() + ANOTHER_S_MAX, _PAUSE_S
        while asked:
            taken = self._claims.take([claim for _, claim in asked])
            mine = [each for each, answer in zip(asked, taken, strict=True) if answer == MINE]
            for (at, _), position in zip(mine, self._write(mine, records), strict=True):
                positions[at] = position
            asked = [each for each, answer in zip(asked, taken, strict=True) if answer == PENDING]
            if asked:
                if time.monotonic() > deadline or self._closing.is_set():
                    raise Unavailable("another process has begun to write the same fact, and has not ended")
                self._closing.wait(pause)
                pause = min(pause * 2, _PAUSE_S_MAX)
        return positions

    def _write(self, mine: Sequence[_Asked], records: Sequence[Outgoing]) -> list[Position | None]:
        """Produce claimed facts, and note where they are; None for those of which an older copy counts."""
        if not mine:
            return []
        produced = self._produce([records[at] for at, _ in mine])
        written = [(claim, each) for (_, claim), each in zip(mine, produced, strict=True) if isinstance(each, Position)]
        counting = self._settle([(claim, place_of(position)) for claim, position in written])
        failures = [each for each in produced if isinstance(each, DangolError)]
        if failures:
            failed = [claim for (_, claim), each in zip(mine, produced, strict=True) if isinstance(each, DangolError)]
            self._release(failed)
            raise failures[0]
        return [
            position if place == place_of(position) else None
            for (_, position), place in zip(written, counting, strict=True)
        ]

    def _settle(self, places: Sequence[tuple[Claim, int]]) -> list[int]:
        try:
            return self._claims.settle(places)
        except Unavailable as error:
            # The facts are durable, and whoever folds them settles them: first of the copies that a sender who asks
            # again might bring about once the pending claims have run out.
            _log.warning("claims_not_settled", claims=len(places), reason=error.message)
            return [place for _, place in places]

    def _release(self, claims: Sequence[Claim]) -> None:
        try:
            self._claims.release(claims)
        except Unavailable as error:
            _log.warning("claims_not_released", claims=len(claims), reason=error.message)

    def _produce(self, records: Sequence[Outgoing]) -> list[Position | DangolError]:
        """Hand all over to the producer, then wait for each: its position, or why there is none."""
        try:
            producer = self._producers.get()
        except DangolError as error:
            return [error] * len(records)
        futures: list[Any] = []
        refused: DangolError | None = None
        try:
            for record in records:
                to = {"partition": record.partition}
                futures.append(producer.send(self._topic, record.value, record.key, record.headers, **to))
        except ValueError as error:  # the producer's word for a partition that does not exist
            refused = ConfigurationError(f"topic {self._topic} is not as it must be: {error}")
        except errors.KafkaError as error:
            refused = translated(error, f"does not take facts for {self._topic}")
        began = time.monotonic()
        produced = [self._acknowledged(producer, future, began) for future in futures]
        if refused is not None:
            produced += [refused] * (len(records) - len(produced))
        return produced

    def _acknowledged(self, producer: Any, future: Any, began: float) -> Position | DangolError:
        try:
            told = future.get(max(began + ACKNOWLEDGED_S_MAX - time.monotonic(), 0))
        except errors.KafkaError as error:
            # After a broker restarts, the producer may wait for an answer that never comes: then nothing gets through.
            if not error.retriable or not future.is_done or self._last_told < began:
                self._producers.renew(producer)
            return translated(error, f"did not acknowledge facts of {self._topic}")
        self._last_told = time.monotonic()
        if told.offset < 0:  # a repeated request whose first answer the broker has forgotten
            return Unavailable(f"Kafka has a fact in partition {told.partition} of {self._topic}, but forgot where")
        return Position(GENERATION, told.partition, told.offset)


def _first_of_each(claims: Sequence[Claim]) -> list[_Asked]:
    """Of facts that an append has twice, the first."""
    first: dict[bytes, _Asked] = {}
    for at, claim in enumerate(claims):
        first.setdefault(claim.id, (at, claim))
    return list(first.values())


def _facts_in(record: Any) -> list[Recorded]:
    """The fact that a record is, or nothing."""
    try:
        return [recorded_of(record)]
    except Corrupt as error:
        _log.warning("a record that is no fact is passed over", reason=error.message)
        return []


def _fetched(consumer: Any, partition: TopicPartition, end: int, limit: int) -> list[Any]:
    """The records from where the consumer stands up to an end that there is."""
    found: list[Any] = []
    deadline = time.monotonic() + READ_S_MAX
    while len(found) < limit and consumer.position(partition) < end:
        left_ms = int((deadline - time.monotonic()) * 1_000)
        if left_ms <= 0:
            raise errors.KafkaTimeoutError(f"no records within {READ_S_MAX} s")
        for records in consumer.poll(timeout_ms=left_ms, max_records=limit - len(found)).values():
            found += records
    return found
