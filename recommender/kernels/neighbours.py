"""The item-item build: each product's best partners under a generalised cosine, from groups of products.

Products are numbered anew by how many groups have them, the most common first, so that hot counters share cache lines.
A row is summed into one scratch array by one thread, group after group in ascending order, and then scanned from rare
partners, whose cosines are high, to common ones, against the score of the worst partner kept so far. See
docs/decisions/0012.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from recommender.kernels import row_kernel
from recommender.kernels.arrays import Array
from recommender.kernels.selecting import part_best
from recommender.kernels.vectors import LANES, above, bits_of, clear, float_of, lowest_bit, prefetch

SIZE_BITS = 24  # of a visit's 64: where a group begins, and its size
GROUP_SIZE_MAX = 2**SIZE_BITS - 1
INTERACTIONS_MAX = 2 ** (64 - SIZE_BITS) - 1
AHEAD = 8  # groups between asking for one and reading it
LINE_BYTES = 64
PLACES_AN_ADD = 64  # a row of fewer additions than places / this is walked again rather than scanned
SURE = np.float32(1.0 - 2.0**-20)  # more than four roundings of float32 can lose
WEIGHED = np.dtype([("rank", np.uint32), ("weight", np.float32)])  # one cache line has both

_SIZE = np.uint64(GROUP_SIZE_MAX)
_SHIFT, _HALF, _ONE = np.uint64(SIZE_BITS), np.uint64(32), np.uint64(1)


class Visits(NamedTuple):
    """Groups and products, both ways; products by rank.

    Attributes:
        start: (products + 1,) into visit: (interactions,) groups of each product, ascending, as where in `member` a
            group begins, shifted by SIZE_BITS, and its size.
        weight: (interactions,) of the product in that group, times the group's; none for counts.
        member: (interactions,) ranks of each group, with weights (WEIGHED) or without (uint32).
    """

    start: Array
    visit: Array
    weight: Array
    member: Array


class Factors(NamedTuple):
    """What sums are multiplied by, float32 by rank.

    Attributes:
        own: (products,) of the product whose row it is.
        partner: (places,) of a partner, 0 beyond the last; places are products, rounded up to LANES.
        least: (places / LANES,) one over the greatest partner factor of each LANES places; 0 if that is 0.
        name: (places,) what equal scores are ordered by, the greatest first: 2^32 - 1 - row.
    """

    own: Array
    partner: Array
    least: Array
    name: Array


@row_kernel
def count_rows(first: int, last: int, visits: Visits, factors: Factors, sums: Array, ceiling: Any, out: Array) -> None:
    """The best partners of the ranks `first` to `last`, by groups in common.

    Args:
        sums: (places,) zeros, and zeros again after; counts must fit its type: a byte does for products of 255 groups.
        ceiling: float32, the greatest value of that type.
        out: (products, kept) keys, by row; best first, 0 beyond the last.

    Cost: a row's multiply-adds, and a pass over `sums` or, if they are few, over its groups.
    """
    start, visit, member = visits.start, visits.visit, visits.member
    keys, near = np.empty(2 * out.shape[1], np.uint64), np.empty(len(sums) // PLACES_AN_ADD + 1, np.int64)
    one = sums.dtype.type(1)
    for rank in range(first, last):
        end, added = start[rank + 1], np.int64(0)
        for at in range(start[rank], end):
            soon = np.int64(visit[min(at + AHEAD, end - 1)] >> _SHIFT)
            prefetch(member, soon)
            prefetch(member, soon + LINE_BYTES // 4)
            begin = visit[at] >> _SHIFT
            for within in range(begin, begin + (visit[at] & _SIZE)):
                sums[member[within]] += one
            added += np.int64(visit[at] & _SIZE)
        if added >= len(near):
            keep_best(rank, factors, sums, ceiling, keys, out)
            continue
        reached = 0
        for at in range(start[rank], end):
            begin = visit[at] >> _SHIFT
            for within in range(begin, begin + (visit[at] & _SIZE)):
                near[reached] = member[within]
                reached += 1
        keep_near(rank, near[:reached], factors, sums, keys, out)


@row_kernel
def weigh_rows(first: int, last: int, visits: Visits, factors: Factors, sums: Array, ceiling: Any, out: Array) -> None:
    """The best partners of the ranks `first` to `last`, by sums of products of weights; as `count_rows`.

    Args:
        sums: (places,) float32 zeros, and zeros again after; ceiling: the greatest float32.
    """
    start, visit, weight, member = visits.start, visits.visit, visits.weight, visits.member
    keys, near = np.empty(2 * out.shape[1], np.uint64), np.empty(len(sums) // PLACES_AN_ADD + 1, np.int64)
    for rank in range(first, last):
        end, added = start[rank + 1], np.int64(0)
        for at in range(start[rank], end):
            soon = np.int64(visit[min(at + AHEAD, end - 1)] >> _SHIFT)
            prefetch(member, soon)
            prefetch(member, soon + LINE_BYTES // 8)
            begin, own = visit[at] >> _SHIFT, weight[at]
            for within in range(begin, begin + (visit[at] & _SIZE)):
                sums[member[within].rank] += own * member[within].weight
            added += np.int64(visit[at] & _SIZE)
        if added >= len(near):
            keep_best(rank, factors, sums, ceiling, keys, out)
            continue
        reached = 0
        for at in range(start[rank], end):
            begin = visit[at] >> _SHIFT
            for within in range(begin, begin + (visit[at] & _SIZE)):
                near[reached] = member[within].rank
                reached += 1
        keep_near(rank, near[:reached], factors, sums, keys, out)


@row_kernel
def keep_best(rank: int, factors: Factors, sums: Array, ceiling: Any, keys: Array, out: Array) -> None:
    """Scan the sums of a row, write its best partners, and leave zeros.

    A key is a score's bits above a name: keys are in the order of scores, and no two are equal.
    """
    partner, least, name = factors.partner, factors.least, factors.name
    own = factors.own[rank]
    sums[rank] = 0
    kept = out.shape[1]
    count, full = 0, kept
    reach, worst = np.float32(0.0), np.uint64(0)
    for block in range(len(least) - 1, -1, -1):
        limit = sums.dtype.type(min(reach * least[block], ceiling))
        mask = above(sums, block * LANES, limit)
        while mask != 0:
            place = block * LANES + lowest_bit(mask)
            mask &= mask - _ONE
            score = np.float32(sums[place]) * partner[place] * own
            key = (np.uint64(bits_of(score)) << _HALF) | np.uint64(name[place])
            if key > worst and score > np.float32(0.0):
                keys[count] = key
                count += 1
                if count == full:
                    part_best(keys, count, kept)
                    count, full = kept, len(keys)
                    worst = keys[:kept].min()
                    reach = float_of(np.uint32(worst >> _HALF)) / own * SURE
        clear(sums, block * LANES)
    write_best(rank, factors, keys, count, out)


@row_kernel
def keep_near(rank: int, near: Array, factors: Factors, sums: Array, keys: Array, out: Array) -> None:
    """As `keep_best`, for a row whose sums are known to be in the places `near`, each named once or more."""
    own, kept, count = factors.own[rank], out.shape[1], 0
    sums[rank] = 0
    for place in near:
        score = np.float32(sums[place]) * factors.partner[place] * own
        sums[place] = 0
        if score > np.float32(0.0):
            keys[count] = (np.uint64(bits_of(score)) << _HALF) | np.uint64(factors.name[place])
            count += 1
            if count == len(keys):
                part_best(keys, count, kept)
                count = kept
    write_best(rank, factors, keys, count, out)


@row_kernel
def write_best(rank: int, factors: Factors, keys: Array, count: int, out: Array) -> None:
    """The best of the first `count` keys, in order, as the row of a rank."""
    kept = out.shape[1]
    if count > kept:
        part_best(keys, count, kept)
        count = kept
    row = np.int64(2**32 - 1) - np.int64(factors.name[rank])
    best = np.sort(keys[:count])
    for place in range(count):
        out[row, place] = best[count - 1 - place]


@row_kernel
def invert(
    start: Array, member: Array, factor: Array, weight: Array, room: Array, visit: Array, weight_out: Array
) -> bool:
    """Product → its groups, ascending, as `Visits`. False if a group has a product twice, and then unfinished.

    Args:
        start: (groups + 1,) into `member`, ranks of each group; factor: (groups,), weight: (interactions,), both
            unused if `weight_out` is empty.
        room: (products,) where each rank's groups begin; used up.
    """
    weighed = len(weight_out) > 0
    last = np.full(len(room), -1, np.int64)
    for group in range(len(start) - 1):
        begin, end = start[group], start[group + 1]
        word = np.uint64(begin << SIZE_BITS | end - begin)
        for at in range(begin, end):
            rank = member[at]
            if last[rank] == group:
                return False
            last[rank] = group
            visit[room[rank]] = word
            if weighed:
                weight_out[room[rank]] = weight[at] * factor[group]
            room[rank] += 1
    return True


@row_kernel
def sum_squares(start: Array, member: Array, weight: Array, groups: Array, products: Array) -> None:
    """Add each weight's square to its group's and its product's sum, in the order of the groups."""
    for group in range(len(start) - 1):
        for at in range(start[group], start[group + 1]):
            square = np.float64(weight[at]) * np.float64(weight[at])
            groups[group] += square
            products[member[at]] += square
