"""Scores of boosted trees, by bits instead of by walking; `docs/decisions/0013-ranker-scoring.md` has the rivals.

A tree's leaves, from left to right, are the bits of a word. Each node whose comparison sends a candidate to the right
clears the bits of the leaves on its left; what is left of the word begins with the candidate's leaf. All nodes are
looked at, but for many candidates at a time, with no branch and no jump through memory: compilers make vectors of it.

Source: Lucchese et al. (2015), QuickScorer; (2016), Exploiting CPU SIMD extensions to speed-up document scoring with
tree ensembles. Ours looks at all nodes tree by tree, which needs no sorted thresholds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from ingest.vocabulary.ranking import FloatVector
from recommender.kernels import kernel
from recommender.kernels.arrays import Array

ROWS_AT_ONCE = 256  # their columns and words stay in the first-level cache up to some 25 columns
LANES = 32  # vectors of 8, four at a time; rows beyond a multiple would be done one by one, so there are none
ALL = np.uint32(0xFFFFFFFF)
ZERO_MAX = np.float32(1e-35)  # LightGBM's kZeroThreshold: what is no larger counts as 0
LARGEST = np.finfo(
    np.float32
).max  # an infinite value counts as this, so that only a missing one is above all thresholds
# Values of Trees.column_missing: what a column makes of a missing value.
NAN_IS_ZERO, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT = range(5)


class Trees(NamedTuple):
    """Boosted trees as flat arrays; no more than 32 leaves each, and one leaf more than nodes.

    Attributes:
        column_feature: (columns,) int32; column_missing: (columns,) uint8. A column is a feature and what to make of
            its missing values, so that nodes need not ask.
        node_column: (nodes,) int32; node_threshold: (nodes,) float32, above it a candidate goes right; node_keeps:
            (nodes,) uint32, the leaves that remain then.
        tree_start: (trees + 1,) int64 into nodes; the leaves of tree t begin at tree_start[t] + t.
        leaf_value: (leaves,) float64, from left to right.
    """

    column_feature: Array
    column_missing: Array
    node_column: Array
    node_threshold: Array
    node_keeps: Array
    tree_start: Array
    leaf_value: Array


@kernel
def score_trees(features: Array, out: FloatVector, trees: Trees) -> None:
    """Scores of candidates, added up in double precision in the order of the trees.

    Args:
        features: (rows, features) float32; out: (rows,) float64, overwritten.

    Cost: 0.6 ns a tree's node for 8 candidates, and 1 ns a tree and candidate; scratch of 4 bytes a column and row,
    for 256 rows at most. The decision record has figures.
    """
    columns = np.empty((len(trees.column_feature), ROWS_AT_ONCE), np.float32)
    leaves = np.empty(ROWS_AT_ONCE, np.uint32)
    for feature in trees.column_feature:
        assert feature < features.shape[1]
    for first in range(0, features.shape[0], ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, features.shape[0] - first)
        padded = (rows + LANES - 1) // LANES * LANES
        for column in range(len(trees.column_feature)):
            _fill(features, first, rows, trees.column_feature[column], trees.column_missing[column], columns[column])
            columns[column, rows:padded] = 0.0
        out[first : first + rows] = 0.0
        for tree in range(len(trees.tree_start) - 1):
            _find_leaves(columns, padded, trees, tree, leaves)
            leaf = trees.tree_start[tree] + tree
            for row in range(rows):
                out[first + row] += trees.leaf_value[leaf + trailing_zeros(leaves[row])]  # type: ignore[call-arg]


@kernel
def _fill(features: Array, first: int, rows: int, feature: int, missing: int, column: Array) -> None:
    """A column of the features, with missing values as the numbers that lead where they should."""
    for row in range(rows):
        value = features[first + row, feature]
        if abs(value) <= ZERO_MAX:
            value = np.float32(0.0)  # LightGBM's rows are sparse: such a value does not reach its trees
        if value > LARGEST:
            value = LARGEST
        is_missing = np.isnan(value) or (missing >= ZERO_LEFT and value == 0)
        if is_missing:
            if missing == NAN_IS_ZERO:
                value = np.float32(0.0)
            elif missing in (NAN_LEFT, ZERO_LEFT):
                value = np.float32(-np.inf)
            else:
                value = np.float32(np.inf)
        column[row] = value


@kernel
def _find_leaves(columns: Array, rows: int, trees: Trees, tree: int, leaves: Array) -> None:
    """For each candidate the leaves of one tree that no node takes from it, four nodes at a time."""
    keeps, threshold = trees.node_keeps, trees.node_threshold
    node, end = trees.tree_start[tree], trees.tree_start[tree + 1]
    leaves[:rows] = ALL
    while node + 4 <= end:
        one, two = columns[trees.node_column[node]], columns[trees.node_column[node + 1]]
        three, four = columns[trees.node_column[node + 2]], columns[trees.node_column[node + 3]]
        first, second, third, fourth = threshold[node], threshold[node + 1], threshold[node + 2], threshold[node + 3]
        keep, keep_2, keep_3, keep_4 = keeps[node], keeps[node + 1], keeps[node + 2], keeps[node + 3]
        for row in range(rows):
            leaves[row] &= (
                (keep if one[row] > first else ALL)
                & (keep_2 if two[row] > second else ALL)
                & (keep_3 if three[row] > third else ALL)
                & (keep_4 if four[row] > fourth else ALL)
            )
        node += 4
    while node < end:
        one, first, keep = columns[trees.node_column[node]], threshold[node], keeps[node]
        for row in range(rows):
            leaves[row] &= keep if one[row] > first else ALL
        node += 1
