"""Boosts applied: candidates in the order that they have once every boost has multiplied their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.vocabulary.ranking import Candidates, FloatVector
from personalization.page.boosts import Boost
from personalization.page.shelf import Shelf


def boosted(candidates: Candidates, boosts: Sequence[Boost], shelf: Shelf) -> tuple[Candidates, dict[str, int]]:
    """The candidates with their scores multiplied by every boost that is for them, best first again.

    Where scores become equal, the order stays as it was. Returns also how many candidates each boost was for.

    Cost: a pass over the candidates for each value of a boost, and a sort: 75 µs for a hundred candidates and one
    category, 125 for five hundred; an attribute costs 120 and 540 more.
    """
    lifts = np.ones(len(candidates.products))
    concerned: dict[str, int] = {}
    known = np.flatnonzero(candidates.products < len(shelf.listed))
    products = candidates.products[known]
    for boost in boosts:
        inside = np.zeros(len(products), np.bool_)
        if boost.attribute is not None:
            inside |= shelf.has_attribute(boost.attribute, boost.values, products)
        for category in boost.category:
            inside |= shelf.in_category(category, products)
        lifts[known[inside]] *= boost.lift
        concerned[boost.words] = int(np.count_nonzero(inside))
    return lifted(candidates, lifts), concerned


def lifted(candidates: Candidates, lifts: FloatVector) -> Candidates:
    """The candidates with their scores multiplied, best first again; of equal ones the order stays as it was."""
    scores = candidates.scores * lifts
    order = np.argsort(-scores, kind="stable")
    _, _, _, because, orders, lift = candidates
    kept = (because[order], orders[order], lift[order])
    return Candidates(candidates.kind, candidates.products[order], scores[order], *kept)
