"""Events as columns: who did what with which product when, which orders stand, and the catalogue as last stated.

The result depends on the facts alone: not on the order they arrive in, their partitions, or the random names of
subjects, so the same history imported on two machines trains the same snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import CART as CART
from ingest.vocabulary.ranking import NOTHING, CountVector, IntVector
from ingest.vocabulary.ranking import ORDER as ORDER
from ingest.vocabulary.ranking import VIEW as VIEW
from ingest.vocabulary.ranking import WISHLIST as WISHLIST
from ingest.vocabulary.situations import Parts
from recommender.columns.catalogue import catalogue_of
from recommender.columns.gathering import CLICK, gathered
from recommender.columns.orders import StandingOrders, lines_in_time, standing_orders
from recommender.columns.shape import Arrays
from recommender.columns.stretches import known_at, texts
from recommender.facts import microseconds
from recommender.kernels.assembling import is_first_of_hash, merge_in_time, number_by_appearance, order_in_time
from recommender.people import Words, heads_of, inhuman, people_of, refusing
from recommender.shown import Clicks, Known, Showings, ShownLists, lists_of
from recommender.sightings import Sightings, situations_at

UNIT = 20  # an order line weighs this many units, so that all weights are whole numbers
KIND_UNITS = (1, 6, 4, 20)  # a view .05, a cart .3, a wish .2, an order 1
_OF_REFERENCE = ("deeds", "orders", "returns", "cancellations", "erasures")  # what says how far time has come

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders that stand, in order of time; n orders.

    Attributes:
        start: (n + 1,) into `products`; products: distinct rows of each order, ascending.
        day: (n,) days since 1970; subject: (n,); hashes: (n, 2) of the order ids.
    """

    start: CountVector
    products: IntVector
    day: IntVector
    subject: IntVector
    hashes: Hashes

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, slots=True)
class Interactions:
    """A shop's history, frozen; m interactions sorted by (occurred_at, hash of event_id, line).

    Attributes:
        products: ids by row, sorted; catalogue: by row, None where the shop states nothing (any more).
        kind: (m,) VIEW … ORDER; subject, product, quantity: (m,) int32; time_s: (m,) Unix seconds;
        order: (m,) row of `orders`, -1 for none.
        person: (subjects,) the same number for a visitor and the customer it turned out to be.
        reference_s: the newest moment known; 0 for an empty history.
        left_out: subjects from whose histories nothing may be learned, ascending; see `people.py`.
        situation: (m,) row of `situations`, what the person's visit last said of theirs; -1 for nothing; empty where no
            situations are known.
        shown: the lists that count, with what was clicked of them; None where none was clicked.
    """

    products: tuple[ProductId, ...]
    catalogue: tuple[Product | None, ...]
    kind: NDArray[np.int8]
    subject: IntVector
    product: IntVector
    time_s: CountVector
    quantity: IntVector
    order: IntVector
    orders: Orders
    person: IntVector
    reference_s: int
    left_out: IntVector = field(default_factory=lambda: NOTHING)
    situations: tuple[Parts, ...] = ()
    situation: IntVector = field(default_factory=lambda: NOTHING)
    shown: ShownLists | None = None

    @property
    def reference_day(self) -> int:
        """The day ages are counted from."""
        return self.reference_s // DAY_S


def interactions_of(events: Iterable[Event]) -> Interactions:
    """What `assembled` makes of facts that are at hand."""
    return assembled(gathered(events))


def assembled(columns: Arrays, until: datetime | None = None) -> Interactions:
    """Sort, deduplicate and number a history; only what was known at `until`, if that is given.

    An event id counts once, and so does an order id: the first in order of (time, hash of event id). Orders without a
    positive quantity, cancelled and fully refunded ones, and everything of an erased subject are out. Guests count.
    What was returned was not taken: an order keeps what is left of each product. A refund of the same products of an
    order in the same second is one that was told twice. A click on a recommendation is a view of the product, unless
    the subject's views of that day have the product already.

    Cost: a few passes over the rows; about 0.3 µs and 150 bytes a row, of which 37 bytes stay.
    """
    if until is not None:
        columns = known_at(columns, microseconds(until))
    names = [name.decode() for name in texts(columns, "product")]
    by_name = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int32)  # of an id among all that were ever named; the rows are those that are left
    rank[by_name] = np.arange(len(names), dtype=np.int32)
    is_erased = np.zeros(len(columns["subject.hash"]), np.bool_)
    is_erased[columns["erasures.subject"]] = True
    deeds = _standing_deeds(columns, rank, is_erased)
    orders = standing_orders(columns, rank, len(names), is_erased)
    catalogue = catalogue_of(columns, len(names))
    is_there = np.zeros(len(names), np.bool_)
    for each in (deeds.product, orders.product, rank[np.fromiter(catalogue, np.int64, len(catalogue))]):
        is_there[each] = True
    row_of_rank = (np.cumsum(is_there) - 1).astype(np.int32)
    kept = [by_name[at] for at in np.flatnonzero(is_there).tolist()]
    stated = _Stated(
        tuple(ProductId(names[number]) for number in kept),
        tuple(catalogue.get(number) for number in kept),
        np.where(is_there, row_of_rank, -1)[rank].astype(np.int32),
    )
    deeds = deeds._replace(product=row_of_rank[deeds.product])
    return _assemble(columns, deeds, orders._replace(product=row_of_rank[orders.product]), stated)


class _Stated(NamedTuple):
    """The products by row, what the shop says of them, and the row of each that was ever named, -1 for none."""

    products: tuple[ProductId, ...]
    catalogue: tuple[Product | None, ...]
    row_of: IntVector


