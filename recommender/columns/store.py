"""The log as columns in a folder: closed stretches that are never decoded again, and what came after them.

    <folder>/p07/000000000000120-000000000000349.columns    see `files`

The folder says nothing that the log does not say. Whatever in it is missing, damaged, of another version or of another
log is not used, and made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ingest.vocabulary.errors import Corrupt, Unavailable
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import PARTITIONS
from recommender.columns.files import (
    Opened,
    opened,
    partition_folder,
    remove,
    remove_leftovers,
    stretches_in,
    write,
)
from recommender.columns.gathering import Gathering
from recommender.columns.shape import Arrays
from recommender.columns.stretches import together
from recommender.facts import event_hash

FACTS_MAX = 1_048_576  # of a stretch: some 50 MB, gathered in memory and written at once
GROWS_BY = 2  # a stretch is written again with what follows it, unless it is more than so many times as large


class Facts(Protocol):
    """The facts of a log, in the order of each partition."""

    def batches(self, partition: int, *, after: int, upto: int) -> Iterable[Sequence[Recorded]]:
        """All facts of a partition behind `after`, up to and including `upto`."""
        ...

    def counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """Those of a batch that count: a log that several processes write may hold a fact twice."""
        ...

    def ends(self) -> Sequence[int]:
        """The last offset of each partition, -1 where it is empty."""
        ...


class _Gathered(NamedTuple):
    """The columns of what follows some offset, up to a fact."""

    last: int
    ends_with: int
    arrays: Arrays


class ColumnStore:
    """Columns in a folder.

    Guarantees: what `read` gives is what gathering every fact up to the cut gives, whatever the folder holds, and
    whatever happens to it meanwhile; a stretch is there as a whole or not at all. One process extends at a time, any
    number read.
    Not guaranteed: that anything is kept before `extend` was called.
    Raises, where facts are read: what reading them raises.
    """

    def __init__(self, folder: Path, *, facts_max: int = FACTS_MAX) -> None:
        self._folder, self._facts_max = folder, facts_max

    def read(self, facts: Facts, cut: Sequence[int]) -> Arrays:
        """The columns of all facts up to a cut. Cost: 0.2 µs a row that is kept, and some 6 µs a fact that is not."""
        ends = facts.ends()
        found: list[Arrays] = []
        for partition, upto in enumerate(cut):
            kept = [each for each in self._kept(facts, partition, ends[partition]) if each.stretch.last <= upto]
            found += [each.arrays for each in kept]
            after = kept[-1].stretch.last if kept else -1
            found += [each.arrays for each in self._gathered(facts, partition, after, upto)]
        return together(found or [Gathering().arrays()])

    def extend(self, facts: Facts, cut: Sequence[int]) -> int:
        """Keep the columns of all facts up to a cut; how many facts were read for it.

        Raises:
            Unavailable: the folder cannot be written, or facts cannot be read; what was written stays.
        """
        ends = facts.ends()
        try:
            return sum(self._extend(facts, partition, upto, ends[partition]) for partition, upto in enumerate(cut))
        except OSError as error:
            raise Unavailable(f"the columns {self._folder} cannot be written: {error.strerror or error}") from error

    def clear(self) -> None:
        """Forget everything, to be made anew.

        Raises:
            Unavailable: something cannot be removed.
        """
        try:
            if self._folder.exists():
                shutil.rmtree(self._folder)
        except OSError as error:
            raise Unavailable(f"the columns {self._folder} cannot be removed: {error.strerror or error}") from error

    def difference(self, facts: Facts) -> str | None:
        """What of that which is kept differs from what the log comes to, in a sentence; None if nothing does."""
        ends = facts.ends()
        for partition in range(PARTITIONS):
            for kept in self._kept(facts, partition, ends[partition]):
                begin, last, path = kept.stretch
                found = list(self._gathered(facts, partition, begin - 1, last))
                wanted = together([each.arrays for each in found] or [Gathering().arrays()])
                for name, array in wanted.items():
                    if not np.array_equal(array, kept.arrays[name]):
                        return f"{name} in {path} differs from what the log comes to"
        return None

    @property
    def bytes(self) -> int:
        """The size of everything that is kept."""
        return sum(
            stretch.path.stat().st_size
            for partition in range(PARTITIONS)
            for stretch in stretches_in(partition_folder(self._folder, partition))
        )

    def _extend(self, facts: Facts, partition: int, upto: int, end: int) -> int:
        folder = partition_folder(self._folder, partition)
        if folder.exists():
            remove_leftovers(folder)
        kept = self._kept(facts, partition, end)
        using = {each.stretch for each in kept}
        remove([each for each in stretches_in(folder) if each not in using])
        began = after = kept[-1].stretch.last if kept else -1
        for new in self._gathered(facts, partition, after, upto):
            grown = self._to_grow(kept, new.last - after)
            begin = grown[0].stretch.begin if grown else after + 1
            before = grown[0].label.before if grown else (kept[-1].label.ends_with if kept else 0)
            arrays = together([*(each.arrays for each in grown), new.arrays])
            write(self._folder, partition, begin, new.last, before, new.ends_with, arrays)
            remove([each.stretch for each in grown])
            kept, after = self._kept(facts, partition, end), new.last
        return after - began

    def _to_grow(self, kept: Sequence[Opened], facts: int) -> list[Opened]:
        """The last stretches that are written again with so many more facts, so that there are never many of them."""
        at = len(kept)
        while at and kept[at - 1].facts <= min(GROWS_BY * facts, self._facts_max - facts):
            at -= 1
            facts += kept[at].facts
        return list(kept[at:])

    def _kept(self, facts: Facts, partition: int, end: int) -> list[Opened]:
        """The stretches from the log's beginning on that can be used, without a gap."""
        found: list[Opened] = []
        for stretch in stretches_in(partition_folder(self._folder, partition)):
            after = found[-1].stretch.last if found else -1
            if stretch.begin != after + 1 or stretch.last > end:
                continue  # it is covered, behind a gap, or not of this log
            each = opened(stretch, partition)
            if each is not None and each.label.before == (found[-1].label.ends_with if found else 0):
                found.append(each)
        return found if not found or _is_of(facts, partition, found[-1]) else []

    def _gathered(self, facts: Facts, partition: int, after: int, upto: int) -> Iterator[_Gathered]:
        """The columns of what is not kept, so many facts at a time."""
        gathering, begin, last = Gathering(), after, None
        for batch in facts.batches(partition, after=after, upto=upto) if after < upto else ():
            for recorded in facts.counting(batch):
                gathering.add(recorded.event)
            last = batch[-1]
            if last.position.offset - begin >= self._facts_max:
                yield _Gathered(last.position.offset, event_hash(last.event), gathering.arrays())
                gathering, begin, last = Gathering(), last.position.offset, None
        if last is not None:
            yield _Gathered(last.position.offset, event_hash(last.event), gathering.arrays())


def _is_of(facts: Facts, partition: int, kept: Opened) -> bool:
    """Whether a log has the fact that a stretch ends with where it ends."""
    last = kept.stretch.last
    try:
        for batch in facts.batches(partition, after=last - 1, upto=last):
            return batch[0].position.offset == last and event_hash(batch[0].event) == kept.label.ends_with
    except Corrupt:
        return False
    return False
