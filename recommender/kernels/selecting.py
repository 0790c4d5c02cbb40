"""The best of many, without sorting all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import row_kernel
from recommender.kernels.vectors import bits_of, float_of

Array = NDArray[Any]

_HALF, _ROWS = np.uint64(32), np.int64(2**32 - 1)


@row_kernel
def push_best(rows: Array, scores: Array, count: int, limit: int, row: int, score: float) -> int:
    """Keep the best `limit` rows of float32 scores, ties by the smaller row; returns how many there are now.

    They are a heap with the worst on top until `order_best` sorts them. Scores are compared as they are kept, so that
    what becomes equal by rounding is a tie; `limit` is 1 at least.
    """
    value = np.float32(score)
    if count < limit:
        place = count
        while place > 0:
            above = (place - 1) // 2
            if not _is_worse(value, row, scores[above], rows[above]):
                break
            scores[place], rows[place] = scores[above], rows[above]
            place = above
        scores[place], rows[place] = value, row
        return count + 1
    if not _is_worse(scores[0], rows[0], value, row):
        return count
    _sift(rows, scores, count, row, value)
    return count


@row_kernel
def order_best(rows: Array, scores: Array, count: int) -> None:
    """Sort what `push_best` kept, the best first."""
    for left in range(count - 1, 0, -1):
        row, value = rows[left], scores[left]
        rows[left], scores[left] = rows[0], scores[0]
        _sift(rows, scores, left, row, value)


@row_kernel
def best_of_rows(values: Array, first: int, decimals: int, rows: Array, scores: Array, count: Array) -> None:
    """The largest positive entries of each row of a matrix but the one on its diagonal, best first.

    Args:
        values: (n, m), rounded to so many decimals as they are looked at; first: the column of row 0 on the diagonal.
        rows, scores: (n, kept) filled with columns and values; count: (n,) how many.
    """
    unit = 10.0**decimals
    for at in range(values.shape[0]):
        kept, limit, best_row, best_score = 0, rows.shape[1], rows[at], scores[at]
        least = 0.0
        for column in range(values.shape[1]):
            value = values[at, column]
            if value >= least and column != first + at:
                value = np.rint(value * unit) / unit
                if value > 0:
                    kept = push_best(best_row, best_score, kept, limit, column, value)
                    least = best_score[0] - 1.0 / unit if kept == limit else 0.0
        order_best(best_row, best_score, kept)
        count[at] = kept


@row_kernel
def _is_worse(value: Any, row: int, other_value: Any, other_row: int) -> bool:
    return value < other_value or (value == other_value and row > other_row)


@row_kernel
def _sift(rows: Array, scores: Array, count: int, row: int, value: Any) -> None:
    """Put something in the place of the worst of a heap of so many."""
    place = 0
    while True:
        below = 2 * place + 1
        if below >= count:
            break
        if below + 1 < count and _is_worse(scores[below + 1], rows[below + 1], scores[below], rows[below]):
            below += 1
        if not _is_worse(scores[below], rows[below], value, row):
            break
        scores[place], rows[place] = scores[below], rows[below]
        place = below
    scores[place], rows[place] = value, row


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


@row_kernel
def part_best(keys: Array, count: int, kept: int) -> None:
    """Bring the greatest `kept` of the first `count` keys to the front, in any order. Source: Hoare's Find (1961)."""
    low, high = 0, count - 1
    while low < high:
        first, middle, last = keys[low], keys[(low + high) >> 1], keys[high]
        pivot = max(min(first, middle), min(max(first, middle), last))
        left, right = low, high
        while left <= right:
            while keys[left] > pivot:
                left += 1
            while keys[right] < pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if kept - 1 <= right:
            high = right
        elif kept - 1 >= left:
            low = left
        else:
            break


@row_kernel
def key_of(score: float, row: int) -> Any:
    """A number that is greater the better: by the bits of a positive float32 score, equal ones by the smaller row."""
    return (np.uint64(bits_of(np.float32(score))) << _HALF) | np.uint64(_ROWS - row)


@row_kernel
def row_of_key(key: Any) -> int:
    """The row that a key was made of."""
    return int(_ROWS - np.int64(key & np.uint64(_ROWS)))


@row_kernel
def score_of_key(key: Any) -> Any:
    """The score that a key was made of, float32."""
    return float_of(np.uint32(key >> _HALF))


@row_kernel
def best_of_keys(keys: Array, count: int, rows: Array, scores: Array) -> int:
    """Fill rows and scores with the best of the first `count` keys, the best first; returns how many fit."""
    kept = min(count, len(rows))
    if kept < count:
        part_best(keys, count, kept)
    best = np.sort(keys[:kept])
    for at in range(kept):
        key = best[kept - 1 - at]
        rows[at], scores[at] = row_of_key(key), score_of_key(key)
    return kept
