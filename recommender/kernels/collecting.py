"""What every component says about the products a history leads to.

Components come in two kinds: lists of neighbours, laid one behind the other, and what is in the histories nearest to
this one. What any of them names gets a slot, as do the history's own products and the most popular ones: a row of
`totals`, a column each, side by side in one cache line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import part_of_kernel, row_kernel
from recommender.kernels.selecting import keep_largest
from recommender.kernels.sequences import age_weight
from recommender.kernels.vectors import prefetch

Array = NDArray[Any]

EXCLUDED = np.float32(-1.0)  # the value of what is found, but no candidate
COLUMNS_BEHIND_LISTS = 4  # of a slot: histories, repetition, popularity, the strongest single contribution
LINE = 16  # numbers of four bytes in a line of the cache
_LEAST = 1e-30  # a component whose best is smaller says nothing; the inverse of less may be no float32


class Stores(NamedTuple):
    """What candidates come from; all in rows of a snapshot.

    Attributes:
        list_start: (lists, products + 1) into list_row, list_score.
        position_decay: (lists + 1,) what a product further back weighs, a step; the last is the histories'.
        age_table: (lists + 1, ages) what a product of so many `age_step_s` ago weighs.
        depth: (lists + 1,) how many products of a history are looked up.
        start, product: histories to be like; posting_start, posting_entry, posting_unit: where products are in them.
        rarity: (products,) weight of sharing a product; recency: (histories,) weight of each.
        familiarity: (moments,) what having taken a product so many moments ago adds to its repetition.
        entry_decay: (steps,) weight of an entry by its distance from the newest one in common.
        numbers: newest histories of a product, nearest histories.
        blend: (lists + 3,) what makes a candidate: lists, histories, repetition, popularity.
        typical: (lists,) what a good neighbour's score is, so that lists compare.
        popular, recent: (products,) logarithms.
        top_row, top_score: (most popular,) what is a candidate for everybody who has a history.
        fresh: (products,) where in time a product's interactions lie, of all: from 0, the oldest, to 1.
        alive: (products, len(moments) + 1) the logarithm of how much more a product was taken between two `moments`
            than its whole count tells; moments: Unix seconds, ascending.
        factors: (products × factors,) as `fold_in` wants them; none where nobody asks for them.
    """

    list_start: Array
    list_row: Array
    list_score: Array
    position_decay: Array
    age_table: Array
    age_step_s: Array
    depth: Array
    start: Array
    product: Array
    posting_start: Array
    posting_entry: Array
    posting_unit: Array
    rarity: Array
    recency: Array
    familiarity: Array
    entry_decay: Array
    numbers: Array
    blend: Array
    typical: Array
    popular: Array
    recent: Array
    top_row: Array
    top_score: Array
    fresh: Array
    alive: Array
    moments: Array
    factors: Array


class Scratch(NamedTuple):
    """Room for one query at a time, zero between queries. Slots count from 1; slot 0 is nobody's.

    Attributes:
        slot: (products,) int32, where a product is, 0 for none; named: (products + 1,) the product of a slot.
        totals: (products + 1, lists + 4 or more) float32: what each list, the histories, repetition and popularity add
            to a slot, and the strongest single contribution of a list.
        because: (products + 1,) the product of the history behind that; value: (products + 1,) float32, the blend.
        keys: (products,) uint64, what the best are chosen by.
        scale, coefficient: (lists + 4 or more,) float32, one through the best total of each component; that × blend.
        nearness: (histories,) float32; matched, near: (histories,) int32.
        distinct, position, times: (history_max,) the history without repetition, newest first; place_of: (products,)
            int32, where a product is in it, from 1 on.
        latest, earliest: (history_max,) how many moments ago each was taken last and first; familiar: (history_max,)
            float32, what its repetitions add up to.
        lower: (folded, folded), share: (folded,), person: (factors,): of the newest products, folded in.
    """

    slot: Array
    named: Array
    totals: Array
    because: Array
    value: Array
    keys: Array
    scale: Array
    coefficient: Array
    nearness: Array
    matched: Array
    near: Array
    distinct: Array
    position: Array
    times: Array
    latest: Array
    earliest: Array
    familiar: Array
    place_of: Array
    lower: Array
    share: Array
    person: Array


@part_of_kernel
def distinct_of(product: Array, time_s: Array, familiarity: Array, scratch: Scratch) -> int:
    """The distinct products of a history, newest first, with their positions, how often and when they are in it.

    What happened in one second is one moment: the products of an order have no order among themselves.
    """
    count, room, place_of, length, moments = 0, len(scratch.distinct), scratch.place_of, len(product), 0
    for back in range(length):
        entry = length - 1 - back
        here = product[entry]
        if back > 0 and time_s[entry] != time_s[entry + 1]:
            moments += 1
        place = place_of[here]
        if place == 0:
            if count == room:
                continue
            scratch.distinct[count], scratch.position[count], scratch.times[count] = here, back, 0
            scratch.latest[count], scratch.familiar[count] = moments, 0
            count += 1
            place = count
            place_of[here] = place
        scratch.times[place - 1] += 1
        scratch.earliest[place - 1] = moments
        if moments < len(familiarity):
            scratch.familiar[place - 1] += familiarity[moments]
    return count


@part_of_kernel
def add_lists(
    product: Array, time_s: Array, now_s: int, count: int, stores: Stores, scratch: Scratch, found: int
) -> int:
    """Add up the lists of the history's products."""
    lists = len(stores.list_start)
    length, strongest = len(product), lists + COLUMNS_BEHIND_LISTS - 1
    slot, named, totals, because = scratch.slot, scratch.named, scratch.totals, scratch.because
    list_start, list_row, list_score = stores.list_start, stores.list_row, stores.list_score
    for which in range(lists):
        decay, share = stores.position_decay[which], stores.blend[which] / stores.typical[which]
        looked_up = min(count, stores.depth[which])
        for at in range(looked_up):
            if at + 1 < looked_up:  # lists lie anywhere in memory: the next is fetched while this one is added up
                soon = list_start[which, scratch.distinct[at + 1]]
                prefetch(list_row, soon)
                prefetch(list_score, soon)
                prefetch(list_row, soon + LINE)
                prefetch(list_score, soon + LINE)
            here, back = scratch.distinct[at], scratch.position[at]
            age = age_weight(stores.age_table[which], now_s - time_s[length - 1 - back], stores.age_step_s[which])
            weight = decay**back * age
            if weight == 0:  # too long ago: it would add nothing to anything
                continue
            for near in range(list_start[which, here], list_start[which, here + 1]):
                there, value = list_row[near], np.float32(weight * list_score[near])
                place = slot[there]
                if place == 0:
                    found += 1
                    place = found
                    slot[there], named[place] = place, there
                totals[place, which] += value
                value *= share
                if value > totals[place, strongest]:
                    totals[place, strongest], because[place] = value, here
    return found


