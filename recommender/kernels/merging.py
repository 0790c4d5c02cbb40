"""Queries: partners of products with exact counts from snapshot and tail, and several lists merged into one."""

from __future__ import annotations

import math

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.decay import ONE
from recommender.interactions import UNIT
from recommender.kernels import kernel
from recommender.kernels.arrays import (
    FAST_NORM,
    FAST_SUM,
    LEVEL,
    ORDERS,
    RAW_NORM,
    RECENT,
    SHOP_ORDERS,
    SLOW_SUM,
    TODAY,
    TOUCHED,
    Array,
    Extras,
    Fresh,
    Frozen,
    Work,
)
from recommender.kernels.scoring import insert_ranked, is_significant, pair_score
from recommender.kernels.tailing import order_weights

TOGETHER, ALIKE = 0, 1  # columns of Work.score, best, because


@kernel
def row_of(frozen: Frozen, product: int) -> int:
    """The snapshot's row of a product, or -1."""
    return int(frozen.row_of_index[product]) if product < len(frozen.row_of_index) else -1


@kernel
def tie_of(frozen: Frozen, product: int) -> int:
    """What equal scores are ordered by: the row, which is the order of ids; then products the snapshot lacks."""
    row = row_of(frozen, product)
    return row if row >= 0 else len(frozen.index_of_row) + product


@kernel
def count_extras(seed: int, frozen: Frozen, fresh: Fresh, work: Work, orders: CountVector, weights: Array) -> int:
    """Snapshot counts of the seed with products that the tail pairs it with and its kept list lacks.

    Returns how many there are, in `work.partners`, `orders` (capacity,) and `weights` (capacity, 3).
    Cost: the seed's snapshot orders times their sizes; once for each tail order of the seed.
    """
    row = row_of(frozen, seed)
    count = 0
    if row < 0:
        return count
    at = fresh.head[seed]
    while at >= 0:
        order = fresh.node_order[at]
        for node in range(fresh.order_start[order], fresh.order_start[order + 1]):
            product = fresh.node_product[node]
            if product != seed and not work.seen[product] and row_of(frozen, product) >= 0:
                work.seen[product] = True
                work.partners[count] = product
                count += 1
        at = fresh.node_next[at]
    for at in range(frozen.pair_start[row], frozen.pair_start[row + 1]):
        work.seen[frozen.index_of_row[frozen.pair_row[at]]] = False
    for at in range(frozen.posting_start[row], frozen.posting_start[row + 1]):
        order = frozen.posting_order[at]
        first, last = frozen.order_start[order], frozen.order_start[order + 1]
        age = frozen.reference_day[0] - frozen.order_day[order]
        raw, slow, fast = order_weights(fresh.tables, fresh.damping, age, last - first)
        for within in range(first, last):
            product = frozen.index_of_row[frozen.order_product[within]]
            if work.seen[product]:
                work.common[product] += 1
                work.weights[product, 0] += raw
                work.weights[product, 1] += slow
                work.weights[product, 2] += fast
    held = 0
    for at in range(count):
        product = work.partners[at]
        if work.common[product] > 0:
            orders[held] = work.common[product]
            weights[held] = work.weights[product]
            work.partners[held] = product
            held += 1
        work.seen[product] = False
        work.common[product] = 0
        work.weights[product, :] = 0.0
    return held


@kernel
def gather_partners(seed: int, frozen: Frozen, fresh: Fresh, extras: Extras, work: Work) -> int:
    """All products worth considering with a seed, in `work.partners`, with `common` and `weights` as of today."""
    count = 0
    at = fresh.head[seed]
    while at >= 0:
        order = fresh.node_order[at]
        sign = fresh.order_numbers[order, 1]
        if sign != 0:
            first, last = fresh.order_start[order], fresh.order_start[order + 1]
            age = fresh.state[TODAY] - fresh.order_numbers[order, 0]
            raw, slow, fast = order_weights(fresh.tables, fresh.damping, age, last - first)
            for node in range(first, last):
                product = fresh.node_product[node]
                if product != seed:
                    if not work.seen[product]:
                        work.seen[product] = True
                        work.partners[count] = product
                        count += 1
                    work.common[product] += sign
                    work.weights[product, 0] += sign * raw
                    work.weights[product, 1] += sign * slow
                    work.weights[product, 2] += sign * fast
        at = fresh.node_next[at]
    row = row_of(frozen, seed)
    slow_scale, fast_scale = fresh.scale[SLOW_SUM], fresh.scale[FAST_SUM]
    if row >= 0:
        for at in range(frozen.pair_start[row], frozen.pair_start[row + 1]):
            product = frozen.index_of_row[frozen.pair_row[at]]
            if not work.seen[product]:
                work.seen[product] = True
                work.partners[count] = product
                count += 1
            work.common[product] += frozen.pair_orders[at]
            work.weights[product, 0] += frozen.pair_weights[at, 0]
            work.weights[product, 1] += frozen.pair_weights[at, 1] * slow_scale
            work.weights[product, 2] += frozen.pair_weights[at, 2] * fast_scale
    if extras.span[seed, 0] != -2:
        for at in range(extras.span[seed, 1], extras.span[seed, 1] + extras.span[seed, 2]):
            product = extras.product[at]
            if work.seen[product]:
                work.common[product] += extras.orders[at]
                work.weights[product, 0] += extras.weights[at, 0]
                work.weights[product, 1] += extras.weights[at, 1] * slow_scale
                work.weights[product, 2] += extras.weights[at, 2] * fast_scale
    return count


