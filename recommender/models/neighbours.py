"""Lists of neighbours: the form in which models of pairs of products are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.kernels.selecting import best_of_rows


class Neighbours(NamedTuple):
    """Partners of each product as CSR: start (products + 1,), row and score (neighbours,), best first."""

    start: CountVector
    row: IntVector
    score: NDArray[np.float32]


def nothing(products: int) -> Neighbours:
    """Lists without neighbours."""
    return Neighbours(np.zeros(products + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def best_of(values: NDArray[Any], first: int, decimals: int, kept: int) -> Neighbours:
    """The largest positive entries of each row, ties by the smaller column.

    Args:
        values: (n, products), for the products from row `first` on; what a product says of itself is left out.
        decimals: of the values that count.
    """
    rows, kept = len(values), min(kept, values.shape[1])
    count = np.zeros(rows, np.int64)
    row, score = np.zeros((rows, max(kept, 1)), np.int32), np.zeros((rows, max(kept, 1)), np.float32)
    if kept:
        best_of_rows(values, first, decimals, row, score, count)
    held = np.arange(max(kept, 1)) < count[:, None]
    return Neighbours(np.concatenate(([0], np.cumsum(count))).astype(np.int64), row[held], score[held])


def joined(blocks: Sequence[Neighbours]) -> Neighbours:
    """The lists of blocks of products, one behind the other."""
    count = np.concatenate([np.zeros(0, np.int64), *(np.diff(block.start) for block in blocks)])
    row = np.concatenate([np.zeros(0, np.int32), *(block.row for block in blocks)])
    score = np.concatenate([np.zeros(0, np.float32), *(block.score for block in blocks)])
    return Neighbours(np.concatenate(([0], np.cumsum(count))).astype(np.int64), row, score)
