"""Training at size: a shop that is generated as columns, in a process of its own, for its time and its peak memory.

`python -m tests.bench.training_size <events> <seed>` does one and prints an `Outcome`; steps go to the error stream.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product
from recommender.configuration import TrainingConfiguration
from recommender.interactions import CART, ORDER, VIEW, WISHLIST, Interactions, Orders
from recommender.training import fit
from tests.bench.machine import Row, progress
from tests.bench.steps import Outcome, Watch, child

DAYS, FIRST_DAY, DAY_S = 365, 20_000, 86_400
PRODUCTS_MAX, OF_DEPARTMENT = 200_000, 100
EVENTS_A_PRODUCT, EVENTS_A_PERSON = 50, 20
ZIPF, SPREAD = 0.9, 1.0  # of products; of the logarithm of a person's visits
LONGER, LENGTH_MAX, STEP_S = 0.65, 60, 60  # chance of one view more in a visit; seconds between views, on average
BUYS, BOUGHT_MAX, CARTS, WISHES = 0.1, 3, 0.12, 0.02
FAVOURITE, ASTRAY = 0.5, 0.15  # visits to a person's own department; views of another one than the visit's
THREADS, TIMEOUT_S = 2, 7_200
QUICK, FULL = 100_000, 100_000_000  # events; the latter wants 16 GB

Ints = NDArray[np.int64]


class _World(NamedTuple):
    """What does not change from day to day: cumulated chances, and who likes what."""

    person: NDArray[np.float64]
    department: NDArray[np.float64]
    rank: NDArray[np.float64]
    favourite: NDArray[np.int32]
    product: NDArray[np.int32]


class _Day(NamedTuple):
    """Events in order of time; orders with the sizes and days of theirs."""

    kind: NDArray[np.int8]
    person: NDArray[np.int32]
    product: NDArray[np.int32]
    time_s: Ints
    order: NDArray[np.int32]
    order_size: Ints
    order_product: NDArray[np.int32]
    order_person: NDArray[np.int32]


def rows(events: int, seed: int) -> list[Row]:
    """What training takes for a shop of so many events."""
    done = child("tests.bench.training_size", events, seed, timeout_s=TIMEOUT_S)
    more = done.more
    shown = f"generated: {more['products']:,.0f} products, {more['people']:,.0f} people, {more['orders']:,.0f} orders"
    return [
        Row(f"training, {events / 1e6:g} million events", "events", [done.count], shown),
        Row("", "s", [done.wall_s], f"wall, {THREADS} threads, ranker and search included"),
        Row("", "CPU s", [done.cpu_s]),
        Row("", "MB at most", [done.peak_mb], f"resident, whole process; {more['columns_mb']:,.0f} are the events"),
        Row("", "bytes/event", [1e6 * done.peak_mb / done.count], "of that peak"),
        Row("snapshot", "MB", [more["snapshot_mb"]]),
    ]


def generated(events: int, seed: int) -> Interactions:
    """A shop of about so many events, the same for the same seed.

    Zipf products in departments, log-normal people with a department of their own, visits with pauses, orders of what
    was looked at last.

    Memory: 45 bytes an event for a moment, 25 of which stay.
    """
    products = OF_DEPARTMENT * max(1, min(PRODUCTS_MAX, events // EVENTS_A_PRODUCT) // OF_DEPARTMENT)
    world = _world(max(1, events // EVENTS_A_PERSON), products, np.random.default_rng(seed))
    days = [_day(world, day, events / DAYS, np.random.default_rng((seed, day))) for day in range(DAYS)]
    ordered = np.cumsum([0] + [len(day.order_size) for day in days])
    order = np.concatenate([day.order + (day.order >= 0) * first for day, first in zip(days, ordered, strict=False)])
    person, order_person = (_joined(days, name) for name in ("person", "order_person"))
    number, people = _numbers(person, len(world.favourite))
    time_s = _joined(days, "time_s")
    orders = Orders(
        start=np.concatenate(([0], np.cumsum(_joined(days, "order_size")))).astype(np.int64),
        products=_joined(days, "order_product"),
        day=np.repeat(np.arange(FIRST_DAY, FIRST_DAY + DAYS, dtype=np.int32), np.diff(ordered)),
        subject=number[order_person],
        hashes=np.random.default_rng(seed).integers(0, 2**64, (int(ordered[-1]), 2), np.uint64),
    )
    return Interactions(
        products=tuple(ProductId(f"p{row:06}") for row in range(products)),
        catalogue=tuple(_product(row) for row in range(products)),
        kind=_joined(days, "kind"),
        subject=number[person],
        product=_joined(days, "product"),
        time_s=time_s,
        quantity=np.ones(len(time_s), np.int32),
        order=order.astype(np.int32),
        orders=orders,
        person=np.arange(people, dtype=np.int32),
        reference_s=int(time_s[-1]),
    )


def _world(people: int, products: int, random: np.random.Generator) -> _World:
    departments = products // OF_DEPARTMENT
    return _World(
        np.cumsum(random.lognormal(0.0, SPREAD, people)),
        np.cumsum(np.arange(1, departments + 1) ** -ZIPF),
        np.cumsum(np.arange(1, OF_DEPARTMENT + 1) ** -ZIPF),
        random.integers(0, departments, people, np.int32),
        random.permutation(products).astype(np.int32),
    )


def _drawn(chances: NDArray[np.float64], count: int, random: np.random.Generator) -> Ints:
    return np.searchsorted(chances, random.random(count) * chances[-1])


def _day(world: _World, day: int, events: float, random: np.random.Generator) -> _Day:
    """One day's visits, with what they buy at their ends."""
    visits = max(1, round(events * (1 - LONGER) / (1 + (1 - LONGER) * BUYS * 2)))
    person = _drawn(world.person, visits, random)
    length = np.minimum(random.geometric(1 - LONGER, visits), LENGTH_MAX)
    begin = (FIRST_DAY + day) * DAY_S + random.integers(0, DAY_S - STEP_S * (LENGTH_MAX + 2), visits)
    visit = np.repeat(np.arange(visits), length)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(length) - length, length)
    own = np.where(random.random(visits) < FAVOURITE, world.favourite[person], _drawn(world.department, visits, random))
    department = own[visit]
    astray = random.random(len(visit)) < ASTRAY
    department[astray] = _drawn(world.department, int(astray.sum()), random)
    product = world.product[department * OF_DEPARTMENT + _drawn(world.rank, len(visit), random)]
    time_s = begin[visit] + place * STEP_S + random.integers(0, STEP_S, len(visit))
    chance = random.random(len(visit))
    kind = np.where(chance < CARTS, CART, np.where(chance < CARTS + WISHES, WISHLIST, VIEW))
    again = np.flatnonzero((kind != VIEW) & (place > 0))
    product[again] = product[again - 1]  # what goes into the cart was looked at
    buys = random.random(visits) < BUYS
    bought = np.flatnonzero(buys[visit] & (place >= length[visit] - BOUGHT_MAX))
    line = np.unique(visit[bought] * len(world.product) + product[bought])
    of_line, line_product = line // len(world.product), (line % len(world.product)).astype(np.int32)
    buyer, size = np.unique(of_line, return_counts=True)
    paid_s = begin + (length + 1) * STEP_S
    in_time = np.argsort(paid_s[buyer], kind="stable")
    number = np.full(visits, -1, np.int32)
    number[buyer[in_time]] = np.arange(len(buyer))
    in_order = np.lexsort((line_product, number[of_line]))
    of_line, line_product = of_line[in_order], line_product[in_order]
    moment = np.concatenate((time_s, paid_s[of_line]))
    sorted_ = np.argsort(moment, kind="stable")
    return _Day(
        np.concatenate((kind, np.full(len(of_line), ORDER))).astype(np.int8)[sorted_],
        person[np.concatenate((visit, of_line))].astype(np.int32)[sorted_],
        np.concatenate((product, line_product))[sorted_],
        moment[sorted_],
        np.concatenate((np.full(len(visit), -1, np.int32), number[of_line]))[sorted_],
        size[in_time],
        line_product,
        person[buyer[in_time]].astype(np.int32),
    )