@kernel
def add_score(work: Work, found: int, column: int, product: int, seed: int, score: float, orders: int) -> int:
    """Add a seed's suggestion to a candidate; the strongest suggestion gives the reason."""
    if not work.listed[product]:
        work.listed[product] = True
        work.found[found] = product
        found += 1
    work.score[product, column] += score
    if score > work.best[product, column]:
        work.best[product, column] = score
        work.because[product, column] = seed
        if column == TOGETHER:
            work.orders[product] = orders
    return found


@kernel
def add_together(found: int, seed: int, weight: float, frozen: Frozen, fresh: Fresh, extras: Extras, work: Work) -> int:
    """Add what is bought together with a seed."""
    partners = gather_partners(seed, frozen, fresh, extras, work)
    totals, tuning, orders = fresh.totals, fresh.tuning, fresh.state[SHOP_ORDERS]
    own = int(totals[seed, ORDERS])
    for at in range(partners):
        product = work.partners[at]
        common = work.common[product]
        if not work.skip[product] and is_significant(common, own, int(totals[product, ORDERS]), orders, tuning):
            score = pair_score(
                work.weights[product, 0],
                work.weights[product, 1],
                work.weights[product, 2],
                totals[seed, RAW_NORM : FAST_NORM + 1],
                totals[product, RAW_NORM : FAST_NORM + 1],
                tuning,
            )
            found = add_score(work, found, TOGETHER, product, seed, weight * score, common)
        work.seen[product] = False
        work.common[product] = 0
        work.weights[product, :] = 0.0
    return found


@kernel
def add_list(
    found: int,
    seed: int,
    weight: float,
    frozen: Frozen,
    start: CountVector,
    rows: IntVector,
    scores: FloatVector,
    work: Work,
) -> int:
    """Add a seed's list of neighbours from the snapshot."""
    row = row_of(frozen, seed)
    if row >= 0:
        for at in range(start[row], start[row + 1]):
            product = frozen.index_of_row[rows[at]]
            if not work.skip[product]:
                found = add_score(work, found, ALIKE, product, seed, weight * float(scores[at]), 0)
    return found


@kernel
def clear(work: Work, found: int, seeds: IntVector) -> None:
    """Leave the scratch as it was."""
    for at in range(found):
        product = work.found[at]
        work.listed[product] = False
        work.score[product, :] = 0.0
        work.best[product, :] = 0.0
        work.orders[product] = 0
    for seed in seeds:
        work.skip[seed] = False


@kernel
def rank_together(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    frozen: Frozen,
    fresh: Fresh,
    extras: Extras,
    work: Work,
    scores: FloatVector,
    products: IntVector,
    because: IntVector,
    common: CountVector,
    lift: FloatVector,
) -> int:
    """The best partners of some seeds, with the counts of the pair with the strongest one. Returns how many."""
    for seed in seeds:
        work.skip[seed] = True
    found = 0
    for at in range(len(seeds)):
        found = add_together(found, seeds[at], weights[at], frozen, fresh, extras, work)
    count = 0
    for at in range(found):
        product = work.found[at]
        score = work.score[product, TOGETHER]
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(frozen, product))
    for at in range(count):
        product, seed = products[at], work.because[products[at], TOGETHER]
        because[at] = seed
        common[at] = work.orders[product]
        by_chance = fresh.totals[seed, ORDERS] * fresh.totals[product, ORDERS]
        lift[at] = float(common[at]) * float(fresh.state[SHOP_ORDERS]) / by_chance
    clear(work, found, seeds)
    return count


