"""What follows what: sums over the steps from a product to what came soon after it, or soon before.

Each row of the result is summed by one thread, in the order of the entries, so that any number of threads gives the
same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import row_kernel
from recommender.kernels.selecting import order_best, push_best

Array = NDArray[Any]


@row_kernel
def age_weight(table: Array, age_s: int, step_s: int) -> float:
    """The weight of something so long ago: a table by steps of time; 1 where there is none (`step_s` of 0)."""
    if step_s == 0:
        return 1.0
    at = max(age_s, 0) // step_s
    return float(table[at]) if at < len(table) else 0.0


@row_kernel
def sum_steps(
    wanted: Array,
    start: Array,
    product: Array,
    unit: Array,
    time_s: Array,
    posting_start: Array,
    posting_entry: Array,
    steps: Array,
    back: Array,
    ages: Array,
    age_step_s: int,
    recency: Array,
    norm_from: Array,
    norm_to: Array,
    total: Array,
    touched: Array,
    kept: int,
    count: Array,
    row: Array,
    score: Array,
) -> None:
    """The strongest successors of the wanted products.

    Args:
        wanted: (w,) products to work out.
        start, product, unit, time_s: histories, each in order of time.
        posting_start, posting_entry: where products are in them.
        steps, back: (window,) weight of what comes 1, 2, … steps later, and earlier.
        ages, age_step_s: weight by the time between the two, in steps of so many seconds.
        recency: (histories,) weight of each history.
        norm_from, norm_to: (products,) what a sum is multiplied with.
        total: (products,) zero, and zero again afterwards; touched: (products,) scratch.
        count: (w,); row, score: (w, kept): filled.
    """
    window, ages_end = len(steps), len(ages)
    ages_in_second = 1.0 / age_step_s if age_step_s > 0 else 0.0
    for at in range(len(wanted)):
        here = wanted[at]
        found = 0
        for posting in range(posting_start[here], posting_start[here + 1]):
            entry = posting_entry[posting]
            history, moment = unit[entry], time_s[entry]
            weight = recency[history]
            for other in range(entry + 1, min(start[history + 1], entry + 1 + window)):
                # Exactly the quotient of whole numbers, wherever it is within the table; by multiplication.
                age = int((time_s[other] - moment + 0.5) * ages_in_second)
                if age >= ages_end:
                    break
                there = product[other]
                value = np.float32(weight * steps[other - entry - 1] * ages[age])
                if there != here and value > 0:
                    if total[there] == 0:
                        touched[found] = there
                        found += 1
                    total[there] += value
            if back[0] > 0:
                for other in range(entry - 1, max(start[history], entry - window) - 1, -1):
                    age = int((moment - time_s[other] + 0.5) * ages_in_second)
                    if age >= ages_end:
                        break
                    there = product[other]
                    value = np.float32(weight * back[entry - other - 1] * ages[age])
                    if there != here and value > 0:
                        if total[there] == 0:
                            touched[found] = there
                            found += 1
                        total[there] += value
        kept_now, best_row, best_score = 0, row[at], score[at]
        for which in range(found):
            there = touched[which]
            value = total[there] * norm_from[here] * norm_to[there]
            total[there] = 0
            if value > 0 and (kept_now < kept or value >= best_score[0]):  # asked here: a call costs 50 ns
                kept_now = push_best(best_row, best_score, kept_now, kept, there, value)
        order_best(best_row, best_score, kept_now)
        count[at] = kept_now


@row_kernel
def walk_twice(
    wanted: Array,
    first_start: Array,
    first_row: Array,
    first_score: Array,
    second_start: Array,
    second_row: Array,
    second_score: Array,
    width: int,
    total: Array,
    touched: Array,
    kept: int,
    count: Array,
    row: Array,
    score: Array,
) -> None:
    """Where two steps at random lead: one along the first lists, one along the second, over the best `width` of each.

    Args and results as in `sum_steps`; lists are (rows + 1,) starts into rows and scores, best first.
    """
    for at in range(len(wanted)):
        here = wanted[at]
        found = 0
        begin, end = first_start[here], min(first_start[here + 1], first_start[here] + width)
        out = 0.0
        for near in range(begin, end):
            out += first_score[near]
        for near in range(begin, end):
            middle = first_row[near]
            from_, to = second_start[middle], min(second_start[middle + 1], second_start[middle] + width)
            onward = 0.0
            for far in range(from_, to):
                onward += second_score[far]
            if onward <= 0:
                continue
            share = first_score[near] / out / onward
            for far in range(from_, to):
                there = second_row[far]
                value = np.float32(share * second_score[far])
                if there != here and value > 0:
                    if total[there] == 0:
                        touched[found] = there
                        found += 1
                    total[there] += value
        kept_now, best_row, best_score = 0, row[at], score[at]
        for which in range(found):
            there = touched[which]
            value = total[there]
            total[there] = 0
            if value > 0 and (kept_now < kept or value >= best_score[0]):  # asked here: a call costs 50 ns
                kept_now = push_best(best_row, best_score, kept_now, kept, there, value)
        order_best(best_row, best_score, kept_now)
        count[at] = kept_now
