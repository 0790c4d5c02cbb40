"""The log of a shop as training reads it: columns in the data folder, and the facts that are not in them yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ingest.folding.fold import read_batches
from ingest.folding.repeats import Repeats
from ingest.vocabulary.errors import FolderInUse, Unavailable
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import EventLog
from serving.folder import training_lock

if TYPE_CHECKING:
    from recommender.columns.shape import Arrays
    from recommender.columns.store import ColumnStore

COLUMNS_FOLDER = "columns"

_log = structlog.get_logger(__name__)


class LogColumns:
    """The columns of a log; what makes them is loaded when first asked for."""

    def __init__(self, folder: Path, log: EventLog, repeats: Repeats) -> None:
        self._folder, self._log, self._repeats = folder, log, repeats

    def read(self, cut: Sequence[int]) -> Arrays:
        """All facts up to a cut. Cost: see `ColumnStore`."""
        return self._store().read(self, cut)

    def extend(self, cut: Sequence[int]) -> None:
        """Keep what is not kept up to a cut; only who holds the training's lock may.

        Where it cannot be written, training goes on without.
        """
        try:
            self._store().extend(self, cut)
        except Unavailable as error:
            _log.warning("columns are not kept; the next training decodes these facts again", reason=error.message)

    def rebuild(self, cut: Sequence[int]) -> None:
        """Make them anew from the log, unless a training is at them."""
        try:
            lock = training_lock(self._folder)
        except FolderInUse as error:
            _log.warning("columns are left as they are", reason=error.message)
            return
        try:
            self._store().clear()
            self.extend(cut)
        finally:
            lock.release()

    def difference(self) -> str | None:
        """What differs from what the log comes to, in a sentence; None if nothing does."""
        return self._store().difference(self)

    def batches(self, partition: int, *, after: int, upto: int) -> Iterable[Sequence[Recorded]]:
        """All facts of a partition behind `after`, up to and including `upto`."""
        return read_batches(self._log, partition, after=after, upto=upto)

    def counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """Those of a batch that count."""
        return self._repeats.without(batch)

    def ends(self) -> Sequence[int]:
        """The last offset of each partition, -1 where it is empty."""
        return self._log.ends()

    def _store(self) -> ColumnStore:
        from recommender.columns.store import ColumnStore

        return ColumnStore(self._folder / COLUMNS_FOLDER)
