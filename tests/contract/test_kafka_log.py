"""What the log on Kafka promises beyond every event log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kafka
import pytest
import redis
from kafka import KafkaAdminClient
from kafka.structs import TopicPartition

from ingest.logs.claim_ids import claim_of, place_of
from ingest.logs.kafka import RECORDS_AT_ONCE_MAX, KafkaEventLog
from ingest.logs.kafka_records import RECORD_BYTES_MAX, recorded_of
from ingest.logs.kafka_settings import KafkaSettings
from ingest.states.claims import MINE, RedisClaims
from ingest.vocabulary.codec import decode_event
from ingest.vocabulary.errors import ConfigurationError, NewerVersion, OutOfRetention, OversizedInput, Unavailable
from ingest.vocabulary.events import Event, OrderCompleted, ProductViewed
from ingest.vocabulary.ids import PARTITIONS, Position, partition_of
from tests.contract.conftest import ON_KAFKA
from tests.support.build import fact, views
from tests.support.distributed import counted, kafka_log
from tests.support.embedded import read_all
from tests.support.ports import free_port

pytestmark = ON_KAFKA
PERSONAL = b"mary@example.com"


@pytest.fixture
def claims(redis_url: str, prefix: str) -> Iterator[RedisClaims]:
    """The claims of the log, as another process sees them."""
    with redis.Redis.from_url(redis_url) as client:
        yield RedisClaims(client, prefix)


def records(address: str, topic: str) -> list[Any]:
    """What any consumer of Kafka sees, partition by partition."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    wanted = sum(consumer.end_offsets(partitions).values()) - sum(consumer.beginning_offsets(partitions).values())
    found: list[Any] = []
    while len(found) < wanted:
        for batch in consumer.poll(timeout_ms=1_000).values():
            found += batch
    consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def test_records_are_events_that_other_consumers_can_read(log: KafkaEventLog, kafka_address: str, prefix: str) -> None:
    view = fact(ProductViewed, subject="mary", personal=PERSONAL, source="import:csv")
    log.append([view])
    (record,) = records(kafka_address, f"{prefix}.events")
    assert record.key == b"mary"
    assert record.partition == partition_of("mary")
    assert decode_event(record.value) == view
    assert recorded_of(record).event == view
    assert dict(record.headers) == {
        "content-type": b"application/vnd.dangol.event",
        "ce_specversion": b"1.0",
        "ce_type": b"dangol.product_viewed.v1",
        "ce_source": b"/dangol/import%3Acsv",
        "ce_id": view.event_id.encode(),
        "ce_time": b"2026-11-22T12:00:00+00:00",
    }


def test_what_identifies_a_person_is_in_no_header(log: KafkaEventLog, kafka_address: str, prefix: str) -> None:
    log.append([fact(ProductViewed, personal=PERSONAL), fact(OrderCompleted, personal=PERSONAL)])
    for record in records(kafka_address, f"{prefix}.events"):
        assert PERSONAL in record.value, "it is sealed before it comes here"
        assert not [value for _, value in record.headers if PERSONAL in value]


def test_a_reader_whose_place_is_no_longer_kept_is_told_where_the_log_begins(
    log: KafkaEventLog, kafka_address: str, prefix: str
) -> None:
    appended = views(9, subject="mary")
    log.append(appended)
    partition = partition_of("mary")
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.delete_records({TopicPartition(f"{prefix}.events", partition): 4})
    admin.close()
    for after in (-1, 2):
        with pytest.raises(OutOfRetention) as told:
            log.read(partition, after=after, limit=5)
        assert (told.value.partition, told.value.begins) == (partition, 4)
    assert [recorded.event for recorded in log.read(partition, after=3, limit=9)] == appended[4:]
    assert log.beginnings() == tuple(4 if number == partition else 0 for number in range(PARTITIONS))
    assert log.find(appended[3].event_id) is None
    assert log.find(appended[4].event_id) == appended[4]
    assert log.append(appended[:1]) == [None], "its claim still stands"


def test_an_append_of_many_keeps_the_order_of_each_key(log: KafkaEventLog) -> None:
    appended = views(RECORDS_AT_ONCE_MAX + 200, subject="mary")
    assert None not in log.append([*appended, *views(10, subject="joe")])
    found = log.read(partition_of("mary"), after=-1, limit=len(appended))
    assert [recorded.event for recorded in found] == appended
    assert log.append([*appended[-300:], *appended[:300]]) == [None] * 600


def test_a_fact_too_large_for_a_record_is_refused_and_nothing_is_written(log: KafkaEventLog) -> None:
    good = views(2)
    with pytest.raises(OversizedInput, match=str(RECORD_BYTES_MAX)):
        log.append([*good, fact(ProductViewed, personal=b"x" * RECORD_BYTES_MAX)])
    assert read_all(log) == []
    assert None not in log.append(good)


def test_a_fact_as_large_as_a_record_may_be_is_kept(log: KafkaEventLog) -> None:
    large = [
        fact(ProductViewed, subject="mary", personal=bytes([number]) * (RECORD_BYTES_MAX - 500)) for number in (1, 2)
    ]
    assert None not in log.append(large)
    assert [recorded.event for recorded in log.read(partition_of("mary"), after=-1, limit=5)] == large


def test_a_fact_that_another_is_writing_is_waited_for(log: KafkaEventLog, claims: RedisClaims) -> None:
    first, second = views(2)
    assert claims.take([claim_of(first), claim_of(second)]) == [MINE, MINE]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(log.append, [first, second, *views(1)])
        while not log.append(views(1)):
            pass
        assert not waiting.done()
        claims.settle([(claim_of(first), 77)])
        claims.release([claim_of(second)])
        told = waiting.result(30)
    assert told[0] is None
    assert None not in told[1:]


