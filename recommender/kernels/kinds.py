"""Which products are of one kind: what stands in for what, marked in a list."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from ingest.vocabulary.ranking import IntVector
from recommender.kernels import kernel, part_of_kernel
from recommender.kernels.arrays import Frozen, Held
from recommender.kernels.merging import row_of

OTHER, REPEATED, STAND_IN = 0, 1, 2  # nothing seen before, all but the same as an earlier one, of the asked one's kind


class Kinds(NamedTuple):
    """Stand-ins kept in the snapshot: start (rows + 1,), row (stand-ins,), ascending within each; near: which of them
    are all but the same.
    """

    start: NDArray[Any]
    row: NDArray[Any]
    near: NDArray[Any]


@part_of_kernel
def find_stand_in(owner: int, wanted: int, kinds: Kinds) -> int:
    """The place of a row among an owner's stand-ins, or -1. Cost: a binary search."""
    low, end = kinds.start[owner], kinds.start[owner + 1]
    high = end
    while low < high:
        middle = (low + high) // 2
        if kinds.row[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and kinds.row[low] == wanted else -1


@part_of_kernel
def is_near(owner: int, wanted: int, kinds: Kinds) -> bool:
    """Whether a row is all but the same as an owner."""
    if owner < 0 or wanted < 0:
        return False
    at = find_stand_in(owner, wanted, kinds)
    return bool(at >= 0 and kinds.near[at])


@part_of_kernel
def are_of_a_kind(one: int, other: int, kinds: Kinds) -> bool:
    """Whether either stands in for the other: the lists are cut, so one may lack what the other has."""
    if one < 0 or other < 0:
        return False
    return bool(find_stand_in(one, other, kinds) >= 0 or find_stand_in(other, one, kinds) >= 0)


@kernel
def mark_kinds(
    asked: IntVector,
    products: IntVector,
    looked_at: int,
    frozen_held: Held[Frozen],
    kinds_held: Held[Kinds],
    marks: IntVector,
) -> None:
    """Mark each product OTHER, REPEATED or STAND_IN.

    Args:
        looked_at: the first so many OTHER ones are what a later one may repeat.

    Cost: products × (asked + looked_at) binary searches of some 10 ns.
    """
    row_of_index, kinds = frozen_held.arrays.row_of_index, kinds_held.arrays
    for at in range(len(products)):
        here = row_of(row_of_index, products[at])
        marks[at] = OTHER
        for seed in asked:
            if are_of_a_kind(row_of(row_of_index, seed), here, kinds):
                marks[at] = STAND_IN
        others, before = 0, 0
        while marks[at] == OTHER and before < at and others < looked_at:
            if marks[before] == OTHER:
                others += 1
                if is_near(row_of(row_of_index, products[before]), here, kinds):
                    marks[at] = REPEATED
            before += 1
