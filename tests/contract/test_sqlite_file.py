"""What the embedded file promises its users: group commits, savepoints, and errors in our own words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest.embedded import APPLICATION_ID, SqliteFile
from ingest.vocabulary.errors import MalformedEvent, Unavailable

SCHEMA = "CREATE TABLE notes (note TEXT PRIMARY KEY)"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    opened = SqliteFile(tmp_path / "notes.sqlite3", schema=SCHEMA, version=1)
    yield opened
    opened.close()


def note(connection: sqlite3.Connection, text: str) -> str:
    connection.execute("INSERT INTO notes VALUES (?)", (text,))
    return text


def notes(file: SqliteFile) -> set[str]:
    return {text for (text,) in file.reader().execute("SELECT note FROM notes")}


def in_one_group(file: SqliteFile, works: list) -> list:  # type: ignore[type-arg]
    """Run works in one group: the writer is held until all of them wait. Gives results or exceptions."""
    free, held = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        assert free.wait(60)

    with ThreadPoolExecutor(len(works) + 1) as threads:
        threads.submit(file.write, hold)
        assert held.wait(60)
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(threads.submit(file.write, work))
            while file._tasks.qsize() < number:
                threading.Event().wait(0.001)
        free.set()
        return [future.exception() or future.result() for future in futures]


def test_a_work_that_raises_spoils_no_other_of_its_group(file: SqliteFile) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        note(connection, "bad")
        raise MalformedEvent("no")

    groups: list[bool] = []
    file.after_group.append(groups.append)
    first, failure, last = in_one_group(
        file, [lambda connection: note(connection, "first"), bad, lambda connection: note(connection, "last")]
    )
    assert (first, last) == ("first", "last")
    assert isinstance(failure, MalformedEvent)
    assert notes(file) == {"first", "last"}
    assert groups == [True, True], "one commit for the one that held, one for the group"


def test_a_work_that_the_file_itself_refuses_fails_its_whole_group(file: SqliteFile) -> None:
    file.write(lambda connection: note(connection, "there"))
    good, bad = in_one_group(
        file, [lambda connection: note(connection, "good"), lambda connection: note(connection, "there")]
    )
    assert isinstance(good, Unavailable)
    assert isinstance(bad, Unavailable)
    assert notes(file) == {"there"}
    assert file.write(lambda connection: note(connection, "later")) == "later"


def test_a_hook_that_raises_before_the_commit_fails_the_group_and_not_the_file(file: SqliteFile) -> None:
    broken = [True]

    def hook(_: sqlite3.Connection) -> None:
        if broken.pop():
            raise MalformedEvent("no")

    file.before_commit.append(hook)
    with pytest.raises(MalformedEvent):
        file.write(lambda connection: note(connection, "a"))
    file.before_commit.clear()
    file.write(lambda connection: note(connection, "b"))
    assert notes(file) == {"b"}


def test_a_follower_that_fails_neither_loses_the_answer_nor_stops_the_file(file: SqliteFile) -> None:
    def broken(_: bool) -> None:
        raise ValueError("a follower's mistake")

    file.after_group.append(broken)
    with capture_logs() as logged:
        assert file.write(lambda connection: note(connection, "a")) == "a"
        assert file.write(lambda connection: note(connection, "b")) == "b"
    assert notes(file) == {"a", "b"}
    assert [entry["event"] for entry in logged] == ["a follower of commits failed"] * 2


def test_hooks_hear_whether_another_process_has_written(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite3"
    here, there = SqliteFile(path, schema=SCHEMA, version=1), SqliteFile(path, schema=SCHEMA, version=1)
    heard: list[bool] = []
    here.before_group.append(lambda _, changed: heard.append(changed))
    for file, text in ((here, "a"), (here, "b"), (there, "c"), (here, "d"), (here, "e")):
        file.write(lambda connection, text=text: note(connection, text))  # type: ignore[misc]
    assert heard == [True, False, True, False]
    assert notes(here) == notes(there) == set("abcde")
    here.close()
    there.close()


def test_a_closed_file_takes_nothing_and_may_be_closed_again(file: SqliteFile) -> None:
    file.write(lambda connection: note(connection, "a"))
    file.close()
    file.close()
    with pytest.raises(Unavailable):
        file.write(lambda connection: note(connection, "b"))


def test_a_reader_cannot_write(file: SqliteFile) -> None:
    with pytest.raises(Exception, match="readonly"):
        file.reader().execute("INSERT INTO notes VALUES ('a')")


def test_the_file_is_durable_and_says_what_it_is(file: SqliteFile) -> None:
    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "secure_delete", "application_id", "user_version")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert file.write(settings) == ["wal", 2, 1, APPLICATION_ID, 1]


def test_a_checkpoint_empties_the_write_ahead_log(file: SqliteFile) -> None:
    file.write(lambda connection: note(connection, "a"))
    wal = file.path.with_name(file.path.name + "-wal")
    assert wal.stat().st_size > 0
    file.checkpoint()
    assert wal.stat().st_size == 0


def test_a_checkpoint_that_a_reader_holds_up_says_so(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.embedded.BUSY_TIMEOUT_S", 0.05)
    file.write(lambda connection: [note(connection, f"{number}") for number in range(3)])
    reading = file.reader().execute("SELECT note FROM notes")
    reading.fetchone()
    file.write(lambda connection: note(connection, "later"))
    with pytest.raises(Unavailable, match="being read"):
        file.checkpoint()
    reading.fetchall()
    file.checkpoint()


def test_processes_that_make_a_file_at_the_same_time_all_open_it(tmp_path: Path) -> None:
    for round_ in range(5):
        start = threading.Barrier(8)

        def make(_: int, path: Path = tmp_path / f"{round_}", start: threading.Barrier = start) -> None:
            start.wait()
            SqliteFile(path, schema=SCHEMA, version=1).close()

        with ThreadPoolExecutor(8) as makers:
            list(makers.map(make, range(8)))
