"""A history put in order: what sorting, set membership and last-seen tables do to millions of rows, in linear time.

Everything is exact and stable: equal rows stay in the order they came in.
"""

from __future__ import annotations

import numpy as np

from recommender.kernels import row_kernel
from recommender.kernels.arrays import Array

RADIX_BITS = 11
_RADIX = 1 << RADIX_BITS
BUCKET_BITS = 10
SORTED_APART = 32  # rows of one moment: more are sorted by a sort, fewer by insertion


@row_kernel
def number_hashes(hashes: Array, number: Array) -> int:
    """Number 128-bit hashes (n, 2) by first appearance; how many different ones there are.

    Args:
        number: (n,) filled.
    """
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    table, mask = np.full(size, -1, np.int32), np.uint64(size - 1)
    first = np.empty(len(hashes), np.int64)
    distinct = 0
    for at in range(len(hashes)):
        slot = (hashes[at, 0] ^ (hashes[at, 1] >> np.uint64(7))) & mask
        while True:
            held = table[slot]
            if held < 0:
                table[slot], first[distinct], number[at] = distinct, at, distinct
                distinct += 1
                break
            place = first[held]
            if hashes[place, 0] == hashes[at, 0] and hashes[place, 1] == hashes[at, 1]:
                number[at] = held
                break
            slot = (slot + np.uint64(1)) & mask
    return distinct


@row_kernel
def first_places(number: Array, first: Array) -> None:
    """Where each number of `number` stands first; numbers rise by appearance."""
    known = 0
    for at in range(len(number)):
        if number[at] == known:
            first[known] = at
            known += 1


@row_kernel
def number_by_appearance(number: Array, new: Array) -> int:
    """Number numbers anew, by first appearance; how many there are.

    Args:
        new: (numbers,) -1, filled where a number appears.
    """
    known = 0
    for at in range(len(number)):
        if new[number[at]] < 0:
            new[number[at]] = known
            known += 1
    return known


@row_kernel
def order_in_time(time: Array, event: Array) -> Array:
    """The places of rows in order of (time, hash), stable: what `np.lexsort((event, time))` gives."""
    n = len(time)
    order, other = np.arange(n, dtype=np.int32), np.empty(n, np.int32)
    if n == 0:
        return order
    least, span, is_sorted = time[0], time[0], True
    for at in range(1, n):
        is_sorted &= time[at - 1] <= time[at]
        least, span = min(least, time[at]), max(span, time[at])
    span -= least
    shift = 0
    while not is_sorted and (span >> shift) > 0:
        room = np.zeros(_RADIX + 1, np.int64)
        for at in range(n):
            room[(((time[at] - least) >> shift) & (_RADIX - 1)) + 1] += 1
        for digit in range(_RADIX):
            room[digit + 1] += room[digit]
        for at in range(n):
            row = order[at]
            digit = ((time[row] - least) >> shift) & (_RADIX - 1)
            other[room[digit]] = row
            room[digit] += 1
        order, other = other, order
        shift += RADIX_BITS
    begin = 0
    for at in range(1, n + 1):
        if at == n or time[order[at]] != time[order[begin]]:
            if at - begin > 1:
                _by_event(order[begin:at], event)
            begin = at
    return order


@row_kernel
def _by_event(order: Array, event: Array) -> None:
    """Put some rows in order of their hashes, in place and stably."""
    n = len(order)
    if n > SORTED_APART:
        keys = np.empty(n, np.uint64)
        for at in range(n):
            keys[at] = event[order[at]]
        by_key = np.argsort(keys, kind="mergesort")
        rows = order.copy()
        for at in range(n):
            order[at] = rows[by_key[at]]
        return
    for at in range(1, n):
        row, place = order[at], at
        while place > 0 and event[order[place - 1]] > event[row]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = row


@row_kernel
def is_first_of_hash(event: Array, out: Array) -> None:
    """Whether each of some 64-bit hashes is the first of its value.

    Hashes go into buckets by their highest bits, each of which is looked through in a table that fits into the cache.
    """
    n, shift = len(event), np.uint64(64 - BUCKET_BITS)
    room = np.zeros((1 << BUCKET_BITS) + 1, np.int64)
    for at in range(n):
        room[(event[at] >> shift) + np.uint64(1)] += 1
    largest = 0
    for bucket in range(1 << BUCKET_BITS):
        largest = max(largest, room[bucket + 1])
        room[bucket + 1] += room[bucket]
    start, hashes, places = room.copy(), np.empty(n, np.uint64), np.empty(n, np.int32)
    for at in range(n):
        bucket = event[at] >> shift
        hashes[room[bucket]], places[room[bucket]] = event[at], at
        room[bucket] += 1
    size = 16
    while size < 2 * largest:
        size *= 2
    table, of_bucket, mask = np.zeros(size, np.uint64), np.full(size, -1, np.int32), np.uint64(size - 1)
    for bucket in range(1 << BUCKET_BITS):
        for at in range(start[bucket], start[bucket + 1]):
            slot = hashes[at] & mask
            while of_bucket[slot] == bucket and table[slot] != hashes[at]:
                slot = (slot + np.uint64(1)) & mask
            out[places[at]] = of_bucket[slot] != bucket
            of_bucket[slot], table[slot] = bucket, hashes[at]


@row_kernel
def merge_in_time(
    time: Array, event: Array, product: Array, other_time: Array, other_event: Array, other_product: Array
) -> Array:
    """The order of two sets of rows, each in order of (time, hash, product): places, the others' behind the first's."""
    n, m = len(time), len(other_time)
    order = np.empty(n + m, np.int64)
    at = other = 0
    for place in range(n + m):
        if other == m:
            is_first = True
        elif at == n:
            is_first = False
        elif time[at] != other_time[other]:
            is_first = time[at] < other_time[other]
        elif event[at] != other_event[other]:
            is_first = event[at] < other_event[other]
        else:
            is_first = product[at] <= other_product[other]
        if is_first:
            order[place] = at
            at += 1
        else:
            order[place] = n + other
            other += 1
    return order


@row_kernel
def join(head: Array, first: Array, second: Array) -> None:
    """Give all that are linked, directly or not, the same head.

    Args:
        head: (names,) each its own; first, second: the links.
    """
    for at in range(len(first)):
        left, right = first[at], second[at]
        while head[left] != left:
            head[left] = head[head[left]]
            left = head[left]
        while head[right] != right:
            head[right] = head[head[right]]
            right = head[right]
        head[max(left, right)] = min(left, right)
    for name in range(len(head)):
        head[name] = head[head[name]]


@row_kernel
def last_seen(
    person: Array, time: Array, seen: Array, seen_time: Array, seen_row: Array, lasts: int, people: int, out: Array
) -> None:
    """What each person was last seen with, at each moment or before it.

    Args:
        person, time: (n,) who asks and when, in order of time.
        seen, seen_time, seen_row: (m,) who was seen when with what, in order of time; of one moment the largest counts.
        lasts: seconds it lasts.
        out: (n,) filled; -1 where there is nothing.
    """
    row, when = np.full(people, -1, np.int32), np.zeros(people, np.int64)
    other = 0
    for at in range(len(person)):
        while other < len(seen) and seen_time[other] <= time[at]:
            who = seen[other]
            if row[who] < 0 or when[who] != seen_time[other]:
                row[who] = seen_row[other]
            else:
                row[who] = max(row[who], seen_row[other])
            when[who] = seen_time[other]
            other += 1
        who = person[at]
        out[at] = row[who] if row[who] >= 0 and time[at] - when[who] <= lasts else -1
