"""Choices: for each request the candidates that were there, their features, and which of them were taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import UnusableChoices
from ingest.vocabulary.ranking import CountVector

FEATURES_MAX = 128  # a fit keeps a square of them for each block of queries
CANDIDATES_MAX = 10_000  # LightGBM's own limit for one query
_ROWS_AT_ONCE = 65_536

FeatureMatrix = NDArray[np.float32]


class Choices(NamedTuple):
    """Queries with their candidates; rows of a query are adjacent.

    Attributes:
        features: (rows, features) float32, C-contiguous, finite.
        start: (queries + 1,) int64 into rows, beginning with 0 and ending with their number.
        label: (rows,) uint8, 1 for what was taken and 0 otherwise; a query may have any number of either.
        weight: (queries,) float32, not negative; None for one each.
    """

    features: FeatureMatrix
    start: CountVector
    label: NDArray[np.uint8]
    weight: NDArray[np.float32] | None = None

    @property
    def queries(self) -> int:
        """How many."""
        return len(self.start) - 1

    def positives(self) -> CountVector:
        """(queries,) how many candidates of each were taken. Cost: 8 bytes a row for a moment."""
        before = np.zeros(len(self.label) + 1, np.int64)
        np.cumsum(self.label, out=before[1:])
        return before[self.start[1:]] - before[self.start[:-1]]

    def weights(self) -> NDArray[np.float64]:
        """(queries,) the weight of each."""
        return np.ones(self.queries) if self.weight is None else self.weight.astype(np.float64)


def check(choices: Choices) -> None:
    """Refuse what no fit could make sense of.

    Raises:
        UnusableChoices: shapes or types that do not fit together, features that are no finite number (the message
            names the first row and feature), labels other than 0 and 1, weights below 0. Mend the features.
    Cost: one pass over the features, 8 MB of scratch.
    """
    features, start, label, weight = choices
    _demand(features.ndim == 2 and features.dtype == np.float32, "features must be a float32 matrix")
    _demand(bool(features.flags.c_contiguous), "features must be C-contiguous")
    _demand(features.shape[1] <= FEATURES_MAX, f"there are {features.shape[1]} features, {FEATURES_MAX} at most")
    _demand(start.dtype == np.int64 and start.ndim == 1 and len(start) >= 1, "start must be an int64 vector")
    _demand(int(start[0]) == 0 and int(start[-1]) == len(features), "start must lead from 0 to the number of rows")
    sizes = np.diff(start)
    _demand(not (sizes < 0).any(), "start must not descend")
    _demand(not (sizes > CANDIDATES_MAX).any(), f"a query has at most {CANDIDATES_MAX} candidates")
    _demand(label.shape == (len(features),) and label.dtype == np.uint8, "label must be uint8, one a row")
    _demand(not (label > 1).any(), "labels must be 0 or 1")
    if weight is not None:
        _demand(weight.shape == (len(sizes),) and weight.dtype == np.float32, "weight must be float32, one a query")
        _demand(bool((np.isfinite(weight) & (weight >= 0)).all()), "weights must be finite and not negative")
    _check_finite(features)


def telling(choices: Choices) -> CountVector:
    """The queries that say something: some candidates were taken and some were not, and the weight is not zero."""
    positives = choices.positives()
    return np.flatnonzero((positives > 0) & (positives < np.diff(choices.start)) & (choices.weights() > 0))


def only(choices: Choices, queries: CountVector) -> Choices:
    """Some of the queries, in their order; the same arrays if it is all of them. Cost: a copy of what is kept."""
    if len(queries) == choices.queries:
        return choices
    kept = np.zeros(choices.queries, np.bool_)
    kept[queries] = True
    sizes = np.diff(choices.start)
    rows = np.repeat(kept, sizes)
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes[kept])))
    weight = None if choices.weight is None else choices.weight[kept]
    return Choices(choices.features[rows], start, choices.label[rows], weight)


def _check_finite(features: FeatureMatrix) -> None:
    for first in range(0, len(features), _ROWS_AT_ONCE):
        finite = np.isfinite(features[first : first + _ROWS_AT_ONCE])
        if not finite.all():
            row, feature = np.argwhere(~finite)[0]
            value = features[first + row, feature]
            raise UnusableChoices(f"feature {feature} of row {first + row} is {value}, not a finite number")


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise UnusableChoices(message)
