"""The queries: the best products for some seeds, for a person, in a category. Python calls these, with arrays held."""

from __future__ import annotations

import math

from ingest.vocabulary.ranking import FloatVector, IntVector
from recommender.decay import ONE
from recommender.interactions import UNIT
from recommender.kernels import kernel, part_of_kernel
from recommender.kernels.arrays import (
    LEVEL,
    ORDERS,
    RECENT,
    SHOP_ORDERS,
    TOUCHED,
    Extras,
    Fresh,
    Frozen,
    Held,
    Lists,
    Out,
    Places,
    Work,
)
from recommender.kernels.merging import (
    ALIKE,
    TOGETHER,
    add_favourites,
    add_list,
    add_together,
    clear,
    tie_of,
)
from recommender.kernels.scoring import insert_ranked


@kernel
def any_stale(seeds: IntVector, fresh_held: Held[Fresh], extras_held: Held[Extras]) -> bool:
    """Whether a seed has tail orders that its extra counts were not made for."""
    head, span = fresh_held.arrays.head, extras_held.arrays.span
    stale = False
    for seed in seeds:
        stale |= head[seed] >= 0 and (seed >= len(span) or span[seed, 0] != head[seed])
    return stale


@part_of_kernel
def rank_found(found: int, column: int, limit: int, row_of_index: IntVector, work: Work, out: Out) -> int:
    """Put what was found into order of one column of its scores; returns how many there are."""
    scores, products, ties, found_products, total = out.scores, out.products, out.because, work.found, work.score
    count = 0
    for at in range(found):
        product = found_products[at]
        score = total[product, column]
        if count < limit or score >= scores[count - 1]:  # asked here: a call costs 50 ns
            count = insert_ranked(scores, products, ties, count, limit, score, product, tie_of(row_of_index, product))
    return count


@kernel
def rank_together(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    depth: int,
    frozen_held: Held[Frozen],
    fresh_held: Held[Fresh],
    extras_held: Held[Extras],
    work_held: Held[Work],
    out: Out,
) -> int:
    """The best partners of some seeds, with the counts of the pair with the strongest one. Returns how many."""
    frozen, fresh, extras, work = frozen_held.arrays, fresh_held.arrays, extras_held.arrays, work_held.arrays
    products, because, common, lift = out.products, out.because, out.orders, out.lift
    for seed in seeds:
        work.skip[seed] = True
    found = 0
    for at in range(len(seeds)):
        found = add_together(found, seeds[at], weights[at], depth, frozen, fresh, extras, work)
    count = rank_found(found, TOGETHER, limit, frozen.row_of_index, work, out)
    for at in range(count):
        product, seed = products[at], work.because[products[at], TOGETHER]
        because[at] = seed
        common[at] = work.orders[product]
        by_chance = fresh.totals[seed, ORDERS] * fresh.totals[product, ORDERS]
        lift[at] = float(common[at]) * float(fresh.state[SHOP_ORDERS]) / by_chance
    clear(work, found, seeds)
    return count


@kernel
def rank_for_person(
    seeds: IntVector,
    weights: FloatVector,
    limit: int,
    depth: int,
    blend: FloatVector,
    frozen_held: Held[Frozen],
    fresh_held: Held[Fresh],
    extras_held: Held[Extras],
    lists_held: Held[Lists],
    places_held: Held[Places],
    work_held: Held[Work],
    out: Out,
) -> int:
    """What suits a person: partners and neighbours of seeds, each scaled to its best, and a little popularity.

    Args:
        blend: (3,) weights of the models.
    """
    frozen, fresh, extras, work = frozen_held.arrays, fresh_held.arrays, extras_held.arrays, work_held.arrays
    lists, (scores, products, because, common, lift) = lists_held.arrays, out
    for seed in seeds:
        work.skip[seed] = True
    found = 0
    for at in range(len(seeds)):
        found = add_together(found, seeds[at], weights[at], depth, frozen, fresh, extras, work)
        found = add_list(found, seeds[at], weights[at], depth, frozen, lists, work)
    found = add_favourites(found, seeds, places_held.arrays, work)
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
        if count < limit or score >= scores[count - 1]:
            tie = tie_of(row_of_index, product)
            count = insert_ranked(scores, products, because, count, limit, score, product, tie)
    for at in range(count):
        product = products[at]
        by_orders, by_likeness = together * work.best[product, TOGETHER], alike * work.best[product, ALIKE]
        because[at] = -1
        if by_orders > 0.0 or by_likeness > 0.0:
            because[at] = work.because[product, TOGETHER if by_orders >= by_likeness else ALIKE]
        common[at], lift[at] = 0, 0.0
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
    frozen_held: Held[Frozen],
    fresh_held: Held[Fresh],
    places_held: Held[Places],
    work_held: Held[Work],
    out: Out,
) -> int:
    """The most wanted products of a category: its list in the snapshot, whatever the tail names in it or moved there.

    Args:
        rising: 0 ranks by level; else the usual share of the recent weight, and rows rank by how far they are above.
        rows: the snapshot's list.
    """
    frozen, fresh, places, work = frozen_held.arrays, fresh_held.arrays, places_held.arrays, work_held.arrays
    scores, products, because, common, lift = out
    totals, ties, row_of_index, index_of_row = fresh.totals, work.partners, frozen.row_of_index, frozen.index_of_row
    touched, moved, is_listed, node_of, parent = fresh.touched, places.moved, work.listed, places.node_of, places.parent
    listed, named = len(rows), len(rows) + fresh.state[TOUCHED]
    count, found = 0, 0
    for at in range(named + len(moved)):
        product = index_of_row[rows[at]] if at < listed else touched[at - listed] if at < named else moved[at - named]
        if is_listed[product] or not is_within(parent, node_of[product], category):
            continue
        is_listed[product] = True
        work.found[found] = product
        found += 1
        score = totals[product, LEVEL] / (UNIT * ONE)
        if rising > 0.0:
            usual = score * rising
            score = (totals[product, RECENT] / (UNIT * ONE) - usual) / math.sqrt(max(usual, 0.0) + 1.0)
        if score > 0.0 and (count < limit or score >= scores[count - 1]):
            count = insert_ranked(scores, products, ties, count, limit, score, product, tie_of(row_of_index, product))
    for at in range(found):
        is_listed[work.found[at]] = False
    for at in range(count):
        common[at], because[at], lift[at] = int(totals[products[at], ORDERS]), -1, 0.0
    return count
