"""The archive in trouble: killed, cut off at any operation or without room, it has every fact once and goes on."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist
from ingest.archive.log import ArchivedLog
from ingest.vocabulary.errors import Unavailable
from tests.support.archiving import Disk, archived_facts, names_of
from tests.support.build import NOON, views
from tests.support.embedded import Embedded, embedded, read_all, temporary_folder

ROOT = Path(__file__).parents[2]
ROUNDS = pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.soak)])


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as made:
        yield made


def assert_like_the_log(dangol: Embedded, place: Path) -> None:
    """The archive has a beginning of every partition, each fact once; with the log behind it, everything."""
    whole, ends = read_all(dangol.log), Archive(place).ends()
    assert archived_facts(place) == [each for each in whole if each.position.offset <= ends[each.position.partition]]
    assert read_all(ArchivedLog(Archive(place), dangol.log)) == whole


def small_files(dangol: Embedded, place: Path) -> None:
    """Ten files of a day, and facts of two days that are not archived yet."""
    dangol.log.append(views(20, subject="mary", occurred_at=NOON))
    Archivist(dangol.log, place, chunk_facts_max=2).catch_up()
    dangol.log.append(views(3, subject="mary", occurred_at=NOON + timedelta(days=1)))
    dangol.log.append(views(3, subject="mary", occurred_at=NOON + timedelta(days=2)))


def one_round(dangol: Embedded, place: Path) -> None:
    archivist = Archivist(dangol.log, place, chunk_facts_max=2)
    archivist.catch_up()
    archivist.compact()


def operations_of_a_round() -> int:
    """How many operations of the disk a round over `small_files` takes."""
    disk = Disk()
    with temporary_folder() as made, embedded(made, ()) as dangol:
        small_files(dangol, made / "archive")
        with disk.in_use():
            one_round(dangol, made / "archive")
    return disk.operations


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_power_cut_at_each_operation_in_turn_leaves_neither_a_gap_nor_an_overlap(after: bool) -> None:
    operations = operations_of_a_round()
    assert operations > 25
    for strike_at in range(1, operations + 1):
        with temporary_folder() as made, embedded(made, ()) as dangol:
            place = made / "archive"
            small_files(dangol, place)
            with Disk(strike_at, after=after).in_use():
                one_round(dangol, place)
            assert_like_the_log(dangol, place)
            one_round(dangol, place)
            assert archived_facts(place) == read_all(dangol.log)
            assert not list(place.rglob(".writing-*"))
            over = ["000000000000000-000000000000019.parquet", "000000000000020-000000000000022.parquet"]
            assert names_of(place)[:2] == over, "days that are over have one file, whatever was cut off"


def test_a_disk_that_is_full_at_each_operation_in_turn_is_unavailable_and_goes_on_with_room() -> None:
    for strike_at in range(1, operations_of_a_round() + 1):
        with temporary_folder() as made, embedded(made, ()) as dangol:
            place = made / "archive"
            small_files(dangol, place)
            with Disk(strike_at, full=True).in_use(), pytest.raises(Unavailable, match="No space left"):
                one_round(dangol, place)
            assert_like_the_log(dangol, place)
            one_round(dangol, place)
            assert archived_facts(place) == read_all(dangol.log)


@ROUNDS
def test_an_archivist_killed_at_random_moments_goes_on_behind_what_is_there(folder: Path, rounds: int) -> None:
    seed = int(os.environ.get("DANGOL_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (DANGOL_TEST_SEED repeats it)")
    rng = random.Random(seed)
    place = folder / "archive"
    for round_ in range(rounds):
        words = [sys.executable, "-m", "tests.support.archiving_process", str(folder), str(round_)]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            try:
                process.wait(rng.uniform(0.02, 0.7))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        with embedded(folder, ()) as dangol:
            assert_like_the_log(dangol, place)
    with embedded(folder, ()) as dangol:
        assert len(read_all(dangol.log)) > 0
        one_round(dangol, place)
        assert archived_facts(place) == read_all(dangol.log)
        assert not list(place.rglob(".writing-*"))


def test_a_file_that_may_not_grow_leaves_the_archive_as_it_was_and_goes_on_with_room(folder: Path) -> None:
    """The limit is this process's own, as `prlimit --fsize` sets it; the log's files are not written meanwhile."""
    place = folder / "archive"
    with embedded(folder, ()) as dangol:
        dangol.log.append(views(3, subject="mary"))
        Archivist(dangol.log, place).catch_up()
        dangol.log.append(views(5_000, subject="mary"))
        before = names_of(place)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
        try:
            with pytest.raises(Unavailable, match="could not be written: File too large"):
                Archivist(dangol.log, place).catch_up()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert names_of(place) == before
        assert not list(place.rglob(".writing-*"))
        assert_like_the_log(dangol, place)
        assert Archivist(dangol.log, place).catch_up() == 5_000
        assert archived_facts(place) == read_all(dangol.log)
