"""How demand for categories and products shifts with the situation: twice as much rainwear in rain.

For a part of situations (weather, device …) and one of its values, a product was wanted n times in it. Had the value
made no difference, it would have been E times: its share of the demand in which the part is known, taken within each
four weeks, so that neither seasons nor what was sold for a short while pass for the weather. n is taken to be Poisson
about E times the category's lift times its own, which is from one of two Gammas of mean 1: most things are hardly
concerned, some are much. Categories begin at those above them, products at their category. Where the posterior does not
leave out 1 nearly surely, the own lift is 1.

What many lines of one basket, or one person's habits, say together counts less: n and E are divided by the design
effect, the variance of a count between clusters over that of independent demands. A cluster is a person where the part
lasts (their device), and a person's day where it passes (the weather).

Source: DuMouchel, "Bayesian Data Mining in Large Frequency Tables" (The American Statistician 1999), with means and one
strength fixed, and stratified expectations as there; Kish, "Survey Sampling" (1965), for the design effect.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from ingest.vocabulary.situations import LASTING, PART_KINDS, Part, PartKind
from recommender.configuration import AffinityConfiguration
from recommender.interactions import CART, ORDER, Interactions
from recommender.models.popularity import category_nodes

PERIOD_DAYS = 28  # what is compared with what: long enough for weather of all kinds, short enough for one season
CLUSTERS_MIN = 50  # people or days a value was seen in; fewer say more about them than about the value
CELLS_MAX = 40  # values of a part, the most frequent; a row of the size of the catalogue each
EXPECTED_MIN = 1.0  # what is expected less often says nothing about the prior, and there is much of it
SURE = 0.95  # of the posterior on one side of 1 before it is believed
NARROW = tuple(20.0 * 2.0**step for step in range(10))  # as if seen that often without a difference: 20 … 10,240
WIDE = 4.0  # the same for what the situation does concern: two thirds of such lifts are within 0.5 and 1.5
SHARES = (0.01, 0.03, 0.1, 0.3, 0.6)  # of things that the situation does concern
STEPS = 127  # of a lift's logarithm on either side of none, in one byte

_LEAST_GAIN = 1e-6  # a likelihood that is larger by less is not
_ODDS_MAX = 700.0  # what an exponential still holds

FloatMatrix = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]


class _Prior(NamedTuple):
    """Two Gammas of mean 1: a narrow one of this strength, and `WIDE` for a share of the things."""

    narrow: float
    share: float


class _Demand(NamedTuple):
    """What was wanted in a known situation, once a person, product and day; all vectors are of one length."""

    person: CountVector
    day: CountVector
    product: CountVector
    situation: CountVector


class _Tree(NamedTuple):
    """Categories: parents come before their children, 0 is the shop."""

    parent: IntVector
    node_of: IntVector

    @property
    def depth(self) -> CountVector:
        """How far below the shop each category is."""
        depth = np.zeros(len(self.parent), np.int64)
        for node in range(1, len(self.parent)):
            depth[node] = depth[self.parent[node]] + 1
        return depth


def fit(interactions: Interactions, configuration: AffinityConfiguration) -> Arrays:
    """The lifts of products by values of situations.

    Returns:
        cells: MessagePack list of (part, value), sorted, those without any lift left out.
        lift: (cells, products) int8, the logarithm of the lift to the base `lift_max`, in 1 / STEPS.
        lift_max: (1,) the greatest lift, whose inverse is the smallest.

    Cost: a pass over all orders and carts for each part; memory: some 40 bytes for each value and product of one part.
    """
    lift_max = configuration.lift_max
    products = len(interactions.products)
    cells: list[Part] = []
    steps = [np.zeros((0, products), np.int8)]
    demand = _demand(interactions)
    if lift_max > 1.0 and len(demand.product):
        _, parent, node_of = category_nodes(interactions.catalogue)
        for kind in PART_KINDS:
            values, cell = _cells(kind, interactions, demand)
            if len(values) > 1:
                lifts = _lifts(demand, cell, len(values), _Tree(parent, node_of), kind in LASTING, lift_max)
                found = np.rint(STEPS * np.log(lifts) / np.log(lift_max)).astype(np.int8)
                kept = np.flatnonzero(found.any(axis=1))
                cells += [(kind, values[row]) for row in kept.tolist()]
                steps.append(found[kept])
    order = sorted(range(len(cells)), key=cells.__getitem__)
    return {
        "cells": np.frombuffer(msgspec.msgpack.encode([cells[row] for row in order]), dtype=np.uint8),
        "lift": np.concatenate(steps)[order] if order else steps[0],
        "lift_max": np.array([lift_max]),
    }


def shrunk(seen: FloatMatrix, expected: FloatMatrix, base: FloatMatrix) -> FloatMatrix:
    """Lifts, `base` where too little is known; all (values, things).

    Args:
        seen, expected: how often a thing was wanted, and would have been without a difference.
        base: the lift to begin at.
    """
    mean = expected * base
    told = expected >= EXPECTED_MIN
    if not told.any():
        return base
    own, below_one = _posterior(seen, mean, _prior(seen[told], mean[told]))
    sure = told & ((below_one < 1.0 - SURE) | (below_one > SURE))
    return np.where(sure, base * own, base)


def _prior(seen: FloatVector, mean: FloatVector) -> _Prior:
    """The prior under which what was seen is most likely."""
    wide = _likelihood(seen, mean, WIDE)
    best, most_likely = _Prior(NARROW[-1], SHARES[0]), -np.inf
    for narrow in NARROW:
        close = _likelihood(seen, mean, narrow)
        for share in SHARES:
            likelihood = float(np.logaddexp(close + np.log1p(-share), wide + np.log(share)).sum())
            if likelihood > most_likely + _LEAST_GAIN:
                best, most_likely = _Prior(narrow, share), likelihood
    return best


def _posterior(seen: FloatMatrix, mean: FloatMatrix, prior: _Prior) -> tuple[FloatMatrix, FloatMatrix]:
    """The mean of each lift, and how likely it is below 1."""
    odds = _likelihood(seen, mean, WIDE) - _likelihood(seen, mean, prior.narrow)
    wide = 1.0 / (1.0 + np.exp(-np.clip(odds, -_ODDS_MAX, _ODDS_MAX)) * (1.0 - prior.share) / prior.share)
    lifts, below_one = np.zeros_like(seen), np.zeros_like(seen)
    for weight, strength in ((wide, WIDE), (1.0 - wide, prior.narrow)):
        lifts += weight * (seen + strength) / (mean + strength)
        below_one += weight * gammainc(seen + strength, mean + strength)
    return lifts, below_one


def _likelihood(seen: FloatMatrix, mean: FloatMatrix, strength: float) -> FloatMatrix:
    """The logarithm of the negative binomial probability of what was seen, but for what no prior changes."""
    found: FloatMatrix = (
        gammaln(seen + strength)
        - gammaln(strength)
        - strength * np.log1p(mean / strength)
        - seen * np.log(np.maximum(mean + strength, 1e-300))
    )
    return found


def _demand(interactions: Interactions) -> _Demand:
    """Orders and carts in a known situation; of a product that one person wanted twice a day the first."""
    nothing = np.zeros(0, np.int64)
    if not len(interactions.situation):
        return _Demand(nothing, nothing, nothing, nothing)
    wanted = (interactions.situation >= 0) & np.isin(interactions.kind, (CART, ORDER))
    wanted &= ~np.isin(interactions.subject, interactions.left_out)
    rows = np.flatnonzero(wanted)
    person = interactions.person[interactions.subject[rows]].astype(np.int64)
    day, product = interactions.time_s[rows] // DAY_S, interactions.product[rows].astype(np.int64)
    width = max(len(interactions.products), 1)
    cluster = _numbered(person, day)
    _, first = np.unique(cluster * width + product, return_index=True)
    first.sort()
    return _Demand(person[first], day[first], product[first], interactions.situation[rows[first]].astype(np.int64))


def _cells(kind: PartKind, interactions: Interactions, demand: _Demand) -> tuple[list[str], CountVector]:
    """The values of a part that are seen often enough, and which of them each demand was in.

    Values that are seen too seldom are one more number, behind all: they are part of what the others are compared with.
    Without the part it is -1.
    """
    said = [dict(parts).get(kind) for parts in interactions.situations]
    names = sorted({value for value in said if value is not None})
    number = {value: at for at, value in enumerate(names)}
    value = np.array([-1 if each is None else number[each] for each in said], np.int64)[demand.situation]
    cluster = demand.person if kind in LASTING else _numbered(demand.person, demand.day)
    known = value >= 0
    pairs = np.unique(cluster[known] * max(len(names), 1) + value[known])
    clusters = np.bincount(pairs % max(len(names), 1), minlength=len(names))
    often = sorted(np.flatnonzero(clusters >= CLUSTERS_MIN).tolist(), key=lambda at: (-clusters[at], names[at]))
    kept = sorted(often[:CELLS_MAX])
    row = np.full(len(names) + 1, len(kept), np.int64)
    row[kept] = np.arange(len(kept))
    row[-1] = -1  # where the part is unknown
    return [names[at] for at in kept], row[value]


def _lifts(demand: _Demand, cell: CountVector, values: int, tree: _Tree, lasting: bool, lift_max: float) -> FloatMatrix:
    """The lifts of products, (values, products), from the top of the tree of categories down."""
    known = cell >= 0
    person, day, product, _ = (column[known] for column in demand)
    cell = cell[known]
    cluster = np.unique(person if lasting else _numbered(person, day), return_inverse=True)[1]
    seen, expected = _counted(product, cell, day // PERIOD_DAYS, values, len(tree.node_of))
    depth, parent = tree.depth, tree.parent
    node_seen, node_expected = (_summed(table, tree) for table in (seen, expected))
    lifts = np.ones((values, len(parent)))
    node = tree.node_of[product]
    above = node.copy()
    for level in range(int(depth.max()), 0, -1):
        inside = depth[above] == level
        effect = _design_effect(cluster, inside, above, len(parent))
        there = np.flatnonzero(depth == level)
        node_seen[:, there] /= effect[there]
        node_expected[:, there] /= effect[there]
        above[inside] = parent[above[inside]]
    for level in range(1, int(depth.max()) + 1):
        there = np.flatnonzero(depth == level)
        found = shrunk(node_seen[:, there], node_expected[:, there], lifts[:, parent[there]])
        lifts[:, there] = np.clip(found, 1.0 / lift_max, lift_max)
    effect = _design_effect(cluster, np.ones(len(product), np.bool_), product, len(tree.node_of))
    own = shrunk(seen / effect, expected / effect, lifts[:, tree.node_of])
    return np.clip(own, 1.0 / lift_max, lift_max)


def _counted(
    product: CountVector, cell: CountVector, period: CountVector, values: int, products: int
) -> tuple[FloatMatrix, FloatMatrix]:
    """How often products were wanted in each value, and how often without a difference; (values, products)."""
    seen = np.zeros((values, products))
    expected = np.zeros((values, products))
    listed = cell < values
    np.add.at(seen, (cell[listed], product[listed]), 1.0)
    for each in np.unique(period).tolist():
        within = period == each
        wanted = np.bincount(product[within], minlength=products)
        shares = np.bincount(cell[within], minlength=values + 1)[:values] / np.count_nonzero(within)
        expected += np.outer(shares, wanted)
    return seen, expected


def _summed(table: FloatMatrix, tree: _Tree) -> FloatMatrix:
    """What a table of products comes to by category, with all that is below it."""
    nodes = np.zeros((len(table), len(tree.parent)))
    for row, total in zip(table, nodes, strict=True):
        total += np.bincount(tree.node_of, weights=row, minlength=len(tree.parent))
    for node in range(len(tree.parent) - 1, 0, -1):
        nodes[:, tree.parent[node]] += nodes[:, node]
    return nodes


def _design_effect(
    clusters: CountVector, inside: NDArray[np.bool_], thing: NDArray[np.integer], things: int
) -> FloatVector:
    """By how much the counts of things vary more than independent ones would; (things,), at least 1.

    Args:
        clusters: whose or which day's each demand was; inside: which of them are of a thing, and `thing` of which.

    A thing of share q would be wanted t·q times in a cluster of t demands: what is beyond that is squared and summed.
    """
    size = np.bincount(clusters).astype(np.float64)
    pairs, counts = np.unique(clusters[inside] * things + thing[inside], return_counts=True)
    of_thing, found = pairs % things, counts.astype(np.float64)
    total, squares, together = (
        np.bincount(of_thing, weights=weight, minlength=things)
        for weight in (found, found**2, found * size[pairs // things])
    )
    share = total / len(clusters)
    spread = squares - 2.0 * share * together + share**2 * float(size @ size)
    effect: FloatVector = np.maximum(spread / np.maximum(total * (1.0 - share), 1.0), 1.0)
    return effect


def _numbered(first: CountVector, second: CountVector) -> CountVector:
    """A number for each pair, from 0, in their order."""
    width = int(second.max(initial=0)) + 1
    numbers: CountVector = np.unique(first * width + second, return_inverse=True)[1].astype(np.int64)
    return numbers
