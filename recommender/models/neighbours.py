"""Lists of neighbours: the form in which models of pairs of products are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector


class Neighbours(NamedTuple):
    """Partners of each product as CSR: start (products + 1,), row and score (neighbours,), best first."""

    start: CountVector
    row: IntVector
    score: NDArray[np.float32]


def nothing(products: int) -> Neighbours:
    """Lists without neighbours."""
    return Neighbours(np.zeros(products + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
