"""What a situation does to products, as a snapshot knows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector, IntVector
from ingest.vocabulary.situations import Part, Parts
from recommender.snapshot import Snapshot

USUAL = 127  # the code of a lift of 1, in the middle of what a byte holds

Array = NDArray[Any]


class Affinities:
    """Lifts of products by parts of a situation. Any thread may ask.

    The lifts of several parts are multiplied, and the product kept within the same bounds as each of them: rain and
    cold often mean the same. Products newer than the snapshot are as usual in every situation.
    """

    def __init__(self, snapshot: Snapshot | None, index_of_row: IntVector) -> None:
        """Load; a snapshot from before there were any has none. Memory: a byte for each part's value and product.

        Args:
            index_of_row: the product_index of each of the snapshot's rows.
        """
        self._row: dict[Part, int] = {}
        self._codes: Array = np.full((0, 1), USUAL, np.uint8)
        if snapshot is None or "affinity.lift" not in snapshot:
            return
        self._row = {cell: row for row, cell in enumerate(snapshot.unpack("affinity.cells", list[Part]))}
        if self._row:
            room = int(index_of_row.max(initial=-1)) + 2  # the last is for what is newer
            self._codes = np.full((len(self._row), room), USUAL, np.uint8)
            self._codes[:, index_of_row] = snapshot["affinity.lift"].astype(np.int16) + USUAL
            exponents = np.arange(-USUAL, USUAL + 1) / USUAL
            self._lift: FloatVector = snapshot["affinity.lift_max"][0] ** exponents

    def known(self, parts: Parts) -> Parts:
        """The parts that make a difference to any product."""
        return tuple([part for part in parts if part in self._row]) if self._row else ()

    def lifts(self, parts: Parts, products: IntVector) -> FloatVector:
        """How many times as much as usual products are wanted. Cost: some 4 µs a part for 100 products.

        Args:
            parts: known ones, at least one.
            products: product_index, (n,).
        """
        codes = self._codes_of(parts[0], products)
        if len(parts) > 1:
            total = codes.astype(np.int32)
            for part in parts[1:]:
                total += self._codes_of(part, products)
            total -= USUAL * (len(parts) - 1)
            codes = np.minimum(np.maximum(total, 0), 2 * USUAL)
        lifts: FloatVector = self._lift.take(codes)
        return lifts

    def strongest(self, parts: Parts, products: IntVector) -> tuple[IntVector, FloatVector]:
        """For each product the place of the part that speaks for it most, and that part's lift; arguments as above."""
        codes = np.array([self._codes_of(part, products) for part in parts])
        return codes.argmax(axis=0).astype(np.int32), self._lift.take(codes.max(axis=0))

    def _codes_of(self, part: Part, products: IntVector) -> Array:
        codes: Array = self._codes[self._row[part]].take(products, mode="clip")
        return codes