def test_a_fact_that_another_never_ends_to_write_is_not_acknowledged(
    log: KafkaEventLog, claims: RedisClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.logs.kafka.ANOTHER_S_MAX", 0.2)
    (event,) = views(1)
    claims.take([claim_of(event)])
    with pytest.raises(Unavailable, match="another process"):
        log.append([event])
    assert read_all(log) == []


def test_of_two_copies_one_counts_if_a_collector_died_before_it_took_note(
    log: KafkaEventLog, claims: RedisClaims
) -> None:
    dead, other = views(2, subject="mary")
    claims.take([claim_of(dead)])
    log.append([dead], once=False)  # … and there the process ended; later its claim runs out
    claims.release([claim_of(dead)])
    (again,) = log.append([dead])
    log.append([other])
    assert again is not None
    assert len(read_all(log)) == 3
    assert [recorded.event for recorded in counted(log, claims)] == [dead, other]
    assert counted(log, claims)[0].position == again
    assert log.append([dead]) == [None]


def test_the_copy_that_was_folded_first_counts(log: KafkaEventLog, claims: RedisClaims) -> None:
    (dead,) = views(1, subject="mary")
    claims.take([claim_of(dead)])
    (place,) = log.append([dead], once=False)
    assert place is not None
    claims.release([claim_of(dead)])
    assert claims.settle([(claim_of(dead), place_of(place))]) == [place_of(place)]
    assert log.append([dead]) == [None]
    assert [recorded.position for recorded in counted(log, claims)] == [place]


def test_an_append_that_was_overtaken_says_that_the_fact_was_there(
    log: KafkaEventLog, claims: RedisClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    (event,) = views(1)
    elsewhere = Position(1, 3, 12)
    release = log._claims.settle

    def overtaken(places: Any) -> list[int]:
        claims.settle([(claim_of(event), place_of(elsewhere))])
        return release(places)

    monkeypatch.setattr(log._claims, "settle", overtaken)
    assert log.append([event]) == [None]


def test_records_that_are_no_facts_are_passed_over_and_a_newer_one_ends_what_can_be_read(
    log: KafkaEventLog, kafka_address: str, prefix: str
) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=kafka_address)
    partition = partition_of("mary")

    def produce(*values: bytes | None) -> None:
        for value in values:
            producer.send(f"{prefix}.events", value, key=b"mary", partition=partition).get(10)

    def offsets(*, after: int, limit: int) -> list[int]:
        return [each.position.offset for each in log.read(partition, after=after, limit=limit)]

    log.append(views(1, subject="mary"))
    produce(b"\x01?", None)
    log.append(views(2, subject="mary"))
    produce(b"\x01")
    assert offsets(after=-1, limit=9) == [0, 3, 4]
    assert [offsets(after=after, limit=1) for after in range(-1, 5)] == [[0], [3], [3], [3], [4], []]
    assert offsets(after=0, limit=2) == [3, 4]
    produce(b"\x02 of a newer Dangol")
    producer.close()
    assert offsets(after=2, limit=9) == [3, 4]
    with pytest.raises(NewerVersion, match=rf"{prefix}\.events, partition {partition}, offset 6"):
        log.read(partition, after=4, limit=9)


def test_a_topic_with_too_few_partitions_takes_nothing(kafka_address: str, prefix: str, claims: RedisClaims) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.create_topics({f"{prefix}.events": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    log = KafkaEventLog(KafkaSettings(bootstrap=kafka_address, prefix=prefix), claims)
    events: list[Event] = [fact(ProductViewed, subject=f"s-{number}") for number in range(40)]
    with pytest.raises(ConfigurationError, match="partition"):
        log.append([event for event in events if partition_of(event.key) != 0])
    log.close()


def test_a_log_without_brokers_says_so_soon_and_to_all(claims: RedisClaims) -> None:
    log = KafkaEventLog(KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", prefix="nobody"), claims)
    calls = (lambda: log.append(views(1)), lambda: log.read(0, after=-1, limit=1), log.ends, log.beginnings)
    with ThreadPoolExecutor(len(calls)) as threads:
        for failed in [threads.submit(call) for call in calls]:
            with pytest.raises(Unavailable, match="Kafka"):
                failed.result(20)
    (event,) = views(1)
    with pytest.raises(Unavailable):
        log.append([event])
    assert claims.take([claim_of(event)]) == [MINE], "the claim was given back"
    log.close()


def test_a_closed_log_refuses(kafka_address: str, prefix: str, redis_url: str) -> None:
    with kafka_log(kafka_address, prefix, redis_url) as log:
        log.append(views(1))
        log.ends()
    for call in (lambda: log.append(views(1)), lambda: log.read(0, after=-1, limit=1), log.ends):
        with pytest.raises(Unavailable, match="closed"):
            call()
    log.close()


def test_more_readers_than_consumers_all_get_their_facts(log: KafkaEventLog) -> None:
    appended = {f"s-{number}": views(3, subject=f"s-{number}") for number in range(12)}
    for events in appended.values():
        log.append(events)
    start = threading.Barrier(12)

    def read(subject: str) -> list[Event]:
        start.wait()
        partition = partition_of(subject)
        return [each.event for each in log.read(partition, after=-1, limit=100) if each.event.key == subject]

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(read, appended)) == list(appended.values())
