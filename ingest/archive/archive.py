"""The archive, read: facts by position, byte for byte, and columns at the speed of a scan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.archive.columns import checked_names, checked_offsets, facts_of, selected, tag_of
from ingest.archive.files import LISTINGS_MAX, ArchiveFile, cover_of, partition_folder
from ingest.archive.parquet import Opened, opened, reading
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import PARTITIONS

_FILES_OPEN_MAX = 2 * PARTITIONS
_GROUPS_KEPT_MAX = PARTITIONS  # one for each partition that is read in turns: 16 MB each at most

Files = tuple[ArchiveFile, ...]


class Archive:
    """The archive in a folder; where there is none, it is empty.

    Guarantees: every fact once, in log order of its partition, whatever is written or compacted meanwhile. Any thread
    may call.
    Not guaranteed: that a fact is known before `ends` was asked again.
    Raises, everywhere: `Corrupt` with the name of a file that is damaged, foreign or missing; `NewerVersion` for one
    that a newer Dangol wrote; `Unavailable` for one that cannot be read at present.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, Files] = {}
        self._opened = lru_cache(maxsize=_FILES_OPEN_MAX)(opened)
        self._group = lru_cache(maxsize=_GROUPS_KEPT_MAX)(_group)

    def ends(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 where it is empty. Cost: as `cover_of`, for each."""
        return tuple(self.end(partition) for partition in range(PARTITIONS))

    def end(self, partition: int) -> int:
        """The last offset of a partition as its folder is now, -1 where it is empty."""
        files = self._list(partition)
        return files[-1].last if files else -1

    def known_end(self, partition: int) -> int:
        """The same as of the last time anyone asked: no more than `end`, and for nothing."""
        files = self._known(partition)
        return files[-1].last if files else -1

    def begin(self, partition: int) -> int | None:
        """The first offset of a partition, None where it is empty."""
        files = self._known(partition)
        return files[0].first if files else None

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts behind offset `after`, at most `limit`; fewer only where the archive ends.

        Cost: about 3 µs a fact in order; a fact at random unpacks its row group.
        """
        found: list[Recorded] = []
        while len(found) < limit and (at := self._open(partition, after + 1)) is not None:
            for number in range(max(0, bisect_right(at.starts, after + 1) - 1), len(at.starts)):
                offsets, stored = self._group(at, number)
                begin = int(np.searchsorted(offsets, after, side="right"))
                rows = slice(begin, begin + limit - len(found))
                with reading(at.file):
                    found += facts_of(partition, offsets[rows].tolist(), stored[rows].to_pylist())
                if len(found) == limit:
                    break
            after = at.file.last
        return found

    def columns(
        self, kinds: Collection[type[Event]], names: Collection[str], *, upto: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Some columns of all facts of some kinds (of every kind if none is named), a row group at a time.

        What an erased customer did is among them, as in the log: ask for `CustomerErased` too, and drop its subject.

        Args:
            kinds, names: which rows and columns; columns are those of `ingest.archive.columns.SCHEMA`.
            upto: the last offset of each partition to read, `ends()` unless given.

        Raises:
            ConfigurationError: there is no such column.
        """
        asked = checked_names(names)
        for partition, last in enumerate(self.ends() if upto is None else upto):
            for table in self.scan(partition, list(dict.fromkeys(("type", *asked))), last=last):
                for batch in table.to_batches():
                    chosen = selected(batch, frozenset(map(tag_of, kinds)), asked)
                    if chosen.num_rows:
                        yield chosen

    def scan(self, partition: int, names: Sequence[str], *, last: int) -> Iterator[pa.Table]:
        """Some columns of a partition up to and including `last`, a row group at a time."""
        after = -1
        while after < last and (at := self._open(partition, after + 1)) is not None:
            yield from at.groups(names, begin=max(after + 1, at.file.begin), last=last)
            after = at.file.last

    def _open(self, partition: int, offset: int) -> Opened | None:
        """The file that holds an offset or, where there is none, the next one; None behind the last."""
        for _ in range(LISTINGS_MAX):
            files = self._known(partition)
            at = bisect_right(files, offset - 1, key=lambda file: file.last)
            if at == len(files):
                return None
            try:
                return self._opened(files[at], partition)
            except FileNotFoundError:
                self._list(partition)  # it was compacted: another file has its facts
        raise Unavailable(f"the archive of partition {partition} changes faster than it can be read")

    def _known(self, partition: int) -> Files:
        files = self._files.get(partition)
        return self._list(partition) if files is None else files

    def _list(self, partition: int) -> Files:
        self._files[partition] = files = cover_of(partition_folder(self._folder, partition)).files
        return files


def _group(at: Opened, number: int) -> tuple[NDArray[np.int64], pa.Array]:
    """Offsets and stored bytes of a row group."""
    table = at.group(number, ("offset", "stored"))
    with reading(at.file):
        offsets = table.column("offset").to_numpy()
        checked_offsets(offsets, at.file.first, at.file.last)
        return offsets, table.column("stored").combine_chunks()
