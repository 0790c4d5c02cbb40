"""Several lists of neighbours become one."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from recommender.kernels import row_kernel
from recommender.kernels.selecting import order_best, push_best

Array = NDArray[Any]


@row_kernel
def blend_lists(
    wanted: Array,
    start: Array,
    rows: Array,
    scores: Array,
    share: Array,
    standing: Array,
    total: Array,
    touched: Array,
    kept: int,
    count: Array,
    row: Array,
    score: Array,
) -> None:
    """The best neighbours over several lists, each list's scores as parts of its best.

    Args:
        wanted: rows to work out.
        start: (lists, products + 1) into rows, scores, best first; share: (lists,) what each list adds at most.
        standing: (products,) float32 above 0; a neighbour counts by the smaller of the two over the larger.
        total: (products,) float32 zeros, and zeros afterwards; touched: (products,) scratch.
        count, row, score: (wanted,), (wanted, kept) results.

    Cost: the lengths of the lists.
    """
    for at in range(len(wanted)):
        here = wanted[at]
        found = 0
        for which in range(len(start)):
            begin, end = start[which, here], start[which, here + 1]
            if begin == end or scores[begin] <= 0:
                continue
            part = share[which] / scores[begin]
            for near in range(begin, end):
                there, value = rows[near], part * scores[near]
                if there == here or value <= 0:
                    continue
                if total[there] == 0:
                    touched[found] = there
                    found += 1
                total[there] += value
        kept_now, best_row, best_score = 0, row[at], score[at]
        for which in range(found):
            there = touched[which]
            peers = min(standing[here], standing[there]) / max(standing[here], standing[there])
            value = float(total[there] * peers)
            total[there] = 0
            if kept_now < kept or value >= best_score[0]:
                kept_now = push_best(best_row, best_score, kept_now, kept, there, value)
        order_best(best_row, best_score, kept_now)
        count[at] = kept_now
