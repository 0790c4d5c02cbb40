"""Small shops with enough visits and orders that every step of a training with rankers is taken."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import msgspec

from ingest.vocabulary.events import Event
from tests.support.histories import cancelled, clicked, consented, identified, order, refunded, titled, upserted, view

PRODUCTS = tuple("abcdefghijklmnopqrst")
VISITS, BASKETS = 120, 60


def shop(seed: int, *, lines_max: int = 4) -> list[Event]:
    """Visits along a ring of products, orders of neighbours in it, and what befalls both.

    Everything happens at a moment of its own, but for the lines of an order.
    """
    draw = random.Random(seed)
    facts: list[Event] = [
        upserted(titled(each, f"Thing {each} {PRODUCTS[at // 5]}")) for at, each in enumerate(PRODUCTS)
    ]
    for visit in range(VISITS):
        at, day = draw.randrange(len(PRODUCTS)), visit / 4 + draw.random() / 8
        for step in range(draw.randint(2, 6)):
            does = clicked if draw.random() < 0.1 else view
            facts.append(does(PRODUCTS[at], day + step / 2_000, f"s{visit % 30}"))
            at = (at + draw.choice((1, 1, 2, 7))) % len(PRODUCTS)
    for number in range(BASKETS):
        first, size = draw.randrange(len(PRODUCTS)), draw.randint(1, lines_max)
        basket = "".join(PRODUCTS[(first + 3 * line) % len(PRODUCTS)] for line in range(size))
        facts.append(order(str(number), basket, number / 3 + 1 / 7 + draw.random() / 8, f"s{number % 30}", 2))
        if number % 9 == 0:
            facts.append(refunded(str(number), basket[0], number / 3 + 2, draw.randint(1, 2)))
        if number % 16 == 0:
            facts.append(cancelled(str(number), number / 3 + 1))
    return [*facts, identified("s1", "s2", 5), consented("s3", 6, analytics=False), consented("s4", 6, analytics=True)]


def renamed(events: Iterable[Event], name: Mapping[str, str]) -> list[Event]:
    """The same history of products with other ids; what the shop says about each stays with it."""
    return [msgspec.convert(_renamed(msgspec.to_builtins(event), name), type(event)) for event in events]


def _renamed(value: object, name: Mapping[str, str]) -> object:
    match value:
        case dict():
            named = {key: _renamed(each, name) for key, each in value.items()}
            return named | {"product_id": name[value["product_id"]]} if "product_id" in value else named
        case list() | tuple():
            return [_renamed(each, name) for each in value]
        case _:
            return value
