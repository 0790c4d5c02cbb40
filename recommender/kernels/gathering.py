"""From a history to candidates with features: the one loop that both fitting and answering run.

Components come in two kinds: lists of neighbours, laid one behind the other, and what is in the histories nearest to
this one. What any of them names gets a slot: a row of `totals`, a column a component, side by side in one cache line.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import kernel, row_kernel
from recommender.kernels.arrays import Held
from recommender.kernels.selecting import keep_largest, order_best, push_best
from recommender.kernels.sequences import age_weight

Array = NDArray[Any]

PER_COMPONENT = 2  # features of each: its share of the best, and the logarithm of that
EXTRA = 11  # features of the product and the history, below
SEEN, SEEN_LATE, IS_LAST, TIMES_SEEN, BOUGHT, POPULAR, RECENT, LENGTH, BLENDED, FACTORED, FACTORED_LOG = range(EXTRA)
_SMALLEST = 1e-3  # shares below it are alike
SILENT = -6.907755  # the logarithm of the share of a component that says nothing
EXCLUDED = np.float32(-1.0)  # the value of what is found, but no candidate
COLUMNS_BEHIND_LISTS = 3  # of a slot: histories, repetition, the strongest single contribution
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
        entry_decay: (steps,) weight of an entry by its distance from the newest one in common.
        numbers: newest histories of a product, nearest histories.
        blend: (lists + 2,) what makes a candidate: lists, histories, repetition.
        typical: (lists,) what a good neighbour's score is, so that lists compare.
        popular, recent: (products,) logarithms.
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
    entry_decay: Array
    numbers: Array
    blend: Array
    typical: Array
    popular: Array
    recent: Array


class Scratch(NamedTuple):
    """Room for one query at a time, zero between queries. Slots count from 1; slot 0 is nobody's.

    Attributes:
        slot: (products,) int32, where a product is, 0 for none; named: (products + 1,) the product of a slot.
        totals: (products + 1, lists + 3 or more) float32: what each list, the histories and repetition add to a slot,
            and the strongest single contribution of a list.
        because: (products + 1,) the product of the history behind that; value: (products + 1,) float32, the blend.
        scale, coefficient: (lists + 3 or more,) float32, one through the best total of each component; that × blend.
        nearness: (histories,) float32; matched, near: (histories,) int32.
        distinct, position, times: (history_max,) the history without repetition, newest first; place_of: (products,)
            int32, where a product is in it, from 1 on.
    """

    slot: Array
    named: Array
    totals: Array
    because: Array
    value: Array
    scale: Array
    coefficient: Array
    nearness: Array
    matched: Array
    near: Array
    distinct: Array
    position: Array
    times: Array
    place_of: Array


class Found(NamedTuple):
    """Room for the candidates of a query: (candidates,) each, features (candidates, …)."""

    row: Array
    score: Array
    because: Array
    features: Array


@row_kernel
def logarithm(value: float) -> float:
    """The natural logarithm of a positive number to 1e-6, with the same bits on every machine: only +, x and /."""
    mantissa, exponent = math.frexp(value)
    ratio = (mantissa - 0.75) / (mantissa + 0.75)
    square = ratio * ratio
    series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)))
    return 2.0 * ratio * series + exponent * 0.6931471805599453 - 0.2876820724517809


@row_kernel
def distinct_of(product: Array, scratch: Scratch) -> int:
    """The distinct products of a history, newest first, with their positions and how often they are in it."""
    count, room, place_of = 0, len(scratch.distinct), scratch.place_of
    for back in range(len(product)):
        here = product[len(product) - 1 - back]
        if place_of[here] > 0:
            scratch.times[place_of[here] - 1] += 1
        elif count < room:
            scratch.distinct[count], scratch.position[count], scratch.times[count] = here, back, 1
            count += 1
            place_of[here] = count
    return count


@row_kernel
def add_lists(
    product: Array, time_s: Array, now_s: int, count: int, stores: Stores, scratch: Scratch, found: int
) -> int:
    """Add up the lists of the history's products."""
    lists = len(stores.list_start)
    length, strongest = len(product), lists + COLUMNS_BEHIND_LISTS - 1
    slot, named, totals, because = scratch.slot, scratch.named, scratch.totals, scratch.because
    list_row, list_score = stores.list_row, stores.list_score
    for which in range(lists):
        decay, share = stores.position_decay[which], stores.blend[which] / stores.typical[which]
        for at in range(min(count, stores.depth[which])):
            here, back = scratch.distinct[at], scratch.position[at]
            age = age_weight(stores.age_table[which], now_s - time_s[length - 1 - back], stores.age_step_s[which])
            weight = decay**back * age
            for near in range(stores.list_start[which, here], stores.list_start[which, here + 1]):
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