@kernel
def rank_lists(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    frozen: Frozen,
    start: CountVector,
    rows: IntVector,
    scores_of: FloatVector,
    work: Work,
    scores: FloatVector,
    products: IntVector,
    because: IntVector,
) -> int:
    """Several lists of neighbours merged into one. Returns how many. Cost: some 10 ns a neighbour."""
    for seed in seeds:
        work.skip[seed] = True
    found = 0
    for at in range(len(seeds)):
        found = add_list(found, seeds[at], weights[at], frozen, start, rows, scores_of, work)
    count = 0
    for at in range(found):
        product = work.found[at]
        score = work.score[product, ALIKE]
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(frozen, product))
    for at in range(count):
        because[at] = work.because[products[at], ALIKE]
    clear(work, found, seeds)
    return count


@kernel
def rank_for_person(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    favourites: IntVector,
    blend: FloatVector,
    frozen: Frozen,
    fresh: Fresh,
    extras: Extras,
    start: CountVector,
    rows: IntVector,
    scores_of: FloatVector,
    work: Work,
    scores: FloatVector,
    products: IntVector,
    because: IntVector,
) -> int:
    """What suits a person: partners and neighbours of seeds, each scaled to its best, and a little popularity.

    Args:
        favourites: popular products (product_index) of the seeds' categories; blend: (3,) weights of the models.
    """
    for seed in seeds:
        work.skip[seed] = True
    found = 0
    for at in range(len(seeds)):
        found = add_together(found, seeds[at], weights[at], frozen, fresh, extras, work)
        found = add_list(found, seeds[at], weights[at], frozen, start, rows, scores_of, work)
    for product in favourites:
        if not work.skip[product]:
            found = add_score(work, found, ALIKE, product, -1, 0.0, 0)
    most_together, most_alike, most_wanted = 0.0, 0.0, 0.0
    for at in range(found):
        product = work.found[at]
        most_together = max(most_together, work.score[product, TOGETHER])
        most_alike = max(most_alike, work.score[product, ALIKE])
        most_wanted = max(most_wanted, fresh.totals[product, LEVEL])
    together = blend[0] / most_together if most_together > 0.0 else 0.0
    alike = blend[1] / most_alike if most_alike > 0.0 else 0.0
    wanted = blend[2] / most_wanted if most_wanted > 0.0 else 0.0
    count = 0
    for at in range(found):
        product = work.found[at]
        score = (
            together * work.score[product, TOGETHER]
            + alike * work.score[product, ALIKE]
            + wanted * max(fresh.totals[product, LEVEL], 0.0)
        )
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(frozen, product))
    for at in range(count):
        product = products[at]
        by_orders, by_likeness = together * work.best[product, TOGETHER], alike * work.best[product, ALIKE]
        because[at] = -1
        if by_orders > 0.0 or by_likeness > 0.0:
            because[at] = work.because[product, TOGETHER if by_orders >= by_likeness else ALIKE]
    clear(work, found, seeds)
    return count


@kernel
def is_within(node_parent: IntVector, node: int, category: int) -> bool:
    """Whether a category lies in another, or is it."""
    while node >= 0:
        if node == category:
            return True
        node = node_parent[node]
    return False


@kernel
def rank_wanted(
    category: int,
    rising: float,
    limit: int,
    rows: IntVector,
    node_parent: IntVector,
    node_of: IntVector,
    frozen: Frozen,
    fresh: Fresh,
    work: Work,
    scores: FloatVector,
    products: IntVector,
    common: CountVector,
) -> int:
    """The most wanted products of a category: its list in the snapshot and whatever the tail names in it.

    Args:
        rising: 0 ranks by level; else the usual share of the recent weight, and rows rank by how far they are above.
        rows: the snapshot's list; node_of: (capacity,) the category of each product by product_index.
    """
    totals, ties = fresh.totals, work.partners
    count, listed = 0, len(rows)
    for at in range(listed + fresh.state[TOUCHED]):
        product = frozen.index_of_row[rows[at]] if at < listed else fresh.touched[at - listed]
        if at < listed:
            work.listed[product] = True
        elif work.listed[product] or not is_within(node_parent, node_of[product], category):
            continue
        score = totals[product, LEVEL] / (UNIT * ONE)
        if rising > 0.0:
            usual = score * rising
            score = (totals[product, RECENT] / (UNIT * ONE) - usual) / math.sqrt(max(usual, 0.0) + 1.0)
        if score > 0.0:
            count = insert_ranked(scores, products, ties, count, limit, score, product, tie_of(frozen, product))
    for at in range(listed):
        work.listed[frozen.index_of_row[rows[at]]] = False
    for at in range(count):
        common[at] = int(totals[products[at], ORDERS])
    return count
