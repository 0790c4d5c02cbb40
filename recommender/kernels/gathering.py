"""From a history to candidates with features: the one loop that both fitting and answering run.

Components come in two kinds: lists of neighbours, laid one behind the other, and what is in the histories nearest to
this one. Every component has a row of `totals`; what any of them names is found once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import kernel, row_kernel
from recommender.kernels.arrays import Held
from recommender.kernels.selecting import insert_best, keep_largest
from recommender.kernels.sequences import age_weight

Array = NDArray[Any]

PER_COMPONENT = 2  # features of each: its share of the best, and the logarithm of that
EXTRA = 11  # features of the product and the history, below
SEEN, SEEN_LATE, IS_LAST, TIMES_SEEN, BOUGHT, POPULAR, RECENT, LENGTH, BLENDED, FACTORED, FACTORED_LOG = range(EXTRA)
_SMALLEST = 1e-3  # shares below it are alike
_LEAST = 1e-30  # a component whose best is smaller says nothing; the inverse of less may be no float32


class Stores(NamedTuple):
    """What candidates come from; all in rows of a snapshot.

    Attributes:
        list_start: (lists, products + 1) into list_row, list_score.
        position_decay: (lists + 1,) what a product further back weighs, a step; the last is the histories'.
        age_table: (lists + 1, ages) what a product of so many `age_step_s` ago weighs.
        depth: (lists + 1,) how many products of a history are looked up.
        start, product, unit, posting_start, posting_entry: histories to be like.
        rarity: (products,) weight of sharing a product; recency: (histories,) weight of each.
        entry_decay: (steps,) weight of an entry by its distance from the newest one in common.
        numbers: newest histories of a product, nearest histories, candidates.
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
    unit: Array
    posting_start: Array
    posting_entry: Array
    rarity: Array
    recency: Array
    entry_decay: Array
    numbers: Array
    blend: Array
    typical: Array
    popular: Array
    recent: Array


class Scratch(NamedTuple):
    """Room for one query at a time, zero between queries.

    Attributes:
        totals: (lists + 2, products) float32; is_found: (products,) bool; found: (products,) int32.
        nearness: (histories,) float32; matched, near: (histories,) int32.
        reason, because: (products,) the strongest single contribution, and the product of the history behind it.
        distinct, position, times: (history_max,) the history without repetition, newest first.
    """

    totals: Array
    is_found: Array
    found: Array
    reason: Array
    because: Array
    nearness: Array
    matched: Array
    near: Array
    distinct: Array
    position: Array
    times: Array


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
def note(product: int, found: int, scratch: Scratch) -> int:
    """Remember that a product was named; returns how many were."""
    if not scratch.is_found[product]:
        scratch.is_found[product] = True
        scratch.found[found] = product
        return found + 1
    return found


@row_kernel
def distinct_of(product: Array, scratch: Scratch) -> int:
    """The distinct products of a history, newest first, with their positions and how often they are in it."""
    count = 0
    room = len(scratch.distinct)
    for back in range(len(product)):
        here = product[len(product) - 1 - back]
        known = -1
        for at in range(count):
            if scratch.distinct[at] == here:
                known = at
                break
        if known >= 0:
            scratch.times[known] += 1
        elif count < room:
            scratch.distinct[count], scratch.position[count], scratch.times[count] = here, back, 1
            count += 1
    return count


@row_kernel
def add_lists(
    product: Array, time_s: Array, now_s: int, count: int, stores: Stores, scratch: Scratch, found: int
) -> int:
    """Add up the lists of the history's products."""
    lists = len(stores.list_start)
    length = len(product)
    for which in range(lists):
        decay, total = stores.position_decay[which], scratch.totals[which]
        share = stores.blend[which] / stores.typical[which]
        for at in range(min(count, stores.depth[which])):
            here, back = scratch.distinct[at], scratch.position[at]
            age = age_weight(stores.age_table[which], now_s - time_s[length - 1 - back], stores.age_step_s[which])
            weight = decay**back * age
            for near in range(stores.list_start[which, here], stores.list_start[which, here + 1]):
                there, value = stores.list_row[near], weight * stores.list_score[near]
                found = note(there, found, scratch)
                total[there] += value
                value *= share
                if value > scratch.reason[there]:
                    scratch.reason[there], scratch.because[there] = value, here
    return found