@row_kernel
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
    for at in range(used):
        other = near[at]
        middle, value = matched[other], nearness[other]
        for entry in range(stores.start[other], stores.start[other + 1]):
            step = abs(entry - middle)
            if 0 < step < len(stores.entry_decay):
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
    count = distinct_of(product, scratch)
    found = add_lists(product, time_s, now_s, count, stores, scratch, 0)
    if stores.numbers[1] > 0:
        found = add_histories(product, time_s, now_s, count, stores, scratch, found)
    slot, named, totals, value = scratch.slot, scratch.named, scratch.totals, scratch.value
    for at in range(count):
        there = scratch.distinct[at]
        place = slot[there]
        if place == 0:
            found += 1
            place = found
            slot[there], named[place] = place, there
        totals[place, lists + 1] = 0.8 ** scratch.position[at]
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


@row_kernel
def release(found: int, count: int, scratch: Scratch) -> None:
    """Leave the scratch as it was, after so many slots and distinct products."""
    for at in range(count):
        scratch.place_of[scratch.distinct[at]] = 0
    for place in range(1, found + 1):
        scratch.slot[scratch.named[place]] = 0
    scratch.totals[1 : found + 1] = 0
    scratch.value[1 : found + 1] = 0


@row_kernel
def gather(
    product: Array,
    time_s: Array,
    now_s: int,
    bought: Array,
    excluded: Array,
    stores: Stores,
    scratch: Scratch,
    row: Array,
    score: Array,
    because: Array,
    features: Array,
) -> int:
    """The best candidates of a history by the fixed blend, and their features.

    Args:
        product, time_s: (n,) the history, oldest first; now_s: the moment asked for.
        bought: (b,) rows bought before; excluded: (e,) rows that are no candidates.
        row, score: (candidates,) filled, best blend first; features: (candidates, …) filled.
        because: (candidates,) filled with the product of the history that speaks loudest for each, -1 for none.

    Returns:
        how many candidates there are.
    """
    found, count = collect(product, time_s, now_s, excluded, stores, scratch)
    named, value = scratch.named, scratch.value
    kept = 0
    for place in range(1, found + 1):
        if value[place] > 0 and (kept < len(row) or value[place] >= score[0]):  # asked here: a call costs 50 ns
            kept = push_best(row, score, kept, len(row), named[place], value[place])
    order_best(row, score, kept)
    strongest = len(stores.list_start) + COLUMNS_BEHIND_LISTS - 1
    for at in range(kept):
        place = scratch.slot[row[at]]
        because[at] = scratch.because[place] if scratch.totals[place, strongest] > 0 else -1
    describe(kept, row, score, len(product), bought, stores, scratch, features)
    release(found, count, scratch)
    return kept


@row_kernel
def describe(
    kept: int,
    row: Array,
    score: Array,
    length: int,
    bought: Array,
    stores: Stores,
    scratch: Scratch,
    features: Array,
) -> None:
    """Fill the features of the candidates."""
    components = len(stores.list_start) + 1
    extra = PER_COMPONENT * components
    scale = scratch.scale
    nothing = logarithm(_SMALLEST)
    for at in range(kept):
        there = row[at]
        totals = scratch.totals[scratch.slot[there]]
        for which in range(components):
            share = scale[which] * totals[which]
            features[at, PER_COMPONENT * which] = share
            features[at, PER_COMPONENT * which + 1] = logarithm(share + _SMALLEST) if share > 0 else nothing
        late = totals[components]
        features[at, extra + SEEN] = late > 0
        features[at, extra + SEEN_LATE] = late
        features[at, extra + IS_LAST] = late == 1
        place = scratch.place_of[there]
        features[at, extra + TIMES_SEEN] = scratch.times[place - 1] if place > 0 else 0
        features[at, extra + BOUGHT] = 0
        for which in range(len(bought)):
            if bought[which] == there:
                features[at, extra + BOUGHT] = 1
                break
        features[at, extra + POPULAR] = stores.popular[there]
        features[at, extra + RECENT] = stores.recent[there]
        features[at, extra + LENGTH] = min(length, 20)
        features[at, extra + BLENDED] = logarithm(score[at] + _SMALLEST)
        features[at, extra + FACTORED] = 0
        features[at, extra + FACTORED_LOG] = 0


