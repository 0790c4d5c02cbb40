"""The files of the archive: what is there follows from their names alone.

    <folder>/p07/day=2026-11-22/000000000000120-000000000000349.parquet     the facts 120 to 349 of partition 7
    <folder>/p07/day=2026-11-22/.writing-…                                  a file being written: not there yet
    <folder>/p07/.lock                                                      held by whoever writes the partition

A file never changes. Its day is the UTC day of the newest `received_at` in it. Compacting adds a file and then removes
those it covers; between the two both are there, so readers take the longest file at each place and pass over what it
covers. Two writers that do not see each other's lock (some network file systems) can only write the same facts twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ingest.vocabulary.errors import Corrupt, Unavailable

_WRITING = ".writing-"
_LOCK = ".lock"
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_NAME = re.compile(r"(\d{15})-(\d{15})\.parquet")  # 48 bits of offset, so that names sort as facts do
LISTINGS_MAX = 20  # a listing that changes while it is read is read again


class ArchiveFile(NamedTuple):
    """A file and the facts in it: everything its partition has from `first` to `last`; `begin` is the first to use."""

    first: int
    last: int
    day: date
    path: Path
    begin: int


class Cover(NamedTuple):
    """Files that hold every fact of a partition once, in order, and those that they cover."""

    files: tuple[ArchiveFile, ...]
    covered: tuple[ArchiveFile, ...]

    @property
    def end(self) -> int:
        """The last offset, -1 for none."""
        return self.files[-1].last if self.files else -1


def partition_folder(folder: Path, partition: int) -> Path:
    """Where a partition lies."""
    return folder / f"p{partition:02d}"


def path_of(partition: Path, day: date, first: int, last: int) -> Path:
    """Where a file of a partition lies."""
    return partition / f"day={day.isoformat()}" / f"{first:015d}-{last:015d}.parquet"


def cover_of(partition: Path) -> Cover:
    """What a partition's folder holds at a moment during this call. Cost: two listings, 40 µs a day of history.

    A folder is not read at one moment, so it is read until it is the same twice: a file that is missing because it was
    compacted meanwhile shows as another one.

    Raises:
        Corrupt: facts are missing between two files, or something is there that is no file of the archive.
        Unavailable: the folder cannot be read, or changes all the time.
    """
    try:
        before = _listing(partition)
        for _ in range(LISTINGS_MAX):
            listing = _listing(partition)
            if listing == before:
                return _cover(listing)
            before = listing
    except OSError as error:
        raise Unavailable(f"the archive {partition} cannot be read: {error.strerror}") from error
    raise Unavailable(f"the archive {partition} changes faster than it can be listed")


def _listing(partition: Path) -> list[ArchiveFile]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for folder in _visible(partition):
            day = _DAY.fullmatch(folder.name)
            if day is None:
                raise Corrupt(f"{folder} is no day of the archive: move it elsewhere")
            found += [_archive_file(path, day[1]) for path in _visible(folder)]
    return sorted(found, key=lambda file: (file.first, -file.last, file.path))


def _visible(folder: Path) -> list[Path]:
    """What does not begin with a dot: files being written, and those of file systems and desktops, do."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if not entry.name.startswith(".")]


def _archive_file(path: Path, day: str) -> ArchiveFile:
    name = _NAME.fullmatch(path.name)
    if name is None or int(name[1]) > int(name[2]):
        raise Corrupt(f"{path} is no file of the archive: move it elsewhere")
    try:
        return ArchiveFile(int(name[1]), int(name[2]), date.fromisoformat(day), path, int(name[1]))
    except ValueError as error:
        raise Corrupt(f"{path.parent} is no day of the archive: move it elsewhere") from error


def _cover(listing: Sequence[ArchiveFile]) -> Cover:
    """Files in order of (first, longest first): each that goes beyond those before is used from where they end."""
    files: list[ArchiveFile] = []
    covered = []
    for file in listing:
        begin = files[-1].last + 1 if files else file.first
        if file.last < begin:
            covered.append(file)
        elif file.first > begin:
            raise Corrupt(f"the archive lacks the facts {begin} to {file.first - 1}, before {file.path}: restore them")
        else:
            files.append(file._replace(begin=begin))
    return Cover(tuple(files), tuple(covered))


@contextlib.contextmanager
def alone(partition: Path) -> Iterator[bool]:
    """Whether nobody else writes the partition, and nobody begins to within the block; a dead writer holds nothing."""
    with (partition / _LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def make_folder(folder: Path) -> None:
    """Make a folder, and the way to it, to last: a file in it must not outlive it."""
    if not folder.parent.exists():
        make_folder(folder.parent)
    if not folder.exists():
        folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)  # one that is there may not be on disk yet


def put(target: Path, chunks: Iterator[bytes]) -> None:
    """Write a file that is there as a whole, on disk, or not at all.

    Raises:
        OSError: nothing is there.
    """
    writing = target.with_name(_WRITING + target.name)
    try:
        with writing.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        writing.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            writing.unlink()
        raise
    sync_folder(target.parent)


def remove(files: Sequence[ArchiveFile]) -> None:
    """Remove files that others cover."""
    for file in files:
        file.path.unlink(missing_ok=True)
    for folder in {file.path.parent for file in files}:
        sync_folder(folder)


def remove_leftovers(partition: Path) -> None:
    """Remove what a crash left half written; only whoever is `alone` may."""
    for path in partition.glob(f"day=*/{_WRITING}*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
