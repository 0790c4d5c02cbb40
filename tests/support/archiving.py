"""What tests of the archive need: a log that is archived as it grows, one that forgets, a disk that stops."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist
from ingest.archive.log import ArchivedLog
from ingest.embedded import SqliteFile
from ingest.logs.sqlite import SqliteEventLog
from ingest.vocabulary.errors import OutOfRetention
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import PARTITIONS, Position

_OPERATIONS = ("fsync", "rename", "unlink", "mkdir")


class PowerCut(BaseException):
    """The machine stopped: nothing that was running goes on, not even what cleans up."""


class Disk:
    """The disk's operations by number; from one of them on, every one of them fails.

    Args:
        strike_at: which operation, from 1; 0 for none.
        after: the operation is done before it fails.
        full: it fails as a full disk does, once, instead of cutting the power.
    """

    def __init__(self, strike_at: int = 0, *, after: bool = False, full: bool = False) -> None:
        self.strike_at, self.after, self.full = strike_at, after, full
        self.operations = 0

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Within, what this process does to any disk goes through here."""
        with contextlib.ExitStack() as patches:
            for name in _OPERATIONS:
                patches.enter_context(mock.patch.object(os, name, self._passing(getattr(os, name))))
            with contextlib.suppress(PowerCut):
                yield

    def _passing(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            self.operations += 1
            struck = self.operations == self.strike_at
            if 0 < self.strike_at < self.operations and not self.full:
                raise PowerCut
            if struck and self.after:
                operation(*arguments, **named)
            if struck:
                raise OSError(errno.ENOSPC, "No space left on device") if self.full else PowerCut
            return operation(*arguments, **named)

        return run


class GrowingArchive(ArchivedLog):
    """An archived log whose every third append is followed by the archivist, so that reads go across both."""

    def __init__(self, folder: Path, log: SqliteEventLog) -> None:
        super().__init__(Archive(folder), log)
        self._archivist = Archivist(log, folder, chunk_facts_max=5)
        self._appends = 0

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """Write facts to the log, and sometimes archive them."""
        positions = super().append(events, once=once)
        self._appends += 1
        if self._appends % 3 == 0:
            self._archivist.catch_up()
        return positions


class RefusingLog(SqliteEventLog):
    """A log that refuses to begin to read at what it removed, as Kafka does, where SQLite gives what comes next."""

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts of a partition, or an error where it begins."""
        facts = super().read(partition, after=after, limit=limit)
        if after >= 0 and facts and facts[0].position.offset > after + 1:
            begins = facts[0].position.offset
            raise OutOfRetention(f"it begins at {begins}", partition=partition, begins=begins)
        return facts


def forget_before(file: SqliteFile, partition: int, offset: int) -> None:
    """The log removes what is before an offset, as retention does."""
    low = partition << 48
    file.write(
        lambda connection: connection.execute("DELETE FROM events WHERE place >= ? AND place < ?", (low, low + offset))
    )


def archived_facts(folder: Path) -> list[Recorded]:
    """Every fact of an archive, partition by partition, a few at a time."""
    archive, found = Archive(folder), []
    for partition in range(PARTITIONS):
        after = -1
        while batch := archive.read(partition, after=after, limit=3):
            found += batch
            after = batch[-1].position.offset
    return found


def names_of(folder: Path) -> list[str]:
    """The names of an archive's files, in order."""
    return sorted(path.name for path in folder.rglob("*.parquet"))