@row_kernel
def judge_all(
    start: Array,
    product: Array,
    time_s: Array,
    now_s: Array,
    excluded_start: Array,
    excluded: Array,
    target_start: Array,
    target: Array,
    stores: Stores,
    scratch: Scratch,
    depth: int,
    reciprocal: Array,
) -> None:
    """1 / rank of the best of each question's targets by the blend; 0 beyond `depth`. Sorts nothing.

    Args:
        target: rows, negative for what the catalogue has not; reciprocal: (questions,) filled.
    """
    value, named = scratch.value, scratch.named
    for query in range(len(now_s)):
        begin, end = start[query], start[query + 1]
        found, count = collect(
            product[begin:end],
            time_s[begin:end],
            now_s[query],
            excluded[excluded_start[query] : excluded_start[query + 1]],
            stores,
            scratch,
        )
        best = depth + 1
        for which in range(target_start[query], target_start[query + 1]):
            place = scratch.slot[target[which]] if target[which] >= 0 else 0
            if value[place] > 0:
                rank = 1
                for other in range(1, found + 1):
                    if value[other] > value[place] or (value[other] == value[place] and named[other] < named[place]):
                        rank += 1
                best = min(best, rank)
        reciprocal[query] = 1.0 / best if best <= depth else 0.0
        release(found, count, scratch)


@row_kernel
def gather_all(
    start: Array,
    product: Array,
    time_s: Array,
    now_s: Array,
    bought_start: Array,
    bought: Array,
    excluded_start: Array,
    excluded: Array,
    stores: Stores,
    scratch: Scratch,
    count: Array,
    row: Array,
    score: Array,
    features: Array,
) -> None:
    """`gather` for many histories; results are (queries, …)."""
    because = np.empty(row.shape[1], np.int32)
    for query in range(len(now_s)):
        begin, end = start[query], start[query + 1]
        count[query] = gather(
            product[begin:end],
            time_s[begin:end],
            now_s[query],
            bought[bought_start[query] : bought_start[query + 1]],
            excluded[excluded_start[query] : excluded_start[query + 1]],
            stores,
            scratch,
            row[query],
            score[query],
            because,
            features[query],
        )


@kernel
def gather_one(
    product: Array,
    time_s: Array,
    now_s: int,
    bought: Array,
    excluded: Array,
    stores_held: Held[Stores],
    scratch_held: Held[Scratch],
    out: Found,
) -> int:
    """`gather` for one request; it keeps the interpreter's lock, so that one scratch does for all threads."""
    stores, scratch = stores_held.arrays, scratch_held.arrays
    return gather(
        product, time_s, now_s, bought, excluded, stores, scratch, out.row, out.score, out.because, out.features
    )


@kernel
def add_factors(person: Array, product: Array, row: Array, features: Array, column: int) -> None:
    """What factors make of the candidates: their share of the best, and its logarithm, from a column on.

    Args:
        person: (factors,); product: (products, factors); row: (n,) candidates; features: (n, …).
    """
    best = 0.0
    for at in range(len(row)):
        value = 0.0
        for factor in range(len(person)):
            value += person[factor] * product[row[at], factor]
        features[at, column] = max(value, 0.0)
        best = max(best, value)
    for at in range(len(row)):
        share = features[at, column] / best if best > 0 else 0.0
        features[at, column] = share
        features[at, column + 1] = logarithm(share + _SMALLEST)
