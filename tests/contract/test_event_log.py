"""What every event log promises."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from msgspec import structs

from ingest.vocabulary.events import CustomerEvent, OrderCompleted, ProductUpserted, ProductViewed
from ingest.vocabulary.ids import GENERATION, PARTITIONS, EventId, Position, partition_of
from ingest.vocabulary.ports import EventLog
from tests.contract.conftest import LogBackend
from tests.support.build import NOON, fact, product, views
from tests.support.embedded import read_all

SUBJECT_OF_PARTITION = {partition_of(f"s-{number}"): f"s-{number}" for number in range(400)}


def test_facts_of_a_subject_keep_their_order(log: EventLog) -> None:
    appended = views(20, subject="mary")
    log.append(appended[:7])
    log.append(appended[7:])
    partition = partition_of("mary")
    assert [recorded.event for recorded in log.read(partition, after=-1, limit=100)] == appended


def test_positions_rise_within_a_partition_and_say_where_a_fact_is(log: EventLog) -> None:
    appended = [fact(ProductViewed, subject=f"s-{number % 40}") for number in range(200)]
    positions = log.append(appended)
    found = {recorded.position: recorded.event for recorded in read_all(log)}
    by_partition: dict[int, list[Position]] = {}
    for event, position in zip(appended, positions, strict=True):
        assert position is not None
        assert found[position] == event
        assert position.partition == partition_of(event.key)
        assert position.generation == GENERATION
        by_partition.setdefault(position.partition, []).append(position)
    assert all(places == sorted(set(places)) for places in by_partition.values())


@pytest.mark.parametrize("partition", [0, 1, 14, 15])
def test_each_partition_is_read_alone_from_any_position(log: EventLog, partition: int) -> None:
    own = views(6, subject=SUBJECT_OF_PARTITION[partition])
    for event in own:
        log.append([event, *(fact(ProductViewed, subject=SUBJECT_OF_PARTITION[other]) for other in (0, 1, 14, 15))])
    offsets = [each.position.offset for each in log.read(partition, after=-1, limit=1_000)]
    for seen in range(len(offsets)):
        rest = log.read(partition, after=offsets[seen], limit=1_000)
        assert [each.position.offset for each in rest] == offsets[seen + 1 :]
        assert {each.position.partition for each in rest} <= {partition}
    assert [each.position.offset for each in log.read(partition, after=-1, limit=4)] == offsets[:4]


def test_an_empty_log_ends_nowhere_and_gives_nothing(log: EventLog) -> None:
    assert log.ends() == (-1,) * PARTITIONS
    assert log.read(3, after=-1, limit=10) == []
    assert log.append([]) == []
    assert log.find(EventId("e")) is None


def test_ends_are_the_last_positions(log: EventLog) -> None:
    positions = log.append([fact(ProductViewed, subject=f"s-{number % 9}") for number in range(60)])
    last = [-1] * PARTITIONS
    for position in positions:
        assert position is not None
        last[position.partition] = max(last[position.partition], position.offset)
    assert log.ends() == tuple(last)


def test_catalogue_facts_are_kept_by_product(log: EventLog) -> None:
    (position,) = log.append([product("85123A", title="Heart")])
    assert position is not None
    assert position.partition == partition_of("product:85123A")
    (recorded,) = log.read(position.partition, after=-1, limit=10)
    assert isinstance(recorded.event, ProductUpserted)
    assert recorded.event.product.title == "Heart"


def test_a_fact_that_comes_again_is_written_once(log: EventLog) -> None:
    first, second = views(2)
    assert log.append([first])[0] is not None
    assert log.append([first, second])[0] is None
    assert log.append([second, second]) == [None, None]
    assert [recorded.event for recorded in read_all(log)] == [first, second]


def test_a_fact_twice_in_one_append_is_written_once(log: EventLog) -> None:
    (event,) = views(1)
    positions = log.append([event, event])
    assert positions[0] is not None
    assert positions[1] is None
    assert len(read_all(log)) == 1


def test_facts_may_repeat_where_nobody_asked_for_once(log: EventLog) -> None:
    (event,) = views(1)
    assert None not in log.append([event, event], once=False)
    assert len(read_all(log)) == 2
    assert log.find(event.event_id) is None


def test_an_order_is_written_once_whoever_tells_it_and_whenever(log: EventLog) -> None:
    pixel = fact(OrderCompleted, order_id="o-9", subject="mary")
    late = NOON + timedelta(days=400)
    webhook = fact(OrderCompleted, order_id="o-9", subject="other", source="shopify", occurred_at=late)
    assert log.append([pixel])[0] is not None
    log.append([fact(ProductViewed, occurred_at=late)])
    assert log.append([webhook]) == [None]
    assert log.find(pixel.event_id) == pixel


def test_imported_facts_are_written_once_for_ever(log: EventLog) -> None:
    row = fact(ProductViewed, imported=True, source="import:csv")
    log.append([row])
    log.append([fact(ProductViewed, occurred_at=NOON + timedelta(days=400))])
    assert log.append([row]) == [None]


def test_a_window_of_days_absorbs_what_producers_send_again(log: EventLog) -> None:
    (event,) = views(1)
    week, later = NOON + timedelta(days=7), NOON + timedelta(days=8)
    log.append([event])
    log.append([fact(ProductViewed, occurred_at=week)])
    assert log.append([event, structs.replace(event, received_at=week)]) == [None, None]
    log.append([fact(ProductViewed, occurred_at=later)])
    assert log.append([structs.replace(event, received_at=later)]) != [None], "the claim has run out"
    assert log.append([structs.replace(event, received_at=later)]) == [None]


def test_a_fact_is_found_by_its_id(log: EventLog) -> None:
    appended = views(5, subject="mary")
    log.append(appended)
    for event in appended:
        assert log.find(event.event_id) == event
    assert log.find(EventId("unknown")) is None


def test_an_append_that_fails_leaves_nothing(log: EventLog) -> None:
    good = views(3)
    unwritable = fact(ProductViewed, product_id=object())
    with pytest.raises(TypeError):
        log.append([*good, unwritable])
    assert read_all(log) == []
    assert None not in log.append(good), "no claim was left behind"


def test_appenders_at_the_same_time_lose_nothing(log: EventLog) -> None:
    def append(thread: int) -> list[Position | None]:
        return [
            position
            for number in range(25)
            for position in log.append([fact(ProductViewed, event_id=f"{thread}-{number}", subject=f"s-{thread}")])
        ]

    with ThreadPoolExecutor(16) as threads:
        positions = [position for each in threads.map(append, range(16)) for position in each]
    assert len(set(positions)) == 16 * 25
    found: dict[str, list[str]] = {}
    for recorded in read_all(log):
        assert isinstance(recorded.event, CustomerEvent)
        found.setdefault(recorded.event.subject, []).append(recorded.event.event_id)
    assert found == {f"s-{thread}": [f"{thread}-{number}" for number in range(25)] for thread in range(16)}


def test_appenders_at_the_same_time_agree_on_who_was_first(log: EventLog) -> None:
    start = threading.Barrier(16)

    def append(thread: int) -> Position | None:
        start.wait()
        return log.append([fact(OrderCompleted, order_id="o-1", subject=f"s-{thread}")])[0]

    with ThreadPoolExecutor(16) as threads:
        written = [position for position in threads.map(append, range(16)) if position is not None]
    assert len(written) == len(read_all(log)) == 1


def test_a_read_after_an_acknowledged_append_sees_it_in_any_thread(log: EventLog) -> None:
    def round_trip(thread: int) -> bool:
        for number in range(10):
            (event,) = views(1, subject=f"s-{thread}-{number}")
            (position,) = log.append([event])
            assert position is not None
            (seen,) = log.read(position.partition, after=position.offset - 1, limit=1)
            if seen.event != event or log.ends()[position.partition] < position.offset:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(round_trip, range(4)))


def test_what_another_process_appended_is_seen(backend: LogBackend, log: EventLog) -> None:
    log.append([fact(ProductViewed, event_id="here-0", subject="subject-0")])
    with backend.append_elsewhere("there", 5, 1) as other:
        assert other.wait(60) == 0
    assert [recorded.event.event_id for recorded in read_all(log)] == ["here-0", *(f"there-{n}" for n in range(5))]
    (position, repeated) = log.append(
        [fact(ProductViewed, event_id="here-1", subject="subject-0"), fact(ProductViewed, event_id="there-3")]
    )
    assert position is not None
    assert position.offset == 6
    assert repeated is None


def test_two_processes_that_append_at_the_same_time_lose_nothing(backend: LogBackend, log: EventLog) -> None:
    with backend.append_elsewhere("there", 60, 3) as other:
        here = 0
        while other.poll() is None or here < 60:
            log.append([fact(ProductViewed, event_id=f"here-{here}", subject=f"subject-{here % 3}")])
            here += 1
        assert other.wait(60) == 0
    found = read_all(log)
    assert len({recorded.position for recorded in found}) == len(found)
    assert {recorded.event.event_id for recorded in found} == {
        *(f"here-{number}" for number in range(here)),
        *(f"there-{number}" for number in range(60)),
    }


def test_a_new_log_may_be_made_by_several_processes_at_once(backend: LogBackend) -> None:
    others = [backend.append_elsewhere(f"maker-{number}", 2, 2) for number in range(4)]
    for other in others:
        with other:
            assert other.wait(60) == 0
    with backend.open() as log:
        assert len(read_all(log)) == 8


def test_a_log_that_was_closed_continues_where_it_ended(backend: LogBackend) -> None:
    appended = views(6, subject="mary")
    with backend.open() as log:
        log.append(appended[:3])
    with backend.open() as log:
        assert log.append(appended[2:]) == [
            None,
            *(Position(GENERATION, partition_of("mary"), offset) for offset in (3, 4, 5)),
        ]
        assert [recorded.event for recorded in read_all(log)] == appended


def test_closing_writes_what_is_queued(backend: LogBackend) -> None:
    with ThreadPoolExecutor(8) as threads:
        with backend.open() as log:
            started = threading.Barrier(9)

            def append(thread: int) -> None:
                started.wait()
                log.append(views(1, subject=f"s-{thread}"))

            done = [threads.submit(append, thread) for thread in range(8)]
            started.wait()
        acknowledged = sum(1 for each in done if each.exception() is None)
    with backend.open() as log:
        assert len(read_all(log)) == acknowledged
