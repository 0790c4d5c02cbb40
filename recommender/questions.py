"""What is asked of the models in an evaluation, and what would have been right; kept in few long arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, History, Purpose
from recommender.validation import Validation

UNKNOWN = -1


class Ragged(NamedTuple):
    """Rows of different lengths: `start` (n + 1,) into `values`."""

    start: CountVector
    values: NDArray[Any]

    def row(self, at: int) -> NDArray[Any]:
        """The values of a row; not a copy."""
        return self.values[self.start[at] : self.start[at + 1]]

    def sizes(self) -> CountVector:
        """How long each row is."""
        return np.diff(self.start)

    def owners(self) -> CountVector:
        """For each value the row it is in."""
        return np.repeat(np.arange(len(self.start) - 1), self.sizes())

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Some of the rows, in the order asked for."""
        sizes = self.sizes()[rows]
        start = np.concatenate(([0], np.cumsum(sizes)))
        within = np.arange(start[-1]) - np.repeat(start[:-1], sizes)
        return Ragged(start, self.values[np.repeat(self.start[rows], sizes) + within])

    def where(self, is_kept: NDArray[np.bool_]) -> Ragged:
        """The same rows with some of their values."""
        kept = np.concatenate(([0], np.cumsum(is_kept)))
        return Ragged(kept[self.start], self.values[is_kept])


@dataclass(frozen=True, slots=True)
class Questions:
    """n questions of one purpose; products are rows of the catalogue.

    Attributes:
        products, time_s, kind: the histories, oldest first, of products the catalogue has.
        targets: the different right products, `UNKNOWN` for each that the catalogue has not.
        excluded: what is no candidate.
        place: (n,) the interaction that a target of each was; None for questions that come with the data.
    """

    purpose: Purpose
    products: Ragged
    time_s: Ragged
    kind: Ragged
    targets: Ragged
    excluded: Ragged
    place: CountVector | None = None

    def __len__(self) -> int:
        return len(self.targets.start) - 1

    def history(self, at: int) -> History:
        """What is known at a question."""
        return History(self.products.row(at), self.time_s.row(at), self.kind.row(at))

    def take(self, rows: NDArray[np.int64]) -> Questions:
        """Some of the questions."""
        parts = (self.products, self.time_s, self.kind, self.targets, self.excluded)
        place = None if self.place is None else self.place[rows]
        products, time_s, kind, targets, excluded = (part.take(rows) for part in parts)
        return Questions(self.purpose, products, time_s, kind, targets, excluded, place)

    def sampled(self, limit: int | None, seed: int) -> Questions:
        """At most `limit` of them, drawn with a seed, in their order."""
        if limit is None or limit >= len(self):
            return self
        generator = np.random.default_rng(seed)
        return self.take(np.sort(generator.choice(len(self), limit, replace=False)))


class Asking:
    """Gathers questions one by one. Cost: some 3 µs each."""

    def __init__(self, purpose: Purpose) -> None:
        self._purpose = purpose
        self._products, self._times, self._kinds = array("i"), array("q"), array("b")
        self._targets, self._excluded = array("i"), array("i")
        self._starts = (array("q", [0]), array("q", [0]), array("q", [0]))
        self._places = array("q")

    def __len__(self) -> int:
        return len(self._starts[0]) - 1

    def add(
        self,
        history: Iterable[tuple[int, int, int]],
        targets: Sequence[int],
        excluded: Iterable[int] = (),
        place: int = -1,
    ) -> None:
        """One more question.

        Args:
            history: (row, Unix seconds, kind), oldest first; what the catalogue has not is left out.
            targets: rows, all different but for those the catalogue has not.
            place: the interaction that a target was; for the slice, whose questions all have one.
        """
        for product, time_s, kind in history:
            if product != UNKNOWN:
                self._products.append(product)
                self._times.append(time_s)
                self._kinds.append(kind)
        self._targets.extend(targets)
        self._places.append(place)
        self._excluded.extend(sorted({product for product in excluded if product != UNKNOWN}))
        for starts, values in zip(self._starts, (self._products, self._targets, self._excluded), strict=True):
            starts.append(len(values))

    def questions(self) -> Questions:
        """All that were added."""
        history, targets, excluded = (np.array(starts, np.int64) for starts in self._starts)
        return Questions(
            self._purpose,
            Ragged(history, np.array(self._products, np.int32)),
            Ragged(history, np.array(self._times, np.int64)),
            Ragged(history, np.array(self._kinds, np.int8)),
            Ragged(targets, np.array(self._targets, np.int32)),
            Ragged(excluded, np.array(self._excluded, np.int32)),
            np.array(self._places, np.int64) if min(self._places, default=0) >= 0 else None,
        )


def questions_of(validation: Validation) -> Questions:
    """Labels as questions."""
    asking = Asking(validation.purpose)
    for history, targets, excluded in zip(validation.histories, validation.targets, validation.excluded, strict=True):
        rows = zip(history.products.tolist(), history.time_s.tolist(), history.kind.tolist(), strict=True)
        asking.add(rows, targets.tolist(), excluded.tolist())
    return asking.questions()
