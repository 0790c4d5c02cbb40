"""Columns in a folder: read once, trusted only as far as they can be, bounded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import Event
from recommender.columns import files, shape
from recommender.columns.gathering import gathered
from recommender.columns.shape import Arrays
from recommender.columns.store import ColumnStore
from tests.support.columns import Facts
from tests.support.histories import erased, order, titled, upserted, view

BYTES_A_VIEW = 60  # of the file, names included: what a view of a shop of some thousands takes


def day_of_a_shop(day: int, visitors: int = 40) -> list[Event]:
    """What some visitors do on a day."""
    facts: list[Event] = [view(f"p{who % 7}", day + who / 100, f"visitor {who}") for who in range(visitors)]
    facts += [order(f"{day}-{who}", "abc", day + 0.5, f"visitor {who}") for who in range(0, visitors, 5)]
    return [*facts, upserted(titled("a", f"Cup {day}"), day)]


def assert_same(found: Arrays, facts: Facts, cut: list[int] | None = None) -> None:
    """What was read is what gathering every fact gives."""
    for name, array in gathered(facts.events(cut)).items():
        assert array.dtype == found[name].dtype
        assert np.array_equal(array, found[name]), name


def names_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("facts_max", [1, 7, 1_000])
def test_every_fact_is_decoded_once(tmp_path: Path, gap: int, facts_max: int) -> None:
    facts, store = Facts(gap=gap), ColumnStore(tmp_path / "columns", facts_max=facts_max)
    for day in range(4):
        facts.append(day_of_a_shop(day))
        store.extend(facts, facts.ends())
        assert_same(store.read(facts, facts.ends()), facts)
    facts.read = 0
    store.extend(facts, facts.ends())
    assert_same(store.read(facts, facts.ends()), facts)
    assert facts.read <= 2 * 16  # the last one of each partition, to see whose columns they are


def test_what_is_not_kept_yet_is_read_from_the_log(tmp_path: Path) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    store.extend(facts, facts.ends())
    facts.append(day_of_a_shop(1))
    before = names_of(tmp_path)
    assert_same(store.read(facts, facts.ends()), facts)
    assert names_of(tmp_path) == before


def test_an_earlier_cut_is_not_told_what_came_after_it(tmp_path: Path) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    cut = facts.ends()
    facts.append(day_of_a_shop(1))
    store.extend(facts, facts.ends())
    assert_same(store.read(facts, cut), facts, cut)


def test_stretches_stay_few_and_small_however_often_they_grow(tmp_path: Path) -> None:
    facts, store = Facts(), ColumnStore(tmp_path / "columns", facts_max=64)
    for day in range(40):
        facts.append([view(f"p{who}", day + who / 100, "one visitor") for who in range(5)])
        store.extend(facts, facts.ends())
        kept = [stretch for _, stretch in _stretches(tmp_path / "columns")]
        assert all(stretch.last - stretch.begin < 64 for stretch in kept)
        assert len(kept) <= 3 + 2 * 5 * (day + 1) / 64 + 6
    assert_same(store.read(facts, facts.ends()), facts)


def _stretches(folder: Path) -> list[tuple[int, files.Stretch]]:
    return [
        (partition, stretch)
        for partition in range(16)
        for stretch in files.stretches_in(files.partition_folder(folder, partition))
    ]


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def _renamed(path: Path) -> None:
    path.rename(path.with_name("000000000000000-000000000000099.columns"))


def _unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS = (_cut_short, _emptied, _longer, _flipped, _foreign, _renamed, _unreadable, Path.unlink)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("which", [0, -1])
def test_a_file_that_is_not_what_was_written_is_not_used_and_made_again(
    tmp_path: Path, harm: Callable[[Path], None], which: int
) -> None:
    folder = tmp_path / "columns"
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(folder, facts_max=3)
    store.extend(facts, facts.ends())
    whole = {name: (folder / name).read_bytes() for name in names_of(folder)}
    harm(_stretches(folder)[which][1].path)
    assert_same(store.read(facts, facts.ends()), facts)
    if harm is not _unreadable:
        store.extend(facts, facts.ends())
        assert {name: (folder / name).read_bytes() for name in names_of(folder)} == whole
    assert_same(store.read(facts, facts.ends()), facts)


def test_columns_of_another_shape_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    store.extend(facts, facts.ends())
    monkeypatch.setattr(shape, "VERSION", shape.VERSION + 1)
    facts.read = 0
    store.extend(facts, facts.ends())
    assert facts.read >= len(facts.events())
    facts.read = 0
    assert_same(store.read(facts, facts.ends()), facts)
    assert facts.read <= 16


def test_columns_of_another_log_are_made_again(tmp_path: Path) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    store.extend(facts, facts.ends())
    for other in (Facts(day_of_a_shop(1)), Facts(day_of_a_shop(0, visitors=20)), Facts(day_of_a_shop(1, visitors=80))):
        assert_same(store.read(other, other.ends()), other)
        store.extend(other, other.ends())
        assert_same(store.read(other, other.ends()), other)


def test_a_part_of_one_log_behind_a_part_of_another_is_not_used(tmp_path: Path) -> None:
    ours, theirs = (Facts([view(f"{who}{at}", at, "v") for at in range(9)]) for who in "ab")
    for name, facts in (("ours", ours), ("theirs", theirs)):
        ColumnStore(tmp_path / name, facts_max=3).extend(facts, facts.ends())
    first = _stretches(tmp_path / "ours")[0][1].path
    _stretches(tmp_path / "theirs")[0][1].path.rename(first)
    assert_same(ColumnStore(tmp_path / "ours").read(ours, ours.ends()), ours)


def test_a_difference_is_told_by_the_file_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    store.extend(facts, facts.ends())
    assert store.difference(facts) is None
    monkeypatch.setattr("recommender.columns.gathering.VIEW", 2)
    told = store.difference(facts)
    assert told is not None
    assert "deeds.kind in " in told


def test_a_folder_that_cannot_be_written_is_said_and_reading_goes_on(tmp_path: Path) -> None:
    (tmp_path / "columns").write_text("not a folder")
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    with pytest.raises(Unavailable, match="cannot be written"):
        store.extend(facts, facts.ends())
    assert_same(store.read(facts, facts.ends()), facts)


@pytest.mark.parametrize("operation", ["fsync", "rename"])
def test_a_write_that_is_cut_off_at_any_operation_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    folder = tmp_path / "columns"
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(folder, facts_max=5)
    store.extend(facts, facts.ends())
    facts.append(day_of_a_shop(1))
    holder, done = (os, os.fsync) if operation == "fsync" else (Path, Path.rename)
    for strike_at in range(1, 200):
        left = iter(range(strike_at - 1))

        def struck(*arguments: object, left: object = left, done: Callable[..., object] = done) -> object:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise OSError(28, "No space left on device")
            return done(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(holder, operation, struck)
            try:
                store.extend(facts, facts.ends())
            except Unavailable:
                assert_same(store.read(facts, facts.ends()), facts)
                assert not [name for name in names_of(folder) if ".writing-" in name]
                continue
        break
    assert 3 < strike_at < 200
    assert_same(store.read(facts, facts.ends()), facts)


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "columns"
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(folder)
    store.extend(facts, facts.ends())
    whole = names_of(folder)
    path = folder / whole[0]
    path.with_name(f".writing-{path.name}").write_bytes(b"half")
    store.extend(facts, facts.ends())
    assert names_of(folder) == whole


def test_no_name_of_a_person_is_in_the_files(tmp_path: Path) -> None:
    name = "subject-7f3a"
    facts = Facts([view("mug", 0, name), order("order-7f3a", "ab", 1, name), erased(name, 2)])
    ColumnStore(tmp_path / "columns").extend(facts, facts.ends())
    content = b"".join((tmp_path / name).read_bytes() for name in names_of(tmp_path))
    assert b"mug" in content
    assert b"7f3a" not in content


def test_a_view_takes_the_bytes_that_the_page_says(tmp_path: Path) -> None:
    views: list[Event] = [view(f"p{at % 997}", at / 100, f"visitor {at // 20}") for at in range(20_000)]
    facts, store = Facts(views, at_once=2_000), ColumnStore(tmp_path / "columns")
    store.extend(facts, facts.ends())
    assert store.bytes / len(views) < BYTES_A_VIEW


def test_cleared_columns_are_made_again(tmp_path: Path) -> None:
    facts, store = Facts(day_of_a_shop(0)), ColumnStore(tmp_path / "columns")
    store.clear()
    store.extend(facts, facts.ends())
    store.clear()
    assert names_of(tmp_path) == []
    assert_same(store.read(facts, facts.ends()), facts)
