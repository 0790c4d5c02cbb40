"""Columns of a shop are the same files, whether its log is SQLite, or an archive with the rest of a log behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist
from ingest.archive.log import ArchivedLog
from ingest.folding.repeats import EVERY_FACT
from ingest.vocabulary.events import Event
from ingest.vocabulary.ports import EventLog
from recommender.columns.shape import Arrays
from recommender.interactions import assembled
from serving.columns import COLUMNS_FOLDER, LogColumns
from tests.support.embedded import embedded, read_all
from tests.support.histories import erased, order, titled, upserted, view
from tests.support.plain_interactions import assert_equal, plain_interactions_of


def shopping(day: int) -> list[Event]:
    """What some visitors do on a day."""
    facts: list[Event] = [view("abcdefg"[who % 7], day + who / 100, f"visitor {day} {who}") for who in range(60)]
    facts += [order(f"{day}-{who}", "abc", day + 0.5, f"visitor {day} {who}") for who in range(0, 60, 5)]
    return [*facts, upserted(titled("a", f"Cup {day}"), day), erased(f"visitor {day} 10", day + 0.9)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.columns")}


def read(folder: Path, log: EventLog) -> Arrays:
    """Keep columns of a log in a folder of their own, and read them."""
    folder.mkdir(exist_ok=True)
    columns = LogColumns(folder, log, EVERY_FACT)
    columns.extend(log.ends())
    assert columns.difference() is None
    return columns.read(log.ends())


@pytest.mark.parametrize("archived", ["nothing", "some", "everything"])
def test_both_deployments_have_the_same_columns(tmp_path: Path, archived: str) -> None:
    with embedded(tmp_path, ()) as dangol:
        place = tmp_path / "archive"
        dangol.log.append(shopping(0))
        if archived != "nothing":
            Archivist(dangol.log, place, chunk_facts_max=7).catch_up()
        dangol.log.append(shopping(1))
        if archived == "everything":
            Archivist(dangol.log, place, chunk_facts_max=7).catch_up()
        plain, distributed = tmp_path / "plain", tmp_path / "distributed"
        found = [read(plain, dangol.log), read(distributed, ArchivedLog(Archive(place), dangol.log))]
        expected = plain_interactions_of(each.event for each in read_all(dangol.log))
        for each in found:
            assert_equal(assembled(each), expected)
        assert files_of(plain / COLUMNS_FOLDER) == files_of(distributed / COLUMNS_FOLDER) != {}


def test_columns_outlive_the_facts_that_a_log_forgot_for_its_archive(tmp_path: Path) -> None:
    """The same folder goes on when what it was made of is read from the archive from then on."""
    with embedded(tmp_path, ()) as dangol:
        place, kept = tmp_path / "archive", tmp_path / "kept"
        dangol.log.append(shopping(0))
        read(kept, dangol.log)
        Archivist(dangol.log, place).catch_up()
        dangol.log.append(shopping(1))
        found = read(kept, ArchivedLog(Archive(place), dangol.log))
        assert_equal(assembled(found), plain_interactions_of(each.event for each in read_all(dangol.log)))
