"""LightGBM's trees as flat arrays that `score_trees` evaluates to the same numbers.

The text LightGBM saves is read, which has every number with 17 digits: enough for the same double. Features are
float32, so a threshold may be rounded down to one: no float32 lies between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import ConfigurationError
from recommender.kernels.trees import LARGEST, NAN_IS_ZERO, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT, Trees
from recommender.ranker.configuration import LEAVES_MAX

Array = NDArray[Any]
Section = dict[str, str]

NO_TREES = "end of trees"  # what the text of a model without any is
_IS_CATEGORICAL, _IS_DEFAULT_LEFT = 1, 2
# By the two bits of LightGBM's missing type (none, zero, NaN), then by whether missing goes left.
_MISSING = ((NAN_IS_ZERO, NAN_IS_ZERO), (ZERO_RIGHT, ZERO_LEFT), (NAN_RIGHT, NAN_LEFT))


def flatten(text: str) -> Trees:
    """The trees of a model that `Booster.model_to_string` wrote.

    Guarantees: for float32 features, missing ones included, `score_trees` gives what `Booster.predict(raw_score=True)`
    does, to the last bit. The arrays are read-only.

    Raises:
        ConfigurationError: categorical splits, linear leaves, averaged trees, several classes or more than 32 leaves:
            train without them.
    Cost: some 0.1 ms a tree.
    """
    header, sections = _sections(text)
    _demand(header.get("num_tree_per_iteration", "1") == "1", "several trees an iteration")
    _demand("average_output" not in header, "averaged trees")
    parts = [_tree(section) for section in sections]
    start = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part[1]) for part in parts], out=start[1:])
    pairs = _joined([part[0] for part in parts], np.int64)
    columns, node_column = np.unique(pairs, return_inverse=True)
    trees = Trees(
        column_feature=(columns // len(_MISSING) ** 2).astype(np.int32),
        column_missing=(columns % len(_MISSING) ** 2).astype(np.uint8),
        node_column=node_column.astype(np.int32),
        node_threshold=_joined([part[1] for part in parts], np.float32),
        node_keeps=_joined([part[2] for part in parts], np.uint32),
        tree_start=start,
        leaf_value=_joined([part[3] for part in parts], np.float64),
    )
    for array in trees:
        array.flags.writeable = False
    return trees


def float32_floor(threshold: Array) -> NDArray[np.float32]:
    """The largest float32 that is not above a double, element by element; -inf below all of them."""
    with np.errstate(over="ignore"):
        nearest = threshold.astype(np.float32)
        above = nearest.astype(np.float64) > threshold
        return np.where(above, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _sections(text: str) -> tuple[Section, list[Section]]:
    """The header of a model and its trees, as keys and values."""
    header: Section = {}
    sections: list[Section] = []
    for line in text.split("\n"):
        if line == NO_TREES:
            break
        key, _, value = line.partition("=")
        if key == "Tree":
            sections.append({})
        (sections[-1] if sections else header)[key] = value
    return header, sections


def _tree(section: Section) -> tuple[Array, Array, Array, Array]:
    """A tree's columns (feature and kind of missing as one number), thresholds, leaves kept, values of leaves."""
    leaves = int(section["num_leaves"])
    _demand(leaves <= LEAVES_MAX, f"a tree of {leaves} leaves, {LEAVES_MAX} at most")
    _demand(section.get("is_linear", "0") == "0", "linear leaves")
    values = np.array(section["leaf_value"].split(), np.float64)
    if leaves == 1:
        return np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.uint32), values
    decision = _numbers(section, "decision_type")
    _demand(not (decision & _IS_CATEGORICAL).any(), "categorical splits")
    missing = np.array(_MISSING)[decision >> 2, (decision & _IS_DEFAULT_LEFT) // _IS_DEFAULT_LEFT]
    keeps, order = _bits(_numbers(section, "left_child"), _numbers(section, "right_child"))
    threshold = np.minimum(float32_floor(np.array(section["threshold"].split(), np.float64)), LARGEST)
    return _numbers(section, "split_feature") * len(_MISSING) ** 2 + missing, threshold, keeps, values[order]


def _bits(left: Array, right: Array) -> tuple[Array, Array]:
    """For each node the leaves that remain to its right, and the leaves' numbers from left to right.

    LightGBM writes the leaf n as the child -n - 1.
    """
    keeps, order = np.zeros(len(left), np.uint32), []

    def leaves_below(child: int) -> int:
        if child < 0:
            order.append(-child - 1)
            return 1 << (len(order) - 1)
        on_the_left = leaves_below(int(left[child]))
        keeps[child] = 0xFFFFFFFF & ~on_the_left
        return on_the_left | leaves_below(int(right[child]))

    leaves_below(0)
    return keeps, np.array(order)


def _numbers(section: Section, key: str) -> NDArray[np.int64]:
    return np.array(section[key].split(), np.int64)


def _joined(parts: list[Array], dtype: Any) -> Array:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ConfigurationError(f"ranker: trees cannot be scored: {what}")
