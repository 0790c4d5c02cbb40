"""The best of many, without sorting all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import row_kernel

Array = NDArray[Any]


@row_kernel
def insert_best(rows: Array, scores: Array, count: int, limit: int, row: int, score: float) -> int:
    """Keep the best `limit` rows of float32 scores, ties by the smaller row; returns how many there are now.

    Scores are compared as they are kept, so that what becomes equal by rounding is a tie; `limit` is 1 at least.
    """
    value = np.float32(score)
    if count == limit and (value < scores[count - 1] or (value == scores[count - 1] and row >= rows[count - 1])):
        return count
    place = count if count < limit else limit - 1
    while place > 0 and (scores[place - 1] < value or (scores[place - 1] == value and rows[place - 1] > row)):
        scores[place], rows[place] = scores[place - 1], rows[place - 1]
        place -= 1
    scores[place], rows[place] = value, row
    return count + 1 if count < limit else count


@row_kernel
def keep_largest(value: Array, items: Array, count: int, limit: int) -> int:
    """Move the `limit` items of the largest value to the front, in no order; returns how many there are.

    Args:
        value: by item; ties go to the larger item, so that it is the same set whatever the order in `items`.

    Cost: linear on average (quickselect).
    """
    if count <= limit:
        return count
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        pivot = items[middle]
        least = value[pivot]
        items[middle], items[high] = items[high], pivot
        place = low
        for at in range(low, high):
            each = items[at]
            if value[each] > least or (value[each] == least and each > pivot):
                items[at], items[place] = items[place], each
                place += 1
        items[place], items[high] = items[high], items[place]
        if place == limit:
            break
        if place < limit:
            low = place + 1
        else:
            high = place - 1
    return limit
