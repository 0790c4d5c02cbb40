"""Membership in the group of projectors, on Kafka's consumer groups: cooperative and sticky, so moves stop nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from ingest.folding.group import Read, Unreadable
from ingest.logs.kafka_clients import connected
from ingest.logs.kafka_records import recorded_of
from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.errors import Corrupt, NewerVersion, Unavailable
from ingest.vocabulary.events import Recorded

SESSION_S = 10  # a projector that is silent for so long has died: others take its partitions
HEARTBEAT_S = 2
POLL_MAX_S = 300  # a batch that takes longer is taken for a death
FETCH_BYTES_MAX = 4_194_304  # of one partition at once

_SECOND_MS = 1_000
_log = structlog.get_logger(__name__)


class KafkaMembership:
    """A member of the consumer group `<prefix>.projector`. For one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Join.

        Raises:
            Unavailable: no broker answers.
        """
        self._topic = settings.events_topic
        try:
            self._consumer = connected(
                KafkaConsumer,
                **settings.client_options(),
                group_id=f"{settings.prefix}.projector",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # what retention removed is noticed as a gap, and read from the archive
                session_timeout_ms=SESSION_S * _SECOND_MS,
                heartbeat_interval_ms=HEARTBEAT_S * _SECOND_MS,
                max_poll_interval_ms=POLL_MAX_S * _SECOND_MS,
                max_partition_fetch_bytes=FETCH_BYTES_MAX,
                fetch_max_wait_ms=100,
            )
        except KafkaError as error:
            raise Unavailable(f"Kafka does not answer at {settings.bootstrap}: {error}") from error
        self._consumer.subscribe([self._topic])

    def poll(self, timeout_s: float, limit: int) -> Mapping[int, Read]:
        """What came of the partitions this member has, behind where each was told to begin.

        A partition whose next record a newer Dangol wrote stands still until this one is upgraded.

        Raises:
            Unavailable: the log cannot be reached now.
        """
        try:
            polled = self._consumer.poll(int(timeout_s * _SECOND_MS), max_records=limit)
        except KafkaError as error:
            raise Unavailable(f"Kafka cannot be read: {error}") from error
        came = {}
        for place, records in polled.items():
            read = _read(place.partition, records)
            if read.upto < records[-1].offset:
                _log.error("a newer Dangol wrote here: upgrade this one", place=place, offset=read.upto + 1)
                self.begin(place.partition, read.upto)
                self._consumer.pause(place)
            if read.upto >= records[0].offset:
                came[place.partition] = read
        return came

    def assigned(self) -> frozenset[int]:
        """The partitions this member has now."""
        return frozenset(each.partition for each in self._consumer.assignment())

    def begin(self, partition: int, after: int) -> None:
        """Go on behind this offset; what was fetched before is forgotten."""
        with contextlib.suppress(ValueError):  # it was given to another meanwhile
            self._consumer.seek(TopicPartition(self._topic, partition), after + 1)

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close(autocommit=False)


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
