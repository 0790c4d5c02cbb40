"""Readers of the topic of facts as it grows: a member of the group of projectors, and whoever follows all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from ingest.folding.group import Read, Unreadable
from ingest.logs.kafka_clients import connected, translated
from ingest.logs.kafka_records import recorded_of
from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.errors import Corrupt, NewerVersion, Unavailable
from ingest.vocabulary.events import Recorded

SESSION_S = 10  # a projector that is silent for so long has died: others take its partitions
HEARTBEAT_S = 2
POLL_MAX_S = 300  # a batch that takes longer is taken for a death
FETCH_BYTES_MAX = 4_194_304  # of one partition at once
GROUP_WAIT_MS = 100  # how long a broker with nothing to tell keeps a projector waiting
FOLLOW_WAIT_MS = 500  # the same for a follower, which does nothing else

_SECOND_MS = 1_000
_log = structlog.get_logger(__name__)


class _Records:
    """What comes of the partitions that a consumer has. For one thread."""

    def __init__(self, settings: KafkaSettings, connect: Callable[[], Any]) -> None:
        self._topic, self._connect = settings.events_topic, connect
        self._consumer: Any = None
        self._standing: set[int] = set()

    def poll(self, timeout_s: float, limit: int) -> Mapping[int, Read]:
        """What came of the partitions this reader has, behind where each was told to begin.

        A partition whose next record a newer Dangol wrote stands still until this one is upgraded. Nothing is connected
        until this is called.

        Raises:
            Unavailable: the log cannot be reached now.
        """
        if self._consumer is None:
            self._consumer = self._connect()
        try:
            polled = self._consumer.poll(int(timeout_s * _SECOND_MS), max_records=limit)
        except Exception as error:
            # Behind what is not retriable, or is none of kafka-python's errors, its consumer may never work again.
            if not (isinstance(error, KafkaError) and error.retriable):
                self.renew()
            raise Unavailable(f"Kafka cannot be read: {type(error).__name__}: {error}") from error
        came = {}
        for place, records in polled.items():
            read = _read(place.partition, records)
            if read.upto < records[-1].offset:
                _log.error("a newer Dangol wrote here: upgrade this one", place=place, offset=read.upto + 1)
                self.begin(place.partition, read.upto)
                self._consumer.pause(place)
                self._standing.add(place.partition)
            if read.upto >= records[0].offset:
                came[place.partition] = read
        return came

    def begin(self, partition: int, after: int) -> None:
        """Go on behind this offset; what was fetched before is forgotten."""
        with contextlib.suppress(ValueError):  # it was given to another meanwhile
            self._consumer.seek(TopicPartition(self._topic, partition), after + 1)

    def standing(self) -> frozenset[int]:
        """The partitions whose next record a newer Dangol wrote."""
        return frozenset(self._standing)

    def renew(self) -> None:
        """Let the next poll connect again."""
        broken, self._consumer = self._consumer, None
        if broken is not None:
            with contextlib.suppress(Exception):  # it may be broken in whatever way
                broken.close(autocommit=False, timeout_ms=0)

    def close(self) -> None:
        """Let go; a member of a group leaves it, so that others take over at once."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False)


class KafkaMembership(_Records):
    """A member of the consumer group `<prefix>.projector`: cooperative and sticky, so moves stop nobody."""

    def __init__(self, settings: KafkaSettings) -> None:
        def join() -> Any:
            consumer = _consumer(
                settings,
                group_id=f"{settings.prefix}.projector",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=SESSION_S * _SECOND_MS,
                heartbeat_interval_ms=HEARTBEAT_S * _SECOND_MS,
                max_poll_interval_ms=POLL_MAX_S * _SECOND_MS,
                max_partition_fetch_bytes=FETCH_BYTES_MAX,
                fetch_max_wait_ms=GROUP_WAIT_MS,
            )
            consumer.subscribe([self._topic])
            return consumer

        super().__init__(settings, join)

    def assigned(self) -> frozenset[int]:
        """The partitions this member has now."""
        if self._consumer is None:
            return frozenset()
        return frozenset(each.partition for each in self._consumer.assignment())


class KafkaFollowing(_Records):
    """Follows every partition, without a group: the broker holds its question until there is something to tell.

    Args:
        after: the offset of each partition that is known already.
    """

    def __init__(self, settings: KafkaSettings, after: Sequence[int]) -> None:
        places = [TopicPartition(settings.events_topic, partition) for partition in range(len(after))]

        def follow() -> Any:
            consumer = _consumer(
                settings,
                group_id=None,
                fetch_max_wait_ms=FOLLOW_WAIT_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            consumer.assign(places)
            for place, offset in zip(places, after, strict=True):
                consumer.seek(place, offset + 1)
            return consumer

        super().__init__(settings, follow)


def _consumer(settings: KafkaSettings, **options: Any) -> Any:
    """A consumer that is told where to begin; what retention removed is noticed as a gap, and read from the archive."""
    try:
        return connected(
            KafkaConsumer,
            **settings.client_options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **options,
        )
    except (KafkaError, OSError) as error:
        raise translated(error, "does not answer") from error


def _read(partition: int, records: Sequence[Any]) -> Read:
    """Facts and what is none; a record of a newer Dangol ends the batch, as nothing may be folded past it."""
    facts: list[Recorded] = []
    unreadable: list[Unreadable] = []
    upto = records[0].offset - 1
    for record in records:
        stored = bytes(record.value or b"")
        try:
            facts.append(recorded_of(record))
        except NewerVersion:
            break
        except Corrupt as error:
            unreadable.append(Unreadable(partition, record.offset, stored, error.message))
        upto = record.offset
    return Read(facts, unreadable, records[0].offset, upto)
