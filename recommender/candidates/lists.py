"""The lists of neighbours and the histories of a plan, fitted from interactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ingest.vocabulary.ranking import IntVector
from recommender.candidates.plan import Plan
from recommender.histories import (
    Histories,
    Postings,
    baskets_of,
    distinct,
    histories_of,
    newest_entries,
    postings_of,
)
from recommender.interactions import Interactions
from recommender.models.cosine import nearest
from recommender.models.ease import ease
from recommender.models.factors import Factors, latent
from recommender.models.neighbours import Neighbours, nothing
from recommender.models.steps import steps, walk

FIRST = ("next", "near", "close", "kin", "alike", "baskets", "ease")  # the lists that need no other
BY_ROW = ("next", "near", "close", "kin")  # the lists of which some rows can be worked out alone
BY_ALL = {"alike": ("alike", "alike_kept"), "baskets": ("baskets", "baskets_kept"), "ease": ("ease", "ease_kept")}
"""The others, and the numbers of a plan that they follow from."""
WALKS = {"walk": "near", "stroll": "kin"}  # and the lists whose steps they take
BASKET_MIN = 2  # products of an order that says something about pairs


class Material(NamedTuple):
    """Interactions in the shapes that models want, made once."""

    interactions: Interactions
    visits: Histories
    people: Histories
    orders: Histories
    visit_postings: Postings
    people_postings: Postings
    baskets_of_people: Histories

    def units(self, plan: Plan) -> tuple[Histories, Postings]:
        """The histories steps are counted in."""
        return (self.people, self.people_postings) if plan.whole else (self.visits, self.visit_postings)

    def newest(self, entries_max: int) -> Material:
        """The same with the newest visits, people and orders, each of so many entries at most."""
        if len(self.interactions.kind) <= entries_max:
            return self
        parts = (self.visits, self.people, self.orders, self.baskets_of_people)
        visits, people, orders, baskets = (newest_entries(part, entries_max) for part in parts)
        return Material(self.interactions, visits, people, orders, postings_of(visits), postings_of(people), baskets)


def material_of(interactions: Interactions, visit_gap_s: int) -> Material:
    """Visits, people and orders. Cost: some 1 s for 10 million interactions; memory: 40 bytes each."""
    visits, people = histories_of(interactions, visit_gap_s), histories_of(interactions, None)
    return Material(
        interactions,
        visits,
        people,
        baskets_of(interactions),
        postings_of(visits),
        postings_of(people),
        distinct(people),
    )


def fit_list(
    name: str, material: Material, plan: Plan, threads: int = 1, wanted: IntVector | None = None
) -> Neighbours:
    """One of the lists that need no other.

    Args:
        wanted: the rows to work out; None for all.
    """
    products = len(material.interactions.products)
    if name in ("next", "near", "close"):
        return steps(*material.units(plan), getattr(plan, name), threads, wanted)
    if name == "kin":
        return steps(material.people, material.people_postings, plan.kin, threads, wanted)
    if name == "alike":
        people = material.baskets_of_people
        return nearest(people.start, people.product, None, products, plan.alike, plan.alike_kept, threads)
    if name == "baskets":
        orders = material.orders
        return nearest(orders.start, orders.product, None, products, plan.baskets, plan.baskets_kept, threads)
    assert name == "ease"
    if products > plan.ease_products_max or not products:
        return nothing(products)
    source = (
        material.orders
        if len(material.orders.product) > len(material.orders) * BASKET_MIN
        else material.baskets_of_people
    )
    return ease(source, plan.ease, plan.ease_kept)


def fit_lists(
    material: Material,
    plan: Plan,
    text: Neighbours,
    factors: Factors,
    threads: int,
    known: Mapping[str, Neighbours] | None = None,
) -> dict[str, Neighbours]:
    """All lists by name; those that are known are not made again."""
    fitted = {"text": text, **(known or {})}
    for name in FIRST:
        if name not in fitted:
            fitted[name] = fit_list(name, material, plan, threads)
    for name, steps_of in WALKS.items():
        fitted[name] = walk(fitted[steps_of], fitted[steps_of], plan.walk_width, plan.walk_kept, threads)
    if "latent" not in fitted:
        fitted["latent"] = latent_lists(factors, plan, threads)
    return fitted


def latent_lists(factors: Factors, plan: Plan, threads: int) -> Neighbours:
    """Neighbours by factors, where the catalogue is small enough to compare all with all."""
    products = len(factors.product)
    return latent(factors, plan.latent_kept, threads) if 0 < products <= plan.latent_products_max else nothing(products)
