"""Popularity: what is wanted now, in the whole shop and in every category; and what is on the rise.

Forward decay: a wish counts half after one half-life. Views, carts and wishes of one person for one product count
once a day; each order counts, so that its cancellation can be taken back exactly.

Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay: a practical time decay model for streaming systems"
(ICDE 2009), with a landmark at the newest moment known and whole days.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.configuration import PopularityConfiguration
from recommender.decay import ONE, decay_tables
from recommender.interactions import KIND_UNITS, ORDER, UNIT, Interactions

Arrays = dict[str, NDArray[np.generic]]
SHOP = 0  # the category node that holds everything


def fit(interactions: Interactions, configuration: PopularityConfiguration) -> Arrays:
    """Weights and lists.

    Returns:
        level, recent: (products,) int64 in units of an order / UNIT times `ONE`.
        node_parent: (nodes,) -1 for the shop; node_of: (products,); node_names: MessagePack list of category paths.
        popular_*, trending_*: per node the rows of the best products, as start (nodes + 1,) and row.

    Cost: a sort of each day's interactions, and one sort a category; memory: some 40 bytes an interaction of a day.
    """
    half_lives = (configuration.level_half_life_days, configuration.recent_half_life_days)
    level, recent = _decayed(interactions, decay_tables(half_lives))
    names, parent, node_of = category_nodes(interactions.catalogue)
    arrays: Arrays = {
        "level": level,
        "recent": recent,
        "node_parent": parent,
        "node_of": node_of,
        "node_names": np.frombuffer(msgspec.msgpack.encode(names), dtype=np.uint8),
    }
    share = configuration.recent_half_life_days / configuration.level_half_life_days
    for kind, scores in (
        ("popular", level.astype(np.float64)),
        ("trending", trend(level.astype(np.float64), recent.astype(np.float64), share)),
    ):
        start, rows = _lists(scores, parent, node_of, configuration.listed)
        arrays |= {f"{kind}_start": start, f"{kind}_row": rows}
    return arrays


def trend(level: FloatVector, recent: FloatVector, share: float) -> FloatVector:
    """How far the recent weight is above its usual share of the level, in standard deviations of a count.

    Args:
        level, recent: (n,) in units times `ONE`; share: the ratio of the half-lives, what a steady product shows.
    """
    usual = level * share / (UNIT * ONE)
    result: FloatVector = (recent / (UNIT * ONE) - usual) / np.sqrt(usual + 1.0)
    return result


def category_nodes(catalogue: tuple[Product | None, ...]) -> tuple[list[tuple[str, ...]], IntVector, IntVector]:
    """All categories and their ancestors, sorted; the parent of each; and each product's node (`SHOP` for none)."""
    paths = {product.category[:depth] for product in catalogue if product for depth in range(len(product.category) + 1)}
    names = sorted(paths | {()})
    number = {path: node for node, path in enumerate(names)}
    parent = np.array([number[path[:-1]] if path else -1 for path in names], dtype=np.int32)
    node_of = np.array([number[product.category] if product else SHOP for product in catalogue], dtype=np.int32)
    return names, parent, node_of


def _decayed(interactions: Interactions, tables: NDArray[np.int64]) -> NDArray[np.int64]:
    """The weights of products by each table of decay, (tables, products)."""
    total = np.zeros((len(tables), len(interactions.products)), np.int64)
    time_s = interactions.time_s
    at = int(
        np.searchsorted(time_s, (interactions.reference_day - tables.shape[1] + 1) * DAY_S)
    )  # older weighs nothing
    while at < len(time_s):
        day = int(time_s[at]) // DAY_S
        end = int(np.searchsorted(time_s, (day + 1) * DAY_S))
        units, product = _units(interactions, slice(at, end))
        for sums, weight in zip(total, tables[:, interactions.reference_day - day].tolist(), strict=True):
            np.add.at(sums, product, units * weight)
        at = end
    return total


def _units(interactions: Interactions, day: slice) -> tuple[CountVector, IntVector]:
    """Weight in units and product of what counts of one day; clicks once a person, product and kind."""
    kind, product = interactions.kind[day], interactions.product[day]
    clicks = kind != ORDER
    keys = interactions.subject[day][clicks].astype(np.int64) * len(interactions.products) + product[clicks]
    once = np.unique(keys * ORDER + kind[clicks]) if len(keys) else keys
    units = np.array(KIND_UNITS, dtype=np.int64)
    return (
        np.concatenate((units[once % ORDER], units[kind[~clicks]])),
        np.concatenate((once // ORDER % len(interactions.products), product[~clicks])),
    )


def _lists(scores: FloatVector, parent: IntVector, node_of: IntVector, listed: int) -> tuple[CountVector, IntVector]:
    """Per node the rows with the best positive scores; ties break by row. Cost: one pass a level of the tree."""
    ranked = np.lexsort((np.arange(len(scores)), -scores)).astype(np.int32)
    ranked = ranked[scores[ranked] > 0]
    members: list[list[int]] = [[] for _ in parent]
    for row in ranked.tolist():
        node = int(node_of[row])
        while node >= 0:
            if len(members[node]) < listed:
                members[node].append(row)
            node = int(parent[node])
    start = np.concatenate(([0], np.cumsum([len(rows) for rows in members]))).astype(np.int64)
    return start, np.array([row for rows in members for row in rows], dtype=np.int32)
