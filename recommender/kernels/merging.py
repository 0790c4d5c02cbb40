"""Queries: partners of products with exact counts from snapshot and tail, and several lists merged into one."""

from __future__ import annotations

import math

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.decay import ONE
from recommender.interactions import UNIT
from recommender.kernels import kernel
from recommender.kernels.arrays import (
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
def row_of(row_of_index: IntVector, product: int) -> int:
    """The snapshot's row of a product, or -1."""
    return int(row_of_index[product]) if product < len(row_of_index) else -1


@kernel
def tie_of(row_of_index: IntVector, product: int) -> int:
    """What equal scores are ordered by: the row, which is the order of ids; then products the snapshot lacks."""
    row = row_of(row_of_index, product)
    return row if row >= 0 else len(row_of_index) + product


@kernel
def count_extras(seed: int, frozen: Frozen, fresh: Fresh, work: Work, orders: CountVector, weights: Array) -> int:
    """Snapshot counts of the seed with products that the tail pairs it with and its kept list lacks.

    Returns how many there are, in `work.partners`, `orders` (capacity,) and `weights` (capacity, 3).
    Cost: the seed's snapshot orders times their sizes; once for each tail order of the seed.
    """
    row = row_of(frozen.row_of_index, seed)
    count = 0
    if row < 0:
        return count
    at = fresh.head[seed]
    while at >= 0:
        order = fresh.node_order[at]
        for node in range(fresh.order_start[order], fresh.order_start[order + 1]):
            product = fresh.node_product[node]
            if product != seed and not work.seen[product] and row_of(frozen.row_of_index, product) >= 0:
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
def gather_fresh(seed: int, fresh: Fresh, work: Work) -> int:
    """The partners the tail gives a seed: `work.partners`, `common`, `weights`. Cost: 10 ns a product of its orders."""
    seen, common, weights, partners = work.seen, work.common, work.weights, work.partners
    node_product, numbers, today = fresh.node_product, fresh.order_numbers, fresh.state[TODAY]
    tables, damping, start = fresh.tables, fresh.damping, fresh.order_start
    node_order, node_next = fresh.node_order, fresh.node_next
    count = 0
    at = fresh.head[seed]
    while at >= 0:
        order = node_order[at]
        sign = numbers[order, 1]
        if sign != 0:
            first, last = start[order], start[order + 1]
            raw, slow, fast = order_weights(tables, damping, today - numbers[order, 0], last - first)
            for node in range(first, last):
                product = node_product[node]
                if product == seed:
                    continue
                if not seen[product]:
                    seen[product] = True
                    partners[count] = product
                    count += 1
                common[product] += sign
                weights[product, 0] += sign * raw
                weights[product, 1] += sign * slow
                weights[product, 2] += sign * fast
        at = node_next[at]
    return count


@kernel
def gather_kept(row: int, count: int, depth: int, frozen: Frozen, scale: FloatVector, work: Work) -> int:
    """Add the first `depth` partners the snapshot keeps for a seed's row."""
    seen, common, weights, partners = work.seen, work.common, work.weights, work.partners
    index_of_row, pair_row = frozen.index_of_row, frozen.pair_row
    pair_orders, pair_weights = frozen.pair_orders, frozen.pair_weights
    slow_scale, fast_scale = scale[SLOW_SUM], scale[FAST_SUM]
    first = frozen.pair_start[row]
    for at in range(first, min(frozen.pair_start[row + 1], first + depth)):
        product = index_of_row[pair_row[at]]
        if not seen[product]:
            seen[product] = True
            partners[count] = product
            count += 1
        common[product] += pair_orders[at]
        weights[product, 0] += pair_weights[at, 0]
        weights[product, 1] += pair_weights[at, 1] * slow_scale
        weights[product, 2] += pair_weights[at, 2] * fast_scale
    return count


@kernel
def gather_extras(seed: int, extras: Extras, scale: FloatVector, work: Work) -> None:
    """Add what the snapshot counts for partners that only the tail brought up."""
    seen, common, weights = work.seen, work.common, work.weights
    if extras.span[seed, 0] == -2:
        return
    for at in range(extras.span[seed, 1], extras.span[seed, 1] + extras.span[seed, 2]):
        product = extras.product[at]
        if seen[product]:
            common[product] += extras.orders[at]
            weights[product, 0] += extras.weights[at, 0]
            weights[product, 1] += extras.weights[at, 1] * scale[SLOW_SUM]
            weights[product, 2] += extras.weights[at, 2] * scale[FAST_SUM]


@kernel
def add_together(
    found: int, seed: int, weight: float, depth: int, frozen: Frozen, fresh: Fresh, extras: Extras, work: Work
) -> int:
    """Add what is bought together with a seed; the strongest suggestion of a product gives its reason."""
    row = row_of(frozen.row_of_index, seed)
    count = gather_fresh(seed, fresh, work)
    if row >= 0:
        count = gather_kept(row, count, depth, frozen, fresh.scale, work)
    if fresh.head[seed] >= 0 and seed < len(extras.span):
        gather_extras(seed, extras, fresh.scale, work)
    seen, common, weights, partners = work.seen, work.common, work.weights, work.partners
    skip, listed, found_products = work.skip, work.listed, work.found
    total, best, because, evidence = work.score, work.best, work.because, work.orders
    totals, tuning, orders = fresh.totals, fresh.tuning, fresh.state[SHOP_ORDERS]
    own = int(totals[seed, ORDERS])
    norms = work.norms
    for column in range(3):
        norms[column] = totals[seed, RAW_NORM + column] * totals[seed, RAW_NORM + column]
    for at in range(count):
        product = partners[at]
        if not skip[product] and is_significant(common[product], own, int(totals[product, ORDERS]), orders, tuning):
            raw, slow, fast = weights[product, 0], weights[product, 1], weights[product, 2]
            score = weight * pair_score(raw, slow, fast, norms, totals, product, RAW_NORM, tuning)
            if not listed[product]:
                listed[product] = True
                found_products[found] = product
                found += 1
            total[product, TOGETHER] += score
            if score > best[product, TOGETHER]:
                best[product, TOGETHER] = score
                because[product, TOGETHER] = seed
                evidence[product] = common[product]
        seen[product] = False
        common[product] = 0
        weights[product, 0] = 0.0
        weights[product, 1] = 0.0
        weights[product, 2] = 0.0
    return found


@kernel
def add_list(
    found: int,
    seed: int,
    weight: float,
    depth: int,
    frozen: Frozen,
    start: CountVector,
    rows: IntVector,
    scores: FloatVector,
    work: Work,
) -> int:
    """Add a seed's list of neighbours from the snapshot."""
    row = row_of(frozen.row_of_index, seed)
    if row < 0:
        return found
    index_of_row, skip, listed, found_products = frozen.index_of_row, work.skip, work.listed, work.found
    total, best, because = work.score, work.best, work.because
    for at in range(start[row], min(start[row + 1], start[row] + depth)):
        product = index_of_row[rows[at]]
        if skip[product]:
            continue
        score = weight * float(scores[at])
        if not listed[product]:
            listed[product] = True
            found_products[found] = product
            found += 1
        total[product, ALIKE] += score
        if score > best[product, ALIKE]:
            best[product, ALIKE] = score
            because[product, ALIKE] = seed
    return found


@kernel
def clear(work: Work, found: int, seeds: IntVector) -> None:
    """Leave the scratch as it was."""
    listed, total, best, orders, products = work.listed, work.score, work.best, work.orders, work.found
    for at in range(found):
        product = products[at]
        listed[product] = False
        for column in range(2):
            total[product, column] = 0.0
            best[product, column] = 0.0
        orders[product] = 0
    for seed in seeds:
        work.skip[seed] = False


@kernel
def rank_together(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    depth: int,
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
        found = add_together(found, seeds[at], weights[at], depth, frozen, fresh, extras, work)
    row_of_index, found_products, total = frozen.row_of_index, work.found, work.score
    count = 0
    for at in range(found):
        product = found_products[at]
        score = total[product, TOGETHER]
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(row_of_index, product))
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
    depth: int,
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
        found = add_list(found, seeds[at], weights[at], depth, frozen, start, rows, scores_of, work)
    row_of_index, found_products, total = frozen.row_of_index, work.found, work.score
    count = 0
    for at in range(found):
        product = found_products[at]
        score = total[product, ALIKE]
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(row_of_index, product))
    for at in range(count):
        because[at] = work.because[products[at], ALIKE]
    clear(work, found, seeds)
    return count


