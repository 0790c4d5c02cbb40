"""What kafka-python does not say by itself becomes an error that is understood."""

from __future__ import annotations

import pytest
from kafka.errors import LeaderNotAvailableError
from kafka.structs import TopicPartition

from ingest.logs.kafka_clients import READ_S_MAX, asked_offsets

PLACES = [TopicPartition("shop.events", 0), TopicPartition("shop.events", 1)]


def test_offsets_are_asked_for_within_a_time() -> None:
    def ask(places: list[TopicPartition], *, timeout_ms: int) -> dict[TopicPartition, int]:
        assert timeout_ms == READ_S_MAX * 1_000
        return dict.fromkeys(places, 7)

    assert asked_offsets(ask, PLACES) == dict.fromkeys(PLACES, 7)


def test_a_partition_without_a_leader_is_not_there_now() -> None:
    def ask(places: list[TopicPartition], *, timeout_ms: int) -> dict[TopicPartition, int]:
        led = {PLACES[0]: 7}
        return {place: led[place] for place in places}  # as kafka-python does

    with pytest.raises(LeaderNotAvailableError, match="partition=1"):
        asked_offsets(ask, PLACES)
