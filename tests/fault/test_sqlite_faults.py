"""The embedded file in trouble: nothing acknowledged is lost, nothing happens twice, states stay a fold of the log."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.embedded import SqliteFile
from ingest.folding.fold import encode_states, fold
from ingest.vocabulary.errors import ConfigurationError, Corrupt, NewerVersion, Unavailable
from ingest.vocabulary.events import Custom, CustomerIdentified, Event, OrderCompleted, ProductViewed
from tests.support.build import fact, product, views
from tests.support.crashing import batch
from tests.support.embedded import MAIN_FILE, SCHEMA, VERSION, Embedded, embedded, read_all, states_of, temporary_folder
from tests.support.faults import Fault, break_writer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as made:
        yield made


def replayed(dangol: Embedded) -> dict[tuple[str, str], bytes]:
    """The states that the log gives when it is folded from zero."""
    folded = fold(dangol.projections, read_all(dangol.log), lambda *_: {})
    return {
        place: stored
        for place, stored in encode_states(dangol.projections, folded.states).items()
        if stored is not None
    }


def is_consistent(dangol: Embedded) -> bool:
    """Whether states in the store and in memory are those of a replay, each fact there once."""
    expected = replayed(dangol)
    assert states_of(dangol.store, dangol.projections) == expected
    assert dangol.store.positions() == dangol.log.ends()
    for name, key in expected:
        state = dangol.projector.state(name, key)
        assert encode_states(dangol.projections, {(name, key): state}) == {(name, key): expected[(name, key)]}
    counted = Counter(recorded.event.event_id for recorded in read_all(dangol.log))
    assert set(counted.values()) <= {1}
    return True


def one_of_each(number: int) -> list[Event]:
    return [
        fact(ProductViewed, event_id=f"view-{number}", subject="mary"),
        fact(OrderCompleted, order_id=f"o-{number}", subject="john"),
        fact(CustomerIdentified, event_id=f"who-{number}", subject=f"visitor-{number}", known="mary"),
        fact(Custom, event_id=f"echo-{number}", subject="anne", name="echo"),
        product(f"p-{number}", event_id=f"product-{number}"),
    ]


def operations_of_an_append() -> int:
    with temporary_folder() as folder, embedded(folder) as dangol:
        dangol.log.append(one_of_each(0))
        fault = Fault()
        break_writer(dangol.file, fault)
        dangol.log.append(one_of_each(1))
        return fault.operations


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_operation_fails_an_append_is_whole_or_not_there(folder: Path, after: bool) -> None:
    operations = operations_of_an_append()
    assert operations > 15
    with embedded(folder) as dangol:
        dangol.log.append(one_of_each(0))
        for strike_at in range(1, operations + 1):
            number = strike_at
            break_writer(dangol.file, Fault(strike_at, after=after))
            with pytest.raises(Unavailable):
                dangol.log.append(one_of_each(number))
            break_writer(dangol.file, Fault())
            there = dangol.log.find(f"view-{number}") is not None  # type: ignore[arg-type]
            assert there is (after and strike_at == operations), "only a commit that was done and not heard of is there"
            if there:
                dangol.file.write(lambda _: None)  # memory is mistrusted from the next group on
            assert is_consistent(dangol)
            written = dangol.log.append(one_of_each(number))
            assert [position is None for position in written] == [there] * len(written)
            assert is_consistent(dangol)
    with embedded(folder) as dangol:
        assert is_consistent(dangol)


@pytest.mark.parametrize("strike_at", [1, 2, 4])
def test_a_file_that_fails_for_one_group_serves_the_next(folder: Path, strike_at: int) -> None:
    with embedded(folder) as dangol:
        break_writer(dangol.file, Fault(strike_at))
        with pytest.raises(Unavailable):
            dangol.log.append(views(3))
        assert None not in dangol.log.append(views(3))
        assert is_consistent(dangol)


def limit_pages(file: SqliteFile, more: int | None) -> None:
    """Let the file grow by some pages only, or without limit."""

    def work(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={1_000_000 if more is None else pages + more}")

    file.write(work)


def refused_for(dangol: Embedded, events: list[Event]) -> str | None:
    """Why facts were not appended, or None if they were."""
    try:
        dangol.log.append(events)
    except Unavailable as error:
        return error.message
    return None


def test_a_full_disk_loses_nothing_acknowledged_and_passes(folder: Path) -> None:
    acknowledged: list[Event] = []
    with embedded(folder) as dangol:
        limit_pages(dangol.file, 20)
        more = views(7, subject="mary")
        while refused_for(dangol, more) is None:
            acknowledged += more
            more = views(7, subject="mary")
        assert "full" in (refused_for(dangol, more) or "")
        assert acknowledged
        with pytest.raises(Unavailable):
            dangol.log.append(views(2_000))
        assert [recorded.event for recorded in read_all(dangol.log)] == acknowledged
        assert is_consistent(dangol)
        limit_pages(dangol.file, None)
        assert None not in dangol.log.append(more), "the refused facts were not kept by half"
        assert is_consistent(dangol)
    with embedded(folder) as dangol:
        assert [recorded.event for recorded in read_all(dangol.log)] == acknowledged + more


def reopened_after_crash(folder: Path, acknowledged: list[tuple[int, int]]) -> None:
    """Every acknowledged batch is there once, batches are whole, states are a replay."""
    with embedded(folder) as dangol:
        dangol.log.append(views(1))
        assert is_consistent(dangol)
        ids = {recorded.event.event_id for recorded in read_all(dangol.log)}
        for round_, number in acknowledged:
            assert {event.event_id for event in batch(round_, number)} <= ids
        views_there = {each.removeprefix("view-") for each in ids if each.startswith("view-")}
        assert views_there == {each.removeprefix("who-") for each in ids if each.startswith("who-")}


def start(folder: Path, round_: int, strike_at: int, after: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.crashing", str(folder), str(round_), str(strike_at), after]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_process_killed_at_any_moment_loses_nothing_acknowledged(folder: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: list[tuple[int, int]] = []
    for round_ in range(5):
        with start(folder, round_, 0, "") as process:
            assert process.stdout is not None
            upto = chance.randrange(1, 60)
            for line in process.stdout:
                acknowledged.append((round_, int(line)))
                if int(line) == upto:
                    process.kill()
            assert process.wait(60) == -9
        reopened_after_crash(folder, acknowledged)


@pytest.mark.parametrize("after", ["before", "after"])
def test_a_process_that_dies_at_any_operation_loses_nothing_acknowledged(folder: Path, after: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: list[tuple[int, int]] = []
    for round_ in range(5):
        with start(folder, round_, chance.randrange(1, 80), after) as process:
            assert process.stdout is not None
            acknowledged += [(round_, int(line)) for line in process.stdout]
            assert process.wait(60) == 17
        reopened_after_crash(folder, acknowledged)


def test_a_file_of_a_newer_dangol_is_left_alone(folder: Path) -> None:
    path = folder / MAIN_FILE
    SqliteFile(path, schema=SCHEMA, version=VERSION + 1).close()
    before = path.read_bytes()
    with pytest.raises(NewerVersion, match="upgrade it"):
        SqliteFile(path, schema=SCHEMA, version=VERSION)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_corrupt(folder: Path) -> None:
    (folder / MAIN_FILE).write_bytes(b"this is not a database at all " * 500)
    with pytest.raises(Corrupt, match="is damaged"):
        SqliteFile(folder / MAIN_FILE, schema=SCHEMA, version=VERSION)


def test_damaged_pages_are_corrupt_to_readers_and_writers(folder: Path) -> None:
    with embedded(folder) as dangol:
        dangol.log.append(views(2_000))
        dangol.file.checkpoint()
    path = folder / MAIN_FILE
    stored = bytearray(path.read_bytes())
    stored[4096:] = b"\xa5" * (len(stored) - 4096)
    path.write_bytes(stored)
    file = SqliteFile(path, schema=SCHEMA, version=VERSION)
    with pytest.raises(Corrupt, match="is damaged"):
        file.reader().execute("SELECT stored FROM events").fetchall()
    with pytest.raises(Corrupt, match="is damaged"):
        list(file.reader().execute("SELECT stored FROM events"))
    with pytest.raises(Corrupt, match="is damaged"):
        file.write(lambda connection: connection.execute("SELECT count(*) FROM events").fetchone())
    file.close()


def test_a_folder_that_is_not_there_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteFile(folder / "nowhere" / MAIN_FILE, schema=SCHEMA, version=VERSION)


def test_a_fact_that_cannot_be_folded_is_set_aside_and_stops_nobody(folder: Path) -> None:
    with embedded(folder) as dangol:
        dangol.log.append([*views(2), fact(Custom, event_id="bad", name="poison"), *views(2)])
        (letter,) = dangol.dead_letters.all()
        assert letter.code == "unfoldable"
        assert letter.detail == "ValueError: not to be folded"
        assert dangol.store.positions() == dangol.log.ends()
        assert dangol.projector.state("trail", "subject-1").count == 4
