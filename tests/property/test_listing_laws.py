"""Laws of the merge of lists: what adding up in plain Python gives, bit for bit, whatever was merged before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.kernels.arrays import Frozen, Lists, hold
from recommender.kernels.listing import LISTS_MAX, SHORT, SLOTS_MAX, STRIPES, merger_of, new_room, rank_lists

ROWS, UNKNOWN = 60, 5  # products of the snapshot, and of the process beside them
WEIGHTS = (0.0, 0.25, 0.3, 1.0)


class Asked(NamedTuple):
    """One merge."""

    seeds: list[int]
    weights: list[float]
    depth: int
    limit: int


Found = list[tuple[float, int, int]]  # score, product, because


@st.composite
def a_shop(draw: st.DrawFn) -> list[list[tuple[int, np.float32]]]:
    """A list a row, best first; scores are few, so that sums are often equal."""
    lists = []
    for _ in range(ROWS):
        rows = draw(st.lists(st.integers(0, ROWS - 1), unique=True, max_size=8))
        scores = sorted(draw(st.lists(st.integers(1, 9), min_size=len(rows), max_size=len(rows))), reverse=True)
        lists.append([(row, np.float32(score / 7)) for row, score in zip(rows, scores, strict=True)])
    return lists


requests = st.builds(
    lambda seeds, depth, limit: Asked([seed for seed, _ in seeds], [weight for _, weight in seeds], depth, limit),
    st.lists(st.tuples(st.integers(0, ROWS + UNKNOWN - 1), st.sampled_from(WEIGHTS)), max_size=LISTS_MAX),
    st.integers(1, 9),
    st.integers(1, ROWS + 5),
)


def numbering() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The process numbers products from the last row down, those the snapshot lacks behind them."""
    index_of_row = np.arange(ROWS, dtype=np.int32)[::-1].copy()
    return index_of_row, np.concatenate((index_of_row, np.full(UNKNOWN, -1, np.int32)))


def by_hand(lists: list[list[tuple[int, np.float32]]], asked: Asked) -> Found:
    """The definition: float32 sums in the order of the seeds, the first of those who gave most."""
    index_of_row, row_of_index = numbering()
    own = {int(row_of_index[seed]) for seed in asked.seeds}
    total: dict[int, np.float32] = {}
    most: dict[int, tuple[np.float32, int]] = {}
    for seed, weight in zip(asked.seeds, asked.weights, strict=True):
        row = int(row_of_index[seed])
        for there, score in lists[row][: asked.depth] if row >= 0 else []:
            given_ = np.float32(weight) * score
            if there in own:
                continue
            total[there] = total[there] + given_ if there in total else given_
            if there not in most or given_ > most[there][0]:
                most[there] = given_, seed
    best = sorted(total, key=lambda row: (-total[row], row))[: asked.limit]
    return [(float(total[row]), int(index_of_row[row]), most[row][1]) for row in best]


class Merges:
    """The kernel with the room it keeps from call to call."""

    def __init__(self, lists: list[list[tuple[int, np.float32]]]) -> None:
        flat = [pair for each in lists for pair in each]
        start = np.concatenate(([0], np.cumsum([len(each) for each in lists]))).astype(np.int64)
        row, score = (np.array([pair[at] for pair in flat], kind) for at, kind in ((0, np.int32), (1, np.float32)))
        index_of_row, row_of_index = numbering() if len(lists) == ROWS else (np.arange(len(lists), dtype=np.int32),) * 2
        nothing = dict.fromkeys(Frozen._fields, np.zeros(0, np.int32))
        frozen = Frozen(**nothing | {"index_of_row": index_of_row, "row_of_index": row_of_index})
        self.room = new_room(len(lists))
        self._held = hold(merger_of(frozen, Lists(start, row, score), self.room))

    def __call__(self, asked: Asked) -> Found:
        scores, products, because = (np.empty(asked.limit, kind) for kind in (np.float64, np.int32, np.int32))
        seeds, weights = np.array(asked.seeds, np.int32), np.array(asked.weights, np.float64)
        count = rank_lists(seeds, weights, asked.depth, self._held, scores, products, because)
        return list(zip(scores[:count].tolist(), products[:count].tolist(), because[:count].tolist(), strict=True))


@given(a_shop(), st.lists(requests, min_size=1, max_size=4))
def test_merged_lists_are_their_sums(lists: list[list[tuple[int, np.float32]]], asked: list[Asked]) -> None:
    merges = Merges(lists)
    for each in asked:
        assert merges(each) == by_hand(lists, each)


@settings(max_examples=20)
@given(a_shop(), st.lists(requests, min_size=1, max_size=4), st.integers(0, ROWS + LISTS_MAX))
def test_slots_that_are_used_up_begin_anew(
    lists: list[list[tuple[int, np.float32]]], asked: list[Asked], left: int
) -> None:
    merges = Merges(lists)
    merges(asked[0])
    merges.room.before[0] = SLOTS_MAX - left
    for each in asked:
        assert merges(each) == by_hand(lists, each)


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("limit", [1, 50, STRIPES // 2, STRIPES // 2 + 1, SHORT, 200, 2_000])
def test_the_best_of_thousands_are_found_for_any_limit(limit: int, equal: bool) -> None:
    rows, seeds, length = 5_000, 20, 300
    random = np.random.default_rng(3)
    scores = np.ones((seeds, length)) if equal else np.sort(random.random((seeds, length)) ** 4, axis=1)[:, ::-1]
    chosen = [random.choice(np.arange(seeds, rows), length, replace=False) for _ in range(seeds)]
    listed = [list(zip(*each, strict=True)) for each in zip(chosen, scores.astype(np.float32), strict=True)]
    lists = [*listed, *([] for _ in range(rows - seeds))]
    total = np.zeros(rows, np.float32)
    for each in listed:
        for row, score in each:
            total[row] += score
    best = [row for row in np.lexsort((np.arange(rows), -total)).tolist() if total[row] > 0][:limit]
    found = Merges(lists)(Asked(list(range(seeds)), [1.0] * seeds, length, limit))
    assert [product for _, product, _ in found] == best
    assert [score for score, _, _ in found] == total[best].tolist()


def test_seeds_beyond_the_most_lists_are_passed_over() -> None:
    lists = [[(LISTS_MAX + 5, np.float32(1))] for _ in range(LISTS_MAX + 6)]
    asked = Asked(list(range(LISTS_MAX + 2)), [1.0] * (LISTS_MAX + 2), 1, 3)
    assert Merges(lists)(asked) == [(float(LISTS_MAX), LISTS_MAX + 5, 0)]
