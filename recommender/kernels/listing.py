"""Lists of neighbours of several products, merged into one: what a request for similar products waits for.

Sums lie side by side as keys of 64 bits, a float32 above what orders equal ones, so that comparing numbers is comparing
products; a row is found there by a number that no call before had. See docs/decisions/0012.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ingest.vocabulary.ranking import FloatVector, IntVector
from recommender.kernels import kernel, part_of_kernel
from recommender.kernels.arrays import Array, Frozen, Held, Lists
from recommender.kernels.merging import row_of
from recommender.kernels.selecting import part_best
from recommender.kernels.vectors import (
    LANES,
    above,
    bits_of,
    clear,
    count_bits,
    float_of,
    lowest_bit,
    prefetch,
    raise_to,
)

LISTS_MAX = LANES  # seeds of a call
STRIPES = 2 * LANES  # every so many-th key makes one; the best of each tell what to look for
SHORT = 2 * LANES  # keys that are put in order by counting the greater ones of each
AHEAD = 2  # lists between asking for one and reading it
LINE = 16  # rows or scores of a cache line
SLOTS_MAX = 2**32 - 1

_NAME_MAX, _NAME_BITS, _KEY_MAX = np.int64(2**32 - 1), np.int64(32), np.int64(2**63 - 1)
_ONE, _LINE, _NONE = np.uint64(1), np.uint64(LINE), np.float32(0.0)


class Room(NamedTuple):
    """Scratch of one merge at a time, for the lists of one snapshot.

    Attributes:
        slot: (rows,) where a row's key is, above `before`; what is not above it is of an earlier call.
        before: (1,) the slots that earlier calls used.
        key: sums and rows, the seeds' first, which nobody looks at.
        loudest, speaker: of what more than one list names, the largest part of the sum and whose it is, -1 for that
            of the list that named it first; loudest is 0 for the others.
        begin, end, first: (LISTS_MAX,) of each list, in the snapshot and where its first key is.
        best: (STRIPES,) the greatest key of each stripe.
    """

    slot: Array
    before: Array
    key: Array
    loudest: Array
    speaker: Array
    begin: Array
    end: Array
    first: Array
    best: Array


class Merger(NamedTuple):
    """Lists, the numbering of products they are asked in, and room to merge them."""

    row_of_index: Array
    index_of_row: Array
    lists: Lists
    room: Room


def new_room(rows: int) -> Room:
    """Room for the lists of so many products. Cost: 20 bytes a product."""
    places = rows + LISTS_MAX
    return Room(
        slot=np.zeros(rows, np.uint32),
        before=np.zeros(1, np.int64),
        key=np.zeros(places + STRIPES + LANES, np.int64),
        loudest=np.zeros(places + LANES, np.float32),
        speaker=np.zeros(places, np.int32),
        begin=np.zeros(LISTS_MAX, np.int64),
        end=np.zeros(LISTS_MAX, np.int64),
        first=np.zeros(LISTS_MAX, np.int64),
        best=np.zeros(STRIPES, np.int64),
    )


def merger_of(frozen: Frozen, lists: Lists, room: Room) -> Merger:
    """What `rank_lists` is asked with; mergers of one snapshot may share their room."""
    return Merger(frozen.row_of_index, frozen.index_of_row, lists, room)


@kernel
def rank_lists(
    seeds: IntVector,
    weights: FloatVector,
    depth: int,
    held: Held[Merger],
    scores: FloatVector,
    products: IntVector,
    because: IntVector,
) -> int:
    """The best of the weighted sums of the seeds' lists, without the seeds. Returns how many.

    Args:
        seeds: LISTS_MAX at most, further ones are passed over; weights: of each, 0 or more.
        depth: neighbours looked at of each list.
        scores, products, because: (limit,) the sums in float32, equal ones by row, and the seed that gave most.

    Cost: some 10 µs for 20 lists of 100 into 50.
    """
    merger, asked, limit = held.arrays, min(len(seeds), LISTS_MAX), len(scores)
    room, index_of_row = merger.room, merger.index_of_row
    slot, key, loudest, speaker, first = room.slot, room.key, room.loudest, room.speaker, room.first
    found = _sum_up(seeds[:asked], weights, depth, merger)
    begun = np.uint32(room.before[0] - found + 1)
    count = _gather_best(found, limit, key, room.best)
    kept = min(count, limit)
    if count > SHORT:
        part_best(key, count, kept)
        key[:kept] = np.sort(key[:kept])
    clear(key, count)
    for at in range(count if count <= SHORT else kept):
        each, place = key[at], kept - 1 - at
        if count <= SHORT:
            place = 0
            for block in range(0, count, LANES):
                place += count_bits(above(key, block, each))
        if place < kept:
            row = _NAME_MAX - (each & _NAME_MAX)
            there = np.int64(np.uint32(slot[row] - begun))
            scores[place], products[place] = float_of(np.uint32(each >> _NAME_BITS)), index_of_row[row]
            told = speaker[there] if loudest[there] != _NONE else -1
            because[place] = told if told >= 0 else seeds[LISTS_MAX - 1 - count_bits(above(first, 0, there))]
    return kept


@part_of_kernel
def _sum_up(seeds: IntVector, weights: FloatVector, depth: int, merger: Merger) -> int:
    """A key for each product of the lists, behind one for each seed; returns how many there are."""
    rows, listed = merger.lists.row, merger.lists.score
    slot, before, key, loudest, speaker, begin, end, first, _ = merger.room
    size, most = len(seeds), _ask(seeds, depth, merger)
    for at in range(0, most, LANES):
        clear(loudest, at)
    begun = np.uint32(before[0] + 1)
    found = np.uint32(size)
    for which in range(size):
        seed, weight, first[which] = seeds[which], np.float32(weights[which]), np.int64(found)
        if which + AHEAD < size:
            _prefetch_list(begin[which + AHEAD], end[which + AHEAD], rows, listed)
        for at in range(np.uint64(begin[which]), np.uint64(end[which])):
            row, score = np.uint32(rows[at]), weight * listed[at]
            place = np.uint32(slot[row] - begun)
            if place >= found:  # of an earlier call, or of none
                slot[row], key[found] = np.uint32(begun + found), _key_of(score, row)
                found = np.uint32(found + np.uint32(1))
                continue
            total, least = float_of(np.uint32(key[place] >> _NAME_BITS)), loudest[place]
            if least == _NONE:
                least, speaker[place] = total, -1
            if score > least:
                least, speaker[place] = score, seed
            loudest[place], key[place] = least, _key_of(total + score, row)
    for which in range(size, LISTS_MAX):
        first[which] = _KEY_MAX
    before[0] += np.int64(found)
    for at in range(size):
        key[at] = 0
    return int(found)


@part_of_kernel
def _ask(seeds: IntVector, depth: int, merger: Merger) -> int:
    """Where the lists are and slots for the seeds; returns how many keys there may be at most."""
    start, rows, listed = merger.lists.start, merger.lists.row, merger.lists.score
    slot, before, begin, end = merger.room.slot, merger.room.before, merger.room.begin, merger.room.end
    if before[0] > SLOTS_MAX - LISTS_MAX - len(slot):
        slot[:], before[0] = 0, 0
    most = len(seeds)
    for which in range(len(seeds)):
        row = row_of(merger.row_of_index, seeds[which])
        begin[which], end[which] = 0, 0
        if row >= 0:
            slot[row] = np.uint32(before[0] + 1 + which)
            begin[which], end[which] = start[row], min(start[row + 1], start[row] + depth)
            if which < AHEAD:
                _prefetch_list(begin[which], end[which], rows, listed)
        most += end[which] - begin[which]
    return min(most, len(slot) + LISTS_MAX)


@part_of_kernel
def _prefetch_list(begin: int, end: int, rows: Array, listed: Array) -> None:
    for at in range(begin, end, LINE):
        prefetch(rows, at)
        prefetch(listed, at)


@part_of_kernel
def _gather_best(found: int, limit: int, key: Array, best: Array) -> int:
    """Bring the greatest keys to the front: the best `limit`, if there are so many, and some more; returns how many."""
    clear(key, found)
    clear(key, found + LANES)
    bar = np.int64(0)
    if limit <= STRIPES // 2 and found > 2 * STRIPES:
        clear(best, 0)
        clear(best, LANES)
        for at in range(0, found, STRIPES):
            raise_to(best, 0, key, at)
            raise_to(best, LANES, key, at + LANES)
        bar = _bar(best, STRIPES, limit)
    elif found > limit:
        bar = _bar(key, found, limit)
    count = 0
    for at in range(0, found, LANES):
        mask = above(key, at, bar)
        while mask != 0:
            key[count] = key[at + lowest_bit(mask)]
            mask &= mask - _ONE
            count += 1
    return count


@part_of_kernel
def _bar(key: Array, count: int, limit: int) -> Any:
    """What `limit` keys are above, or a few more: zero, if not so many are above that."""
    low, high, passed = 0, int(_KEY_MAX), count
    while passed > limit + limit // 8 and high - low > 1:
        middle = low + (high - low) // 2
        now = 0
        for at in range(0, count, LANES):
            now += count_bits(above(key, at, middle))
        if now >= limit:
            low, passed = middle, now
        else:
            high = middle
    return low


@part_of_kernel
def _key_of(score: float, row: Any) -> Any:
    """A number that is greater the better, equal scores by the smaller row; negative for a negative score."""
    return (np.int64(np.int32(bits_of(score))) << _NAME_BITS) | (_NAME_MAX - np.int64(row))
