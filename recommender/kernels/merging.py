"""Partners of a seed with exact counts from snapshot and tail, and lists of neighbours, added up seed by seed.

Lists alone are faster merged by `listing`.
"""

from __future__ import annotations

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.kernels import kernel, part_of_kernel
from recommender.kernels.arrays import (
    FAST_SUM,
    ORDERS,
    RAW_NORM,
    SHOP_ORDERS,
    SLOW_SUM,
    TODAY,
    Array,
    Extras,
    Fresh,
    Frozen,
    Lists,
    Places,
    Work,
)
from recommender.kernels.scoring import is_significant, pair_score
from recommender.kernels.tailing import order_weights
from recommender.models.popularity import SHOP

TOGETHER, ALIKE = 0, 1  # columns of Work.score, best, because
CATEGORIES_MAX = 5  # whose favourites a person is offered
NODES_MAX = 2**31 - 1


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


@part_of_kernel
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


@part_of_kernel
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


@part_of_kernel
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


@part_of_kernel
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


@part_of_kernel
def add_list(
    found: int,
    seed: int,
    weight: float,
    depth: int,
    frozen: Frozen,
    lists: Lists,
    work: Work,
) -> int:
    """Add a seed's list of neighbours from the snapshot."""
    row = row_of(frozen.row_of_index, seed)
    if row < 0:
        return found
    index_of_row, skip, listed, found_products = frozen.index_of_row, work.skip, work.listed, work.found
    total, best, because = work.score, work.best, work.because
    start, rows, scores = lists.start, lists.row, lists.score
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


@part_of_kernel
def add_favourites(found: int, seeds: IntVector, places: Places, work: Work) -> int:
    """Add the most wanted products of the seeds' categories, a few of them; of the whole shop if they have none."""
    start, favourite, node_of = places.favourite_start, places.favourite, places.node_of
    last, chosen = -1, 0
    while chosen < CATEGORIES_MAX:
        node = NODES_MAX
        for seed in seeds:
            if last < node_of[seed] < node:
                node = node_of[seed]
        if node == NODES_MAX:
            if chosen > 0:
                break
            node = SHOP
        for at in range(start[node], start[node + 1]):
            product = favourite[at]
            if not work.skip[product] and not work.listed[product]:
                work.listed[product] = True
                work.found[found] = product
                found += 1
        last, chosen = node, chosen + 1
    return found


@part_of_kernel
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
