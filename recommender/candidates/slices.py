"""What is held back from the models to fit the ranker on: the newest of every purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, Purpose
from recommender.histories import HISTORY_MAX, begins_of, grouped, since_first
from recommender.interactions import ORDER, Interactions, Orders
from recommender.questions import Asking, Questions

QUESTIONS_MAX = 8_000  # of a purpose; more changes the weights by less than their error
SHARE = 0.1  # of visits and orders, the newest
PEOPLE_MAX = 20_000  # whose last product is held back
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Slice(NamedTuple):
    """The interactions that are left for the models, and the questions about those that are not."""

    rest: Interactions
    questions: dict[Purpose, Questions]


def chance(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Something like a random number for each number, always the same one."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * _MIX
    mixed ^= mixed >> np.uint64(29)
    return mixed * _MIX


def cut(interactions: Interactions, gap_s: int) -> Slice:
    """Hold back the newest visits, the last product of people, and a product of the newest orders."""
    entries = _Entries(interactions, gap_s)
    visits, gone_visits = _next_items(entries)
    people, gone_people = _last_products(entries, gone_visits)
    baskets, gone_orders = _baskets(interactions)
    found: dict[Purpose, Questions] = {
        "next_item": visits,
        "for_you": people,
        "basket": baskets,
        "next_basket": _next_baskets(entries, interactions, gone_orders),
    }
    rest = without(interactions, gone_visits | gone_people | gone_orders)
    return Slice(rest, {purpose: questions for purpose, questions in found.items() if len(questions)})


class _Entries:
    """Interactions by person and time; all vectors are in that order.

    Attributes:
        at: places in the interactions; start: where each person's begin; first_of_person, first_of_visit: where those
            who are there at all begin, and visits.
    """

    def __init__(self, interactions: Interactions, gap_s: int) -> None:
        person = interactions.person[interactions.subject]
        self.start, self.at = grouped(person, 1 + int(person.max(initial=-1)))
        self.first_of_person = self.start[:-1][np.diff(self.start) > 0]
        self.first_of_visit = begins_of(person, since_first(interactions.time_s), self.at, gap_s)
        del person
        self.time_s = interactions.time_s[self.at]
        self.product, self.kind = interactions.product[self.at], interactions.kind[self.at]

    def gone(self, entries: CountVector) -> NDArray[np.bool_]:
        """A mask over the interactions."""
        mask = np.zeros(len(self.at), np.bool_)
        mask[self.at[entries]] = True
        return mask

    def rows(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """A part of a history."""
        columns = (self.product[begin:end].tolist(), self.time_s[begin:end].tolist(), self.kind[begin:end].tolist())
        return list(zip(*columns, strict=True))


def _next_items(entries: _Entries) -> tuple[Questions, NDArray[np.bool_]]:
    """Every step of the newest visits that browse; whole visits are held back."""
    asking = Asking("next_item")
    first = entries.first_of_visit
    ends = np.append(first[1:], len(entries.at))
    bought = np.add.reduceat(entries.kind == ORDER, first) if len(first) else first
    usable = np.flatnonzero((ends - first > 1) & (bought == 0))
    newest = usable[np.argsort(entries.time_s[ends[usable] - 1], kind="stable")]
    newest = newest[len(newest) - int(len(newest) * SHARE) :]
    steps = int((ends[newest] - first[newest] - 1).sum())
    if steps > QUESTIONS_MAX:
        newest = newest[:: -(-steps // QUESTIONS_MAX)]
    held: list[NDArray[np.int64]] = []
    for visit in newest.tolist():
        begin, end = int(first[visit]), int(ends[visit])
        held.append(np.arange(begin, end))
        first_row = max(begin, end - 50)
        rows, places = entries.rows(first_row, end), entries.at[first_row:end].tolist()
        for at in range(1, len(rows)):
            asking.add(rows[:at], [rows[at][0]], place=places[at])
    return asking.questions(), entries.gone(np.concatenate([np.zeros(0, np.int64), *held]))


def _last_products(entries: _Entries, gone: NDArray[np.bool_]) -> tuple[Questions, NDArray[np.bool_]]:
    """The last new product of people: bought, where they buy at all. What they did with it is held back."""
    asking = Asking("for_you")
    first = entries.first_of_person
    ends = np.append(first[1:], len(entries.at))
    buys = bool((entries.kind == ORDER).any())
    usable = np.flatnonzero(ends - first > 1)
    if len(usable) > PEOPLE_MAX:
        usable = np.sort(usable[np.argsort(chance(usable), kind="stable")[:PEOPLE_MAX]])
    held: list[NDArray[np.int64]] = []
    for person in usable.tolist():
        begin, end = int(first[person]), int(ends[person])
        own = np.arange(begin, end)
        own = own[~gone[entries.at[own]]]
        wanted = own[entries.kind[own] == ORDER] if buys else own
        if not len(wanted):
            continue
        times = entries.time_s[wanted]
        latest = wanted[times == times[-1]]
        last = latest[int(np.argmin(chance(latest)))]
        target = int(entries.product[last])
        about = entries.product[own] == target
        before = own[~about & (entries.time_s[own] <= times[-1])]
        if not len(before) or (buys and (entries.kind[own[about]] == ORDER).sum() > 1):
            continue
        columns = (entries.product[before].tolist(), entries.time_s[before].tolist(), entries.kind[before].tolist())
        excluded = entries.product[before[entries.kind[before] == ORDER]] if buys else entries.product[before]
        asking.add(zip(*columns, strict=True), [target], excluded.tolist(), int(entries.at[last]))
        held.append(own[about])
    return asking.questions(), entries.gone(np.concatenate([np.zeros(0, np.int64), *held]))


def _baskets(interactions: Interactions) -> tuple[Questions, NDArray[np.bool_]]:
    """A product of the newest orders, from the others in it; the orders are held back."""
    asking = Asking("basket")
    orders = interactions.orders
    size = np.diff(orders.start)
    usable = np.flatnonzero(size > 1)
    held_min = len(usable) - min(int(len(usable) * SHARE), QUESTIONS_MAX)
    held = usable[held_min:]
    mask = np.zeros(len(interactions.kind), np.bool_)
    if len(held):
        mask = np.isin(interactions.order, held)
    lines = np.flatnonzero(mask)
    named = zip(interactions.order[lines].tolist(), interactions.product[lines].tolist(), strict=True)
    place_of = dict(zip(named, lines.tolist(), strict=True))
    for order in held.tolist():
        products = orders.products[orders.start[order] : orders.start[order + 1]]
        order_of = chance(products.astype(np.int64) + order * 1_000_003)
        mixed = products[np.argsort(order_of, kind="stable")].tolist()
        time_s = int(orders.day[order]) * 86_400
        asking.add([(row, time_s, ORDER) for row in mixed[1:]], mixed[:1], mixed[1:], place_of[order, mixed[0]])
    return asking.questions(), mask


def _next_baskets(entries: _Entries, interactions: Interactions, gone: NDArray[np.bool_]) -> Questions:
    """The newest orders of people who had ordered before; what is asked is held back for `basket` already."""
    asking = Asking("next_basket")
    orders = interactions.orders
    lines = np.flatnonzero(gone & (interactions.order >= 0))
    held, first_line = np.unique(interactions.order[lines], return_index=True)
    person = interactions.person[interactions.subject[lines[first_line]]]
    moment = interactions.time_s[lines[first_line]]
    for at in range(len(held)):
        begin, past = entries.start[person[at] : person[at] + 2].tolist()
        end = begin + int(np.searchsorted(entries.time_s[begin:past], moment[at]))
        rows = entries.rows(max(begin, end - HISTORY_MAX), end)
        if any(kind == ORDER for _, _, kind in rows):
            products = orders.products[orders.start[held[at]] : orders.start[held[at] + 1]]
            asking.add(rows, products.tolist(), place=int(lines[first_line[at]]))
    return asking.questions()


def newest_of(interactions: Interactions, entries_max: int) -> Interactions:
    """The newest interactions, and all lines of the oldest order among them."""
    first, order = len(interactions.kind) - entries_max, interactions.order
    if first <= 0:
        return interactions
    while first > 0 and order[first] >= 0 and order[first - 1] == order[first]:
        first -= 1
    order, orders = order[first:], interactions.orders
    placed = order >= 0
    before = int(order[placed].min()) if placed.any() else len(orders)
    start = orders.start[before:]
    return replace(
        interactions,
        kind=interactions.kind[first:],
        subject=interactions.subject[first:],
        product=interactions.product[first:],
        time_s=interactions.time_s[first:],
        quantity=interactions.quantity[first:],
        order=np.where(placed, order - np.int32(before), np.int32(-1)),
        orders=Orders(
            start=start - start[0],
            products=orders.products[start[0] :],
            day=orders.day[before:],
            subject=orders.subject[before:],
            hashes=orders.hashes[before:],
        ),
    )


def without(interactions: Interactions, gone: NDArray[np.bool_]) -> Interactions:
    """The interactions but some; orders lose their lines, and those without lines stay as empty ones."""
    if not gone.any():
        return interactions
    kept = ~gone
    lines = interactions.order >= 0
    orders = interactions.orders
    owner = np.repeat(np.arange(len(orders)), np.diff(orders.start))
    width = max(len(interactions.products), 1)
    lost = interactions.order[gone & lines].astype(np.int64) * width + interactions.product[gone & lines]
    stays = ~np.isin(owner * width + orders.products, lost)
    size = np.bincount(owner[stays], minlength=len(orders))
    return Interactions(
        products=interactions.products,
        catalogue=interactions.catalogue,
        kind=interactions.kind[kept],
        subject=interactions.subject[kept],
        product=interactions.product[kept],
        time_s=interactions.time_s[kept],
        quantity=interactions.quantity[kept],
        order=interactions.order[kept],
        orders=Orders(
            start=np.concatenate(([0], np.cumsum(size))).astype(np.int64),
            products=orders.products[stays],
            day=orders.day,
            subject=orders.subject,
            hashes=orders.hashes,
        ),
        person=interactions.person,
        reference_s=interactions.reference_s,
        shown=interactions.shown,
    )