def _joined(days: list[_Day], name: str) -> NDArray[np.generic]:
    return np.concatenate([getattr(day, name) for day in days])


def _numbers(person: NDArray[np.int32], people: int) -> tuple[NDArray[np.int32], int]:
    """A number for each person who is there, by first appearance, -1 for the others; and how many are."""
    first = np.full(people, len(person), np.int64)
    blocks = range(0, len(person), 1_000_000)
    for begin in reversed(blocks):  # the earliest is written last
        some, at = np.unique(person[begin : begin + 1_000_000], return_index=True)
        first[some] = begin + at
    there = np.flatnonzero(first < len(person))
    number = np.full(people, -1, np.int32)
    number[there[np.argsort(first[there])]] = np.arange(len(there))
    return number, len(there)


def _product(row: int) -> Product:
    department = row // OF_DEPARTMENT
    return Product(
        product_id=ProductId(f"p{row:06}"),
        title=f"make{row % 97} style{row * 7 % 991} article{department}",
        category=(f"floor {department // 40}", f"department {department}"),
        price=Decimal(row % 89 + 1),
    )


def measured(events: int, seed: int) -> Outcome:
    """The product's own training of the generated shop, with its ranker."""
    progress(f"generating {events:,} events")
    interactions = generated(events, seed)

    def told(step: str, share: float) -> None:
        progress(f"{share:4.0%}  {step}")

    watch = Watch()
    snapshot = fit(interactions, TrainingConfiguration(threads=THREADS), progress=told)
    columns = ("kind", "subject", "product", "time_s", "quantity", "order")
    more = {
        "products": len(interactions.products),
        "people": len(interactions.person),
        "orders": len(interactions.orders),
        "columns_mb": sum(getattr(interactions, name).nbytes for name in columns) / 1e6,
        "snapshot_mb": snapshot.bytes / 1e6,
    }
    return watch.outcome(len(interactions.kind), more)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measured(*map(int, sys.argv[1:]))))