class _Deeds(NamedTuple):
    """What was done besides ordering, in order of (time, hash of event id)."""

    time_s: CountVector
    event: Hashes
    kind: NDArray[np.int8]
    subject: IntVector
    product: IntVector
    quantity: IntVector


def _standing_deeds(columns: Arrays, rank: IntVector, is_erased: NDArray[np.bool_]) -> _Deeds:
    """Each deed once, without those of the erased and clicks whose page was told as well."""
    in_time = order_in_time(columns["deeds.time_s"], columns["deeds.event"])
    event = columns["deeds.event"][in_time]
    keep = np.empty(len(event), np.bool_)
    is_first_of_hash(event, keep)
    if is_erased.any():
        keep &= ~is_erased[columns["deeds.subject"][in_time]]
    if not keep.all():
        in_time, event = in_time[keep], event[keep]
    deeds = _Deeds(
        columns["deeds.time_s"][in_time],
        event,
        columns["deeds.kind"][in_time],
        columns["deeds.subject"][in_time],
        rank[columns["deeds.product"][in_time]],
        columns["deeds.quantity"][in_time],
    )
    if (deeds.kind == CLICK).any():
        keep = ~_told_twice(deeds, len(rank))
        deeds = deeds._replace(**{name: column[keep] for name, column in deeds._asdict().items()})
        deeds.kind[deeds.kind == CLICK] = VIEW
    return deeds


def _told_twice(deeds: _Deeds, products: int) -> NDArray[np.bool_]:
    """Clicks on recommendations whose product the subject viewed on the same day."""
    click = np.flatnonzero(deeds.kind == CLICK)
    pair = deeds.subject * np.int64(products) + deeds.product
    views = np.flatnonzero((deeds.kind == VIEW) & np.isin(pair, np.unique(pair[click])))
    days = np.stack((pair, deeds.time_s // DAY_S), axis=1)[np.concatenate((views, click))]
    _, day = np.unique(days, axis=0, return_inverse=True)
    is_twice = np.zeros(len(pair), np.bool_)
    is_twice[click] = np.isin(day[len(views) :], day[: len(views)])
    return is_twice


def _assemble(columns: Arrays, deeds: _Deeds, orders: StandingOrders, stated: _Stated) -> Interactions:
    lines = lines_in_time(orders)
    of_line = orders.line_order[lines]
    in_time = merge_in_time(
        deeds.time_s, deeds.event, deeds.product, orders.time_s[of_line], orders.event[of_line], orders.product[lines]
    )

    is_line = in_time >= len(deeds.time_s)

    def merged(deed: NDArray[Any], line: NDArray[Any]) -> NDArray[Any]:
        if not len(line):
            return deed
        both = np.empty(len(is_line), deed.dtype)
        both[is_line], both[~is_line] = line, deed
        return both

    seen, time_s = merged(deeds.subject, orders.subject[of_line]), merged(deeds.time_s, orders.time_s[of_line])
    product = merged(deeds.product, orders.product[lines])
    kind = merged(deeds.kind, np.full(len(lines), ORDER))
    subject, subjects = numbered_by_appearance(seen, len(columns["subject.hash"]))
    heads = heads_of(columns["links.subject"], columns["links.known"], len(subject))
    person = people_of(heads, subject, subjects)
    by_subject = subject.astype(np.int32)[seen]
    sightings = Sightings(
        columns["sightings.subject"], columns["sightings.time_s"], columns["sightings.situation"], _situations(columns)
    )
    situations, situation = situations_at(sightings, seen, time_s, heads)
    words = Words(*(columns[f"words.{name}"] for name in Words._fields))
    is_inhuman = np.isin(person, inhuman(person[by_subject], product, kind, time_s))
    left_out = np.union1d(refusing(words, heads, subject), np.flatnonzero(is_inhuman)).astype(np.int32)
    known = Known(heads, subject, person, left_out, columns["erasures.subject"])
    return Interactions(
        products=stated.products,
        catalogue=stated.catalogue,
        kind=kind,
        product=product,
        time_s=time_s,
        subject=by_subject,
        quantity=merged(deeds.quantity, orders.quantity[lines]),
        order=merged(np.full(len(deeds.kind), -1, np.int32), of_line),
        orders=Orders(
            start=np.concatenate(([0], np.cumsum(orders.size))).astype(np.int64),
            products=orders.product.astype(np.int32),
            day=(orders.time_s // DAY_S).astype(np.int32),
            subject=subject[orders.subject].astype(np.int32),
            hashes=columns["order.hash"][orders.order],
        ),
        person=person,
        reference_s=max(int(columns[f"{stream}.time_s"].max(initial=0)) for stream in _OF_REFERENCE),
        left_out=left_out,
        situations=situations,
        situation=situation,
        shown=lists_of(*_showings(columns), sightings, known, stated.row_of),
    )


def _showings(columns: Arrays) -> tuple[Showings, Clicks]:
    stated = ("time_s", "request", "about", "placement", "subject", "products")
    lists = {name: columns[f"lists.{name}"] for name in stated}
    placements = [name.decode() for name in texts(columns, "placement")]
    clicks = {name: columns[f"list_clicks.{name}"] for name in Clicks._fields}
    return Showings(**lists, product=columns["list_products.product"], placements=placements), Clicks(**clicks)


def _situations(columns: Arrays) -> list[Parts]:
    return [msgspec.msgpack.decode(text, type=Parts) for text in texts(columns, "situation")]


def numbered_by_appearance(numbers: NDArray[Any], names: int) -> tuple[CountVector, int]:
    """A new number for each old one, in order of first appearance; -1 for those that never appear."""
    renumbered = np.full(names, -1, dtype=np.int64)
    return renumbered, number_by_appearance(numbers, renumbered)