@part_of_kernel
def add_histories(
    product: Array, time_s: Array, now_s: int, count: int, stores: Stores, scratch: Scratch, found: int
) -> int:
    """Add up what is in the histories nearest to this one."""
    which = len(stores.list_start)
    newest_max, neighbours = stores.numbers[0], stores.numbers[1]
    decay, length = stores.position_decay[which], len(product)
    nearness, matched, near, totals = scratch.nearness, scratch.matched, scratch.near, scratch.totals
    slot, named, rarity, recency = scratch.slot, scratch.named, stores.rarity, stores.recency
    posting_unit = stores.posting_unit
    seen = 0
    for at in range(min(count, stores.depth[which])):
        here, back = scratch.distinct[at], scratch.position[at]
        age = age_weight(stores.age_table[which], now_s - time_s[length - 1 - back], stores.age_step_s[which])
        weight = decay**back * age * rarity[here]
        if weight == 0:
            continue
        end = stores.posting_start[here + 1]
        begin = max(stores.posting_start[here], end - newest_max)
        last = -1
        for posting in range(end - 1, begin - 1, -1):
            other = posting_unit[posting]
            if other == last:
                continue  # twice in one history: the newest counts
            last = other
            alike = np.float32(weight * recency[other])
            if alike <= 0:
                continue
            if nearness[other] == 0:
                near[seen] = other
                seen += 1
                matched[other] = stores.posting_entry[posting]
            nearness[other] += alike
    used = keep_largest(nearness, near, seen, neighbours)
    reach = len(stores.entry_decay) - 1
    for at in range(used):
        other = near[at]
        middle, value = matched[other], nearness[other]
        if at + 1 < used:
            prefetch(stores.product, matched[near[at + 1]])
        for entry in range(max(stores.start[other], middle - reach), min(stores.start[other + 1], middle + reach + 1)):
            step = abs(entry - middle)
            if step > 0:
                there = stores.product[entry]
                place = slot[there]
                if place == 0:
                    found += 1
                    place = found
                    slot[there], named[place] = place, there
                totals[place, which] += value * stores.entry_decay[step] * rarity[there]
    for at in range(seen):
        nearness[near[at]] = 0
    return found