@row_kernel
def add_histories(
    product: Array, time_s: Array, now_s: int, count: int, stores: Stores, scratch: Scratch, found: int
) -> int:
    """Add up what is in the histories nearest to this one."""
    which = len(stores.list_start)
    newest_max, neighbours = stores.numbers[0], stores.numbers[1]
    decay, length = stores.position_decay[which], len(product)
    nearness, matched, near, total = scratch.nearness, scratch.matched, scratch.near, scratch.totals[which]
    seen = 0
    for at in range(min(count, stores.depth[which])):
        here, back = scratch.distinct[at], scratch.position[at]
        age = age_weight(stores.age_table[which], now_s - time_s[length - 1 - back], stores.age_step_s[which])
        weight = decay**back * age * stores.rarity[here]
        end = stores.posting_start[here + 1]
        begin = max(stores.posting_start[here], end - newest_max)
        last = -1
        for posting in range(end - 1, begin - 1, -1):
            entry = stores.posting_entry[posting]
            other = stores.unit[entry]
            if other == last:
                continue  # twice in one history: the newest counts
            last = other
            alike = np.float32(weight * stores.recency[other])
            if alike <= 0:
                continue
            if nearness[other] == 0:
                near[seen] = other
                seen += 1
                matched[other] = entry
            nearness[other] += alike
    used = keep_largest(nearness, near, seen, neighbours)
    for at in range(used):
        other = near[at]
        middle, value = matched[other], nearness[other]
        for entry in range(stores.start[other], stores.start[other + 1]):
            step = abs(entry - middle)
            if 0 < step < len(stores.entry_decay):
                there = stores.product[entry]
                found = note(there, found, scratch)
                total[there] += value * stores.entry_decay[step] * stores.rarity[there]
    for at in range(seen):
        nearness[near[at]] = 0
    return found


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
    components = len(stores.list_start) + 1
    count = distinct_of(product, scratch)
    found = add_lists(product, time_s, now_s, count, stores, scratch, 0)
    if stores.numbers[1] > 0:
        found = add_histories(product, time_s, now_s, count, stores, scratch, found)
    again = scratch.totals[components]
    for at in range(count):
        found = note(scratch.distinct[at], found, scratch)
        again[scratch.distinct[at]] = 0.8 ** scratch.position[at]
    for at in range(len(excluded)):
        scratch.is_found[excluded[at]] = False  # found, but no candidate
    scale = np.zeros(components + 1, np.float32)
    for at in range(found):
        there = scratch.found[at]
        if scratch.is_found[there]:
            for which in range(components + 1):
                scale[which] = max(scale[which], scratch.totals[which, there])
    for which in range(components + 1):
        scale[which] = 1.0 / scale[which] if scale[which] > _LEAST else 0.0
    kept = 0
    for at in range(found):
        there = scratch.found[at]
        if scratch.is_found[there]:
            value = 0.0
            for which in range(components + 1):
                value += stores.blend[which] * scale[which] * scratch.totals[which, there]
            if value > 0:
                kept = insert_best(row, score, kept, len(row), there, value)
    for at in range(kept):
        because[at] = scratch.because[row[at]] if scratch.reason[row[at]] > 0 else -1
    describe(kept, row, score, scale, len(product), count, bought, stores, scratch, features)
    for at in range(found):
        there = scratch.found[at]
        scratch.is_found[there] = False
        scratch.reason[there] = 0
        for which in range(components + 1):
            scratch.totals[which, there] = 0
    return kept


@row_kernel
def describe(
    kept: int,
    row: Array,
    score: Array,
    scale: Array,
    length: int,
    count: int,
    bought: Array,
    stores: Stores,
    scratch: Scratch,
    features: Array,
) -> None:
    """Fill the features of the candidates."""
    components = len(stores.list_start) + 1
    extra = PER_COMPONENT * components
    for at in range(kept):
        there = row[at]
        for which in range(components):
            share = scale[which] * scratch.totals[which, there]
            features[at, PER_COMPONENT * which] = share
            features[at, PER_COMPONENT * which + 1] = logarithm(share + _SMALLEST)
        late = scratch.totals[components, there]
        features[at, extra + SEEN] = late > 0
        features[at, extra + SEEN_LATE] = late
        features[at, extra + IS_LAST] = late == 1
        features[at, extra + TIMES_SEEN] = 0
        if late > 0:
            for which in range(count):
                if scratch.distinct[which] == there:
                    features[at, extra + TIMES_SEEN] = scratch.times[which]
                    break
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
