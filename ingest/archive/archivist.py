"""The archivist: writes the log into the archive exactly once, and small files together into larger ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date
from functools import partial
from pathlib import Path

import pyarrow as pa
import structlog

from ingest.archive.columns import SCHEMA, table_of
from ingest.archive.files import (
    ArchiveFile,
    Cover,
    alone,
    cover_of,
    make_folder,
    partition_folder,
    path_of,
    put,
    remove,
    remove_leftovers,
)
from ingest.archive.log import KeptLog, check_same_log, gone_for_good, read_kept
from ingest.archive.parquet import Label, file_bytes, opened
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.errors import NewerVersion, OutOfRetention, Unavailable
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import PARTITIONS

CHUNK_FACTS_MAX = 65_536  # archived at a time, in memory; a file has no more until it is compacted
CHUNK_BYTES_MAX = 67_108_864
FILE_FACTS_MAX = 1_048_576  # of a compacted file: some 100 MB
MERGED_MIN = 8  # so many files of a day that is not over are worth one: each fact is written again only a few times
_READ_AT_ONCE = 2_000

_log = structlog.get_logger(__name__)


class Archivist:
    """Copies facts from a log to the archive in a folder.

    Guarantees: what a call returned is on disk; wherever it is cut off, the archive has every fact up to some offset
    once, and the next call goes on behind that. Several archivists, in any processes, may work at once: each partition
    is written by one, the others pass it over.
    Not guaranteed: that anything is archived before it is called.
    """

    def __init__(
        self,
        log: KeptLog,
        folder: Path,
        *,
        chunk_facts_max: int = CHUNK_FACTS_MAX,
        file_facts_max: int = FILE_FACTS_MAX,
    ) -> None:
        self._log, self._folder = log, folder
        self._chunk_facts_max, self._file_facts_max = chunk_facts_max, file_facts_max
        self._made: set[Path] = set()

    def catch_up(self) -> int:
        """Archive what the log has and the archive lacks; how many facts that were.

        Raises:
            Unavailable: the disk is full, or log or archive cannot be reached; what was written stays, call again.
            Corrupt: the log removed facts before they were archived, or is not the log of this archive.

        Cost: some 10 µs a fact besides reading the log.
        """
        return sum(
            self._written_alone(partition, partial(self._catch_up, end=end))
            for partition, end in enumerate(self._log.ends())
            if end >= 0 or partition_folder(self._folder, partition).exists()
        )

    def compact(self) -> int:
        """Put small files of a day together; how many files went.

        Raises:
            Unavailable: the disk is full, or the archive cannot be reached; nothing is lost, call again.
        """
        return sum(
            self._written_alone(partition, self._compact)
            for partition in range(PARTITIONS)
            if partition_folder(self._folder, partition).exists()
        )

    def _written_alone(self, partition: int, work: Callable[[int, Cover], int]) -> int:
        """The work, given what is there, or nothing where another archivist is at it."""
        folder = partition_folder(self._folder, partition)
        with self._translated():
            self._make(folder)
            with alone(folder) as mine:
                if not mine:
                    return 0
                remove_leftovers(folder)
                cover = cover_of(folder)
                remove(cover.covered)
                return work(partition, cover)

    def _catch_up(self, partition: int, cover: Cover, *, end: int) -> int:
        after = cover.end
        if after > end:  # another archivist came between
            check_same_log(partition, after, self._log.ends()[partition])
        written = 0
        while after < end and (chunk := self._chunk(partition, after, end)):
            for facts, stored in _by_day(chunk):
                last = facts[-1].position.offset
                self._put(partition, _day(facts[0]), after + 1, last, iter([table_of(facts, stored)]))
                after = last
            written += len(chunk)
        return written

    def _chunk(self, partition: int, after: int, end: int) -> list[tuple[Recorded, bytes]]:
        """The next facts of the log, as many as are archived at a time."""
        chunk: list[tuple[Recorded, bytes]] = []
        size = 0
        while after < end and len(chunk) < self._chunk_facts_max and size < CHUNK_BYTES_MAX:
            limit = min(_READ_AT_ONCE, self._chunk_facts_max - len(chunk), end - after)
            try:
                facts = read_kept(self._log, partition, after=after, limit=limit)
            except OutOfRetention as error:
                raise gone_for_good(after, error) from error
            except NewerVersion as error:
                _log.error("a partition is archived no further: upgrade", partition=partition, reason=error.message)
                break
            if not facts:
                break
            stored = [encode_event(each.event) for each in facts]
            chunk += zip(facts, stored, strict=True)
            size += sum(map(len, stored))
            after = facts[-1].position.offset
        return chunk

    def _compact(self, partition: int, cover: Cover) -> int:
        gone = 0
        for files in groups_to_merge(cover.files, self._file_facts_max):
            tables = (table for file in files for table in _rows(file, partition))
            self._put(partition, files[0].day, files[0].begin, files[-1].last, tables)
            remove(files)
            gone += len(files) - 1
        return gone

    def _put(self, partition: int, day: date, first: int, last: int, tables: Iterator[pa.Table]) -> None:
        target = path_of(partition_folder(self._folder, partition), day, first, last)
        self._make(target.parent)
        put(target, file_bytes(tables, Label(partition=partition, first=first, last=last)))

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            make_folder(folder)
            self._made.add(folder)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"the archive {self._folder} could not be written: {error.strerror or error}") from error


def groups_to_merge(files: Sequence[ArchiveFile], facts_max: int) -> list[list[ArchiveFile]]:
    """Which neighbours to put together: all of a day that is over, up to `facts_max` facts in a file; of the last day,
    the newest ones once they are `MERGED_MIN`, as far back as files are not much larger than all that follow."""
    groups: list[list[ArchiveFile]] = []
    for file in files:
        last = groups[-1] if groups else []
        if last and last[0].day == file.day and file.last - last[0].begin < facts_max:
            last.append(file)
        else:
            groups.append([file])
    if groups:
        newest = _comparable(groups.pop())
        groups.append(newest if len(newest) >= MERGED_MIN else [])
    return [group for group in groups if len(group) > 1]


def _comparable(files: Sequence[ArchiveFile]) -> list[ArchiveFile]:
    """The newest of some files, as far back as each has at most twice the facts of all that follow it."""
    end, at = files[-1].last + 1, len(files) - 1
    while at > 0 and files[at].begin - files[at - 1].begin <= 2 * (end - files[at].begin):
        at -= 1
    return list(files[at:])


def _rows(file: ArchiveFile, partition: int) -> Iterator[pa.Table]:
    for table in opened(file, partition).groups(SCHEMA.names, begin=file.begin, last=file.last):
        yield table.cast(SCHEMA)


def _by_day(chunk: Sequence[tuple[Recorded, bytes]]) -> Iterator[tuple[list[Recorded], list[bytes]]]:
    """The chunk, cut where a day begins; where a clock went back, its facts go on in the newer day."""
    start = 0
    for at in range(1, len(chunk) + 1):
        if at == len(chunk) or _day(chunk[at][0]) > _day(chunk[start][0]):
            facts, stored = zip(*chunk[start:at], strict=True)
            yield list(facts), list(stored)
            start = at


def _day(recorded: Recorded) -> date:
    return recorded.event.received_at.astimezone(UTC).date()