@kernel
def rank_for_person(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    depth: int,
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
        found = add_together(found, seeds[at], weights[at], depth, frozen, fresh, extras, work)
        found = add_list(found, seeds[at], weights[at], depth, frozen, start, rows, scores_of, work)
    for product in favourites:
        if not work.skip[product] and not work.listed[product]:
            work.listed[product] = True
            work.found[found] = product
            found += 1
    row_of_index, found_products, total, totals = frozen.row_of_index, work.found, work.score, fresh.totals
    most_together, most_alike, most_wanted = 0.0, 0.0, 0.0
    for at in range(found):
        product = found_products[at]
        most_together = max(most_together, total[product, TOGETHER])
        most_alike = max(most_alike, total[product, ALIKE])
        most_wanted = max(most_wanted, totals[product, LEVEL])
    together = blend[0] / most_together if most_together > 0.0 else 0.0
    alike = blend[1] / most_alike if most_alike > 0.0 else 0.0
    wanted = blend[2] / most_wanted if most_wanted > 0.0 else 0.0
    count = 0
    for at in range(found):
        product = found_products[at]
        score = (
            together * total[product, TOGETHER]
            + alike * total[product, ALIKE]
            + wanted * max(totals[product, LEVEL], 0.0)
        )
        count = insert_ranked(scores, products, because, count, limit, score, product, tie_of(row_of_index, product))
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
    totals, ties, touched, row_of_index = fresh.totals, work.partners, fresh.touched, frozen.row_of_index
    count, listed, index_of_row, is_listed = 0, len(rows), frozen.index_of_row, work.listed
    for at in range(listed + fresh.state[TOUCHED]):
        product = index_of_row[rows[at]] if at < listed else touched[at - listed]
        if at < listed:
            is_listed[product] = True
        elif is_listed[product] or not is_within(node_parent, node_of[product], category):
            continue
        score = totals[product, LEVEL] / (UNIT * ONE)
        if rising > 0.0:
            usual = score * rising
            score = (totals[product, RECENT] / (UNIT * ONE) - usual) / math.sqrt(max(usual, 0.0) + 1.0)
        if score > 0.0:
            count = insert_ranked(scores, products, ties, count, limit, score, product, tie_of(row_of_index, product))
    for at in range(listed):
        is_listed[index_of_row[rows[at]]] = False
    for at in range(count):
        common[at] = int(totals[products[at], ORDERS])
    return count
