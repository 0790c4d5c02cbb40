"""One log: the archive and, without a gap, the log behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from ingest.archive.archive import Archive
from ingest.archive.columns import checked_names, selected, table_of, tag_of
from ingest.vocabulary.errors import Corrupt, OutOfRetention
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import EventId, Position
from ingest.vocabulary.ports import EventLog

_TAIL_AT_ONCE = 5_000


class KeptLog(EventLog, Protocol):
    """A log that may keep a window only and says where it begins."""

    def beginnings(self) -> tuple[int, ...]:
        """The first offset that each partition still has; what is before it was removed. They only rise."""
        ...


class ArchivedLog:
    """An `EventLog` whose past is the archive: what is in it is read there, the rest from the log behind.

    Guarantees: those of `EventLog`, and that a fact which is neither in the archive nor in the log any more is an
    error that names its offsets, never passed over.
    Not guaranteed: that `find` knows a fact that only the archive has.
    Raises, where it reads: `Corrupt` and `NewerVersion` as `Archive`, and `Corrupt` for facts that are gone;
    `Unavailable` when archive or log cannot be read at present.
    """

    def __init__(self, archive: Archive, log: KeptLog) -> None:
        self._archive, self._log = archive, log

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """Write facts to the log, as it does."""
        return self._log.append(events, once=once)

    def find(self, event_id: EventId) -> Event | None:
        """A fact by its id, as far as the log knows it."""
        return self._log.find(event_id)

    def ends(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 where it is empty.

        Raises:
            Corrupt: the archive goes beyond the log: it is another log's, or the log lost facts.
        """
        ends = self._log.ends()
        for partition, end in enumerate(ends):
            check_same_log(partition, self._archive.known_end(partition), end)
        return ends

    def beginnings(self) -> tuple[int, ...]:
        """The first offset that each partition still has, in the archive or the log."""
        begins = [self._archive.begin(partition) for partition in range(len(self._log.ends()))]
        return tuple(
            kept if archived is None else archived
            for archived, kept in zip(begins, self._log.beginnings(), strict=True)
        )

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts of a partition behind offset `after` (-1 for the first), at most `limit`."""
        archived = self._archive.read(partition, after=after, limit=limit)
        if len(archived) == limit:
            return archived
        after = max(after, self._archive.known_end(partition))
        missing = limit - len(archived)
        try:
            return archived + read_kept(self._log, partition, after=after, limit=missing)
        except OutOfRetention as error:
            if self._archive.end(partition) <= after:  # it did not archive them in the meantime
                raise gone_for_good(after, error) from error
        return archived + self.read(partition, after=after, limit=missing)

    def columns(
        self, kinds: Collection[type[Event]], names: Collection[str], *, upto: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Some columns of all facts of some kinds, as `Archive.columns`: the archive first, then the log behind it.

        Args:
            kinds, names: which rows (all if no kind is named) and which columns.
            upto: the last offset of each partition to read, `ends()` unless given: a training's cut.
        """
        asked, tags = checked_names(names), frozenset(map(tag_of, kinds))
        archived = self._archive.ends()
        cut = self.ends() if upto is None else tuple(upto)
        until = [min(each, last) for each, last in zip(archived, cut, strict=True)]
        yield from self._archive.columns(kinds, asked, upto=until)
        for partition, last in enumerate(cut):
            after = archived[partition]
            while after < last and (facts := self.read(partition, after=after, limit=min(_TAIL_AT_ONCE, last - after))):
                after = facts[-1].position.offset
                for batch in table_of([each for each in facts if each.position.offset <= last]).to_batches():
                    chosen = selected(batch, tags, asked)
                    if chosen.num_rows:
                        yield chosen


def read_kept(log: KeptLog, partition: int, *, after: int, limit: int) -> list[Recorded]:
    """The next facts of a log; offsets it never had are passed over, those it removed are not.

    Raises:
        OutOfRetention: it removed the next one.
    """
    facts = log.read(partition, after=after, limit=limit)
    if facts and facts[0].position.offset == after + 1:
        return facts
    begins = log.beginnings()[partition]
    if begins > after + 1:
        raise OutOfRetention(f"partition {partition} begins at offset {begins}", partition=partition, begins=begins)
    return facts


def gone_for_good(after: int, removed: OutOfRetention) -> Corrupt:
    """What to say of facts behind `after` that the log removed and the archive does not have."""
    return Corrupt(
        f"the facts {after + 1} to {removed.begins - 1} of partition {removed.partition} are neither in the archive "
        f"nor in the log any more: restore the archive from a backup, and let the log keep facts until they are there"
    )


def check_same_log(partition: int, archived: int, end: int) -> None:
    """An archive is behind its log.

    Raises:
        Corrupt: it is not: it belongs to another log, or the log lost what was archived.
    """
    if archived > end:
        raise Corrupt(
            f"the archive has partition {partition} up to {archived}, the log ends at {end}: it is the archive of "
            f"another log, or the log lost facts"
        )
