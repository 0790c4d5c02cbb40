"""Laws of the archive: whatever is archived, compacted and cut off, it reads back as the log, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist, groups_to_merge
from ingest.archive.columns import ROWS_MAX, SCHEMA, facts_of, groups_of, table_of
from ingest.archive.files import ArchiveFile, cover_of
from ingest.archive.log import ArchivedLog
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import CustomerEvent, Event, OrderCompleted, Recorded
from ingest.vocabulary.ids import GENERATION, Position
from recommender.facts import event_hash
from tests.support.archiving import Disk, archived_facts
from tests.support.build import NOON
from tests.support.embedded import embedded, read_all, temporary_folder
from tests.support.strategies import any_event, histories

days = st.integers(-2, 2).map(lambda day: NOON + timedelta(days=day))
"""When facts are received: clocks step, so that days come and go."""


class Step(msgspec.Struct):
    """Some facts come in, then one round of the archivist, which may be cut off at an operation of the disk."""

    events: list[Event]
    chunk_facts_max: int
    file_facts_max: int
    compacts: bool
    cut_at: int
    after: bool
    full: bool


@st.composite
def dated_histories(draw: st.DrawFn) -> list[Event]:
    """A history in which every fact has a day of its own."""
    return [msgspec.structs.replace(event, received_at=draw(days)) for event in draw(histories(most=25))]


@st.composite
def rounds(draw: st.DrawFn) -> list[Step]:
    """The same history in pieces, with a round of the archivist after each."""
    left, steps = draw(dated_histories()), []
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.integers(0, 12))
        cut_at = draw(st.just(0) | st.integers(1, 60))
        limits = draw(st.integers(1, 6)), draw(st.integers(1, 12))
        flags = draw(st.booleans()), cut_at, draw(st.booleans()), draw(st.booleans())
        steps.append(Step(left[:count], *limits, *flags))
        left = left[count:]
    return steps


def run(archivist: Archivist, step: Step) -> None:
    """One round, as far as it comes."""
    with Disk(step.cut_at, after=step.after, full=step.full).in_use():
        refused = contextlib.suppress(Unavailable) if step.full else contextlib.nullcontext()
        with refused:
            archivist.catch_up()
            if step.compacts:
                archivist.compact()


@given(rounds())
@settings(max_examples=40)
def test_any_history_archived_in_any_rounds_and_cut_off_anywhere_reads_back_like_the_log(steps: list[Step]) -> None:
    with temporary_folder() as folder, embedded(folder, ()) as dangol:
        place = folder / "archive"
        for step in steps:
            dangol.log.append(step.events)
            limits = {"chunk_facts_max": step.chunk_facts_max, "file_facts_max": step.file_facts_max}
            run(Archivist(dangol.log, place, **limits), step)
            whole = read_all(dangol.log)
            assert read_all(ArchivedLog(Archive(place), dangol.log)) == whole
            ends = Archive(place).ends()
            assert archived_facts(place) == [
                each for each in whole if each.position.offset <= ends[each.position.partition]
            ]
        archivist = Archivist(dangol.log, place)
        archivist.catch_up()
        archivist.compact()
        assert Archive(place).ends() == dangol.log.ends()
        assert archived_facts(place) == read_all(dangol.log)
        assert not list(place.rglob(".writing-*")), "what was cut off is cleared away"


def in_a_row(events: Sequence[Event]) -> list[Recorded]:
    return [Recorded(Position(GENERATION, 3, 5 + 2 * at), event) for at, event in enumerate(events)]


@given(st.lists(any_event(), max_size=8))
@settings(max_examples=40)
def test_facts_of_every_kind_become_columns_and_come_back_byte_for_byte(events: list[Event]) -> None:
    facts = in_a_row(events)
    table = table_of(facts)
    table.validate(full=True)
    assert table.schema == SCHEMA
    assert table["stored"].to_pylist() == [encode_event(event) for event in events]
    assert facts_of(3, table["offset"].to_pylist(), table["stored"].to_pylist()) == facts
    for row, event in zip(table.to_pylist(), events, strict=True):
        assert (row["occurred_at"], row["received_at"]) == (event.occurred_at, event.received_at)
        assert row["event_hash"] == event_hash(event), "what training sorts by is there as training makes it"
        assert row["subject"] == (event.subject if isinstance(event, CustomerEvent) else None)
        if isinstance(event, OrderCompleted):
            assert [line["product_id"] for line in row["lines"]] == [line.product_id for line in event.lines]
            assert [line["quantity"] for line in row["lines"]] == [line.quantity for line in event.lines]


@given(st.lists(st.lists(st.sampled_from([10, 20_000_000, 9_000_000]), max_size=4), max_size=5))
@settings(max_examples=20)
def test_row_groups_keep_rows_and_their_order_within_both_bounds(sizes: list[list[int]]) -> None:
    tables = [pa.table({"stored": pa.array([bytes(size) for size in part], pa.binary())}) for part in sizes]
    groups = [group["stored"].to_pylist() for group in groups_of(iter(tables))]
    assert [len(each) for group in groups for each in group] == [size for part in sizes for size in part]
    assert all(0 < len(group) <= ROWS_MAX for group in groups)
    assert all(len(group) == 1 or sum(map(len, group)) <= 16_777_216 for group in groups)


@st.composite
def ranges(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Files that were written one behind the other, and some that were written twice or put together."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    ends = [sum(lengths[: at + 1]) for at in range(len(lengths))]
    tiled = list(zip([0, *ends], [end - 1 for end in ends], strict=False))
    more = draw(st.lists(st.tuples(st.integers(0, ends[-1] - 1), st.integers(0, ends[-1] - 1)), max_size=6))
    return list({*tiled, *((min(pair), max(pair)) for pair in more)})


@given(ranges())
def test_readers_find_each_fact_once_by_the_names_of_overlapping_files(named: list[tuple[int, int]]) -> None:
    with temporary_folder() as folder:
        (folder / "day=2026-11-22").mkdir()
        for first, last in named:
            (folder / "day=2026-11-22" / f"{first:015d}-{last:015d}.parquet").touch()
        cover = cover_of(folder)
    used = [offset for file in cover.files for offset in range(file.begin, file.last + 1)]
    assert used == list(range(max(last for _, last in named) + 1))
    assert all(file.first <= file.begin for file in cover.files)
    assert len(cover.files) + len(cover.covered) == len(named)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(20, 22)), max_size=40), st.integers(1, 100))
def test_compacting_puts_neighbours_of_a_day_together_and_no_more_than_a_file_holds(
    sizes: list[tuple[int, int]], facts_max: int
) -> None:
    files, first = [], 0
    for size, day in sizes:
        files.append(ArchiveFile(first, first + size - 1, NOON.date().replace(day=day), Path(str(first)), first))
        first += size
    for group in groups_to_merge(files, facts_max):
        at = files.index(group[0])
        assert files[at : at + len(group)] == group
        assert len({file.day for file in group}) == 1
        assert len(group) > 1
        assert group[-1].last - group[0].begin < facts_max