@part_of_kernel
def with_slots(rows: Array, count: int, slot: Array, named: Array, found: int) -> int:
    """Give a slot to each of the first rows that has none; how many there are then."""
    for at in range(count):
        there = rows[at]
        if slot[there] == 0:
            found += 1
            slot[there], named[found] = found, there
    return found


@row_kernel
def collect(
    product: Array, time_s: Array, now_s: int, excluded: Array, stores: Stores, scratch: Scratch
) -> tuple[int, int]:
    """What all components say about a history's candidates: slots with totals and the blend of their shares.

    Returns:
        how many slots there are, and how many distinct products the history has.
    """
    lists = len(stores.list_start)
    width = lists + COLUMNS_BEHIND_LISTS - 1
    count = distinct_of(product, time_s, stores.familiarity, scratch)
    found = add_lists(product, time_s, now_s, count, stores, scratch, 0)
    if stores.numbers[1] > 0:
        found = add_histories(product, time_s, now_s, count, stores, scratch, found)
    slot, named, totals, value = scratch.slot, scratch.named, scratch.totals, scratch.value
    found = with_slots(scratch.distinct, count, slot, named, found)
    for at in range(count):
        totals[slot[scratch.distinct[at]], lists + 1] = scratch.familiar[at]
    if count > 0 and stores.blend[lists + 2] > 0:
        found = with_slots(stores.top_row, len(stores.top_row), slot, named, found)
        for at in range(len(stores.top_row)):
            totals[slot[stores.top_row[at]], lists + 2] = stores.top_score[at]
    for at in range(len(excluded)):
        if slot[excluded[at]] > 0:
            value[slot[excluded[at]]] = EXCLUDED
    scale, coefficient = scratch.scale, scratch.coefficient
    scale[:] = 0
    for place in range(1, found + 1):
        if value[place] == 0:
            for which in range(width):
                scale[which] = max(scale[which], totals[place, which])
    coefficient[:] = 0
    for which in range(width):
        scale[which] = 1.0 / scale[which] if scale[which] > _LEAST else 0.0
        coefficient[which] = stores.blend[which] * scale[which]
    for place in range(1, found + 1):
        if value[place] == 0:
            blended = np.float32(0)
            for which in range(width):
                blended += coefficient[which] * totals[place, which]
            value[place] = blended
    return found, count


@part_of_kernel
def release(found: int, count: int, scratch: Scratch) -> None:
    """Leave the scratch as it was, after so many slots and distinct products."""
    for at in range(count):
        scratch.place_of[scratch.distinct[at]] = 0
    for place in range(1, found + 1):
        scratch.slot[scratch.named[place]] = 0
    scratch.totals[1 : found + 1] = 0
    scratch.value[1 : found + 1] = 0
