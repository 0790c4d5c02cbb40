"""From a history to candidates with features: the one loop that both fitting and answering run.

What every component says of a product comes from `collecting`; here the best by the blend are chosen and described.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import part_of_kernel, row_kernel
from recommender.kernels.collecting import COLUMNS_BEHIND_LISTS, Scratch, Stores, collect, release
from recommender.kernels.folding import fold_in
from recommender.kernels.selecting import best_of_keys, key_of
from recommender.kernels.vectors import bits_of, float_of, inner

Array = NDArray[Any]

PER_COMPONENT = 2  # features of each: its share of the best, and the logarithm of that
EXTRA = 19  # features of the product and the history, below
SEEN, SEEN_LATE, IS_LAST, TIMES_SEEN, BOUGHT, POPULAR, RECENT, LENGTH, BLENDED, FACTORED, FACTORED_LOG = range(11)
FAMILIAR, FAMILIAR_LOG, RATE, DUE, FRESH, ALIVE, TOP, TOP_LOG = range(11, EXTRA)
DUE_MAX = 3.0  # intervals since a product was taken last; whoever waited longer has given it up
_SMALLEST = 1e-3  # shares below it are alike
SILENT = -6.907755  # the logarithm of the share of a component that says nothing


@row_kernel
def logarithm(value: float) -> float:
    """The natural logarithm of a positive float32 to 1e-6, with the same bits on every machine: only +, x and /."""
    bits = np.int64(bits_of(np.float32(value)))
    exponent = (bits >> 23) - 126
    mantissa = float(float_of(np.uint32((bits & 0x7FFFFF) | 0x3F000000)))  # in [0.5, 1)
    ratio = (mantissa - 0.75) / (mantissa + 0.75)
    square = ratio * ratio
    series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)))
    return 2.0 * ratio * series + exponent * 0.6931471805599453 - 0.2876820724517809


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
    named, value, keys = scratch.named, scratch.value, scratch.keys
    held = 0
    for place in range(1, found + 1):
        if value[place] > 0:
            keys[held] = key_of(value[place], named[place])
            held += 1
    kept = best_of_keys(keys, held, row, score)
    strongest = len(stores.list_start) + COLUMNS_BEHIND_LISTS - 1
    for at in range(kept):
        place = scratch.slot[row[at]]
        because[at] = scratch.because[place] if scratch.totals[place, strongest] > 0 else -1
    describe(kept, row, score, len(product), now_s, bought, stores, scratch, features)
    describe_factors(kept, row, count, stores, scratch, features)
    release(found, count, scratch)
    return kept


@part_of_kernel
def describe(
    kept: int,
    row: Array,
    score: Array,
    length: int,
    now_s: int,
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
    era = np.searchsorted(stores.moments, now_s, side="right")
    for at in range(kept):
        there = row[at]
        totals = scratch.totals[scratch.slot[there]]
        for which in range(components):
            share = scale[which] * totals[which]
            features[at, PER_COMPONENT * which] = share
            features[at, PER_COMPONENT * which + 1] = logarithm(share + _SMALLEST) if share > 0 else nothing
        for which in (SEEN, SEEN_LATE, IS_LAST, TIMES_SEEN, FAMILIAR, RATE, DUE):
            features[at, extra + which] = 0
        features[at, extra + FAMILIAR_LOG] = SILENT
        if scratch.place_of[there] > 0:  # asked here: a call copies all of the scratch, and few were taken before
            describe_repetition(scratch.place_of[there] - 1, scale[components], scratch, features[at, extra:])
        features[at, extra + BOUGHT] = 0
        for which in range(len(bought)):
            if bought[which] == there:
                features[at, extra + BOUGHT] = 1
                break
        features[at, extra + POPULAR] = stores.popular[there]
        features[at, extra + RECENT] = stores.recent[there]
        features[at, extra + FRESH] = stores.fresh[there]
        features[at, extra + ALIVE] = stores.alive[there, era]
        share = scale[components + 1] * totals[components + 1]
        features[at, extra + TOP] = share
        features[at, extra + TOP_LOG] = logarithm(share + _SMALLEST) if share > 0 else nothing
        features[at, extra + LENGTH] = min(length, 20)
        features[at, extra + BLENDED] = logarithm(score[at] + _SMALLEST)


@row_kernel
def describe_repetition(place: int, scale: float, scratch: Scratch, features: Array) -> None:
    """Fill what a history says of a product in it.

    Args:
        place: where it is among its distinct products; scale: one through what the most familiar one has.
    """
    features[SEEN] = 1
    times, latest, earliest = scratch.times[place], scratch.latest[place], scratch.earliest[place]
    features[SEEN_LATE] = 0.8 ** scratch.position[place]
    features[IS_LAST] = scratch.position[place] == 0
    features[TIMES_SEEN] = times
    share = scale * scratch.familiar[place]
    features[FAMILIAR] = share
    features[FAMILIAR_LOG] = logarithm(share + _SMALLEST)
    features[RATE] = times / (earliest + 1.0)
    if earliest > latest:
        features[DUE] = min((latest + 1.0) * (times - 1.0) / (earliest - latest), DUE_MAX)


@part_of_kernel
def describe_factors(kept: int, row: Array, distinct: int, stores: Stores, scratch: Scratch, features: Array) -> None:
    """Fill the features that factors make of candidates: their share of the best, and its logarithm."""
    column = PER_COMPONENT * (len(stores.list_start) + 1) + FACTORED
    features[:kept, column : column + 2] = 0
    person, width = scratch.person, len(scratch.person)
    if distinct == 0 or width == 0:
        return
    fold_in(
        scratch.distinct,
        min(distinct, len(scratch.share)),
        stores.factors,
        scratch.lower,
        scratch.share,
        scratch.person,
    )
    best = np.float32(0)
    for at in range(kept):
        value = max(inner(person, 0, stores.factors, row[at] * width, width), np.float32(0))
        features[at, column] = value
        best = max(best, value)
    for at in range(kept):
        share = features[at, column] / best if best > 0 else np.float32(0)
        features[at, column] = share
        features[at, column + 1] = logarithm(float(share) + _SMALLEST)


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
