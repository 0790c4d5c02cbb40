"""What a situation does to products, as a snapshot knows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector, IntVector
from ingest.vocabulary.situations import Part, Parts
from recommender.snapshot import Snapshot

Array = NDArray[Any]


class Affinities:
    """Lifts of products by parts of a situation. Any thread may ask.

    The lifts of several parts are multiplied, and the product kept within the same bounds as each of them: rain and
    cold often mean the same.
    """

    def __init__(self, snapshot: Snapshot | None) -> None:
        """Load; a snapshot from before there were any has none."""
        known = snapshot is not None and "affinity.lift" in snapshot
        cells: list[Part] = snapshot.unpack("affinity.cells", list[Part]) if snapshot is not None and known else []
        self._row = {cell: row for row, cell in enumerate(cells)}
        if snapshot is None or not cells:
            return
        self._steps: Array = snapshot["affinity.lift"]
        steps_max = int(np.iinfo(self._steps.dtype).max)
        self._steps_max = steps_max
        self._lift: FloatVector = snapshot["affinity.lift_max"][0] ** (np.arange(-steps_max, steps_max + 1) / steps_max)

    def known(self, parts: Parts) -> Parts:
        """The parts that make a difference to any product."""
        return tuple(part for part in parts if part in self._row)

    def lifts(self, parts: Parts, rows: IntVector) -> FloatVector:
        """How many times as much products are wanted, by their rows in the snapshot; 1 for -1 and without parts.

        Cost: some 5 µs, and 1 µs a part, for 100 products.
        """
        cells = [self._row[part] for part in parts if part in self._row]
        if not cells:
            return np.ones(len(rows))
        steps = np.zeros(len(rows), np.int32)
        for cell in cells:
            steps += self._steps[cell].take(rows, mode="clip")
        np.clip(steps, -self._steps_max, self._steps_max, out=steps)
        steps[rows < 0] = 0
        lifts: FloatVector = self._lift.take(steps + self._steps_max)
        return lifts
