"""Interactions worked out fact by fact, the plain way: what the columns must come to, whatever they are made of."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import (
    CatalogueEvent,
    ConsentChanged,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    Event,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
    WishlistAdded,
)
from ingest.vocabulary.ids import ProductId, Subject
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import CountVector, IntVector
from ingest.vocabulary.situations import Parts
from recommender.facts import (
    QUANTITY_MAX,
    event_hash,
    evolve_product,
    left_of,
    lines_that_count,
    occurred_s,
    order_hash,
)
from recommender.interactions import CART, ORDER, VIEW, WISHLIST, Interactions, Orders
from recommender.people import PURPOSES, VIEWED_OF_A_DAY_MAX, people_of
from recommender.sightings import LASTS_S, situation_of

CLICK = ORDER + 1
OrderFact = tuple[int, int, bytes, int, dict[ProductId, int]]


def assert_equal(found: Interactions, expected: Interactions) -> None:
    """Every value, every type and shape."""
    for field in fields(Interactions):
        _assert_alike(field.name, getattr(found, field.name), getattr(expected, field.name))
    for field in fields(found.orders):
        _assert_alike(field.name, getattr(found.orders, field.name), getattr(expected.orders, field.name))


def _assert_alike(name: str, found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), name
        assert np.array_equal(found, expected), name
    elif name != "orders":
        assert found == expected, name


class Word(NamedTuple):
    """What a subject said of consent, by purpose; ordered by time, then the hash of the event."""

    time_s: int
    event_hash: int
    subject: int
    purposes: Mapping[str, bool]


def heads_of(links: Sequence[tuple[int, int]], names: int) -> CountVector:
    """For each subject one of its person's, the same for all that are linked, (names,)."""
    head: dict[int, int] = {}

    def find(number: int) -> int:
        while head.get(number, number) != number:
            number = head[number]
        return number

    for visitor, known in links:
        head[find(visitor)] = find(known)
    heads = np.arange(names, dtype=np.int64)
    for number in head:
        heads[number] = find(number)
    return heads


class Sightings:
    """Who was in which situation when, gathered in any order. Memory: 16 bytes each."""

    def __init__(self) -> None:
        self._times, self._subjects, self._situations = array("q"), array("i"), array("i")
        self._numbers: dict[Parts, int] = {}

    def add(self, time_s: int, subject: int, parts: Parts) -> None:
        """Somebody was in a situation."""
        self._times.append(time_s)
        self._subjects.append(subject)
        self._situations.append(self._numbers.setdefault(parts, len(self._numbers)))

    def at(
        self, people: CountVector, time_s: CountVector, person_of: CountVector
    ) -> tuple[tuple[Parts, ...], IntVector]:
        """The situations there are, sorted, and the row of that in which each deed was done; -1 for none.

        Args:
            people, time_s: who did something and when, (m,).
            person_of: for each subject, as they were given to `add`, the number that `people` has them by.
        """
        situations = sorted(self._numbers)
        if not situations:
            return (), np.full(len(people), -1, np.int32)
        row_of = np.empty(len(situations), np.int64)
        row_of[[self._numbers[parts] for parts in situations]] = np.arange(len(situations))
        rows = row_of[np.array(self._situations, np.int64)]
        seen, times = person_of[np.array(self._subjects, np.int64)], np.array(self._times, np.int64)
        order = np.lexsort((rows, times, seen))
        rows, seen, times = rows[order], seen[order], times[order]
        last = _last_at_or_before(seen, times, people, time_s)
        found = last >= 0
        found[found] = (seen[last[found]] == people[found]) & (time_s[found] - times[last[found]] <= LASTS_S)
        situation = np.full(len(people), -1, np.int32)
        situation[found] = rows[last[found]]
        return tuple(situations), situation


def _last_at_or_before(seen: CountVector, times: CountVector, people: CountVector, time_s: CountVector) -> CountVector:
    """For each (person, time) the last of the sorted pairs (seen, times) that is not after it; -1 where all are.

    Pairs become single numbers by the rank of their times, which two 64-bit numbers would not fit into.
    """
    moments = np.unique(times)
    width = len(moments) + 1
    keys = seen * width + np.searchsorted(moments, times) + 1
    asked = people.astype(np.int64) * width + np.searchsorted(moments, time_s, side="right")
    return np.searchsorted(keys, asked, side="right").astype(np.int64) - 1


class _Gathering:
    """Columns in order of arrival; names become numbers in order of arrival, which `interactions_of` undoes."""

    def __init__(self) -> None:
        self.times, self.hashes = array("q"), array("Q")
        self.kinds, self.subjects = array("b"), array("i")
        self.products, self.quantities = array("i"), array("q")
        self.subject_numbers: dict[Subject, int] = {}
        self.product_numbers: dict[ProductId, int] = {}
        self.orders: list[tuple[int, int, bytes, int, dict[ProductId, int]]] = []
        self.cancelled: set[bytes] = set()
        self.returns: set[tuple[bytes, int, tuple[tuple[ProductId, int], ...]]] = set()
        self.erased: set[int] = set()
        self.words: list[Word] = []
        self.sightings = Sightings()
        self.links: list[tuple[int, int]] = []
        self.catalogue: dict[ProductId, list[CatalogueEvent]] = {}
        self.reference_s = 0

    def add(self, event: Event) -> None:
        """Take one fact; most kinds say nothing about products and are passed over."""
        if isinstance(event, CatalogueEvent):
            self.catalogue.setdefault(event.product_id, []).append(event)
            return
        if not isinstance(event, CustomerEvent):
            return
        if parts := situation_of(event):
            self.sightings.add(occurred_s(event), self._subject(event.subject), parts)
        match event:
            case ProductViewed(product_id=product):
                self._click(event, VIEW, product, 1)
            case RankingClicked(product_id=product):
                self._click(event, CLICK, product, 1)
            case ProductAdded(product_id=product, quantity=quantity):
                self._click(event, CART, product, quantity)
            case WishlistAdded(product_id=product):
                self._click(event, WISHLIST, product, 1)
            case OrderCompleted(order_id=order, lines=lines):
                subject = self._subject(event.subject)
                fact = (occurred_s(event), event_hash(event), order_hash(order), subject, lines_that_count(lines))
                self.orders.append(fact)
            case OrderCancelled(order_id=order) | OrderRefunded(order_id=order, lines=()):
                self.cancelled.add(order_hash(order))
            case OrderRefunded(order_id=order, lines=lines):
                came_back = tuple(sorted(lines_that_count(lines).items()))
                self.returns.add((order_hash(order), occurred_s(event), came_back))
            case CustomerErased():
                self.erased.add(self._subject(event.subject))
            case CustomerIdentified(known=known):
                self.links.append((self._subject(event.subject), self._subject(known)))
                return
            case ConsentChanged(purposes=purposes):
                word = Word(occurred_s(event), event_hash(event), self._subject(event.subject), purposes)
                self.words.append(word)
                return
            case _:
                return
        self.reference_s = max(self.reference_s, occurred_s(event))

    def _click(self, event: CustomerEvent, kind: int, product: ProductId, quantity: int) -> None:
        self.times.append(occurred_s(event))
        self.hashes.append(event_hash(event))
        self.kinds.append(kind)
        self.subjects.append(self._subject(event.subject))
        self.products.append(self.product_numbers.setdefault(product, len(self.product_numbers)))
        self.quantities.append(quantity)

    def _subject(self, subject: Subject) -> int:
        return self.subject_numbers.setdefault(subject, len(self.subject_numbers))


def plain_interactions_of(events: Iterable[Event]) -> Interactions:
    """Sort, deduplicate and number a history.

    An event id counts once, and so does an order id: the first in order of (time, hash of event id). Orders without a
    positive quantity, cancelled and fully refunded ones, and everything of an erased subject are out. Guests count.
    What was returned was not taken: an order keeps what is left of each product. A refund of the same products of an
    order in the same second is one that was told twice. A click on a recommendation is a view of the product, unless
    the subject's views of that day have the product already.

    """
    gathered = _Gathering()
    for event in events:
        gathered.add(event)
    orders = _standing_orders(gathered)
    clicks = _standing_clicks(gathered)
    catalogue = dict(_catalogue(gathered.catalogue))
    names = list(gathered.product_numbers)
    products = sorted({names[number] for number in np.unique(clicks["product"])} | catalogue.keys() | _ordered(orders))
    return _assemble(gathered, clicks, orders, catalogue, products)


def _ordered(orders: list[OrderFact]) -> set[ProductId]:
    return {product for order in orders for product in order[4]}


def _standing_orders(gathered: _Gathering) -> list[OrderFact]:
    seen: set[bytes] = set()
    standing = []
    returned: dict[bytes, dict[ProductId, int]] = {}
    for order_id, _, lines in gathered.returns:
        total = returned.setdefault(order_id, {})
        for product, quantity in lines:
            total[product] = total.get(product, 0) + quantity
    for order in sorted(gathered.orders, key=lambda fact: (fact[0], fact[1], fact[2], sorted(fact[4].items()))):
        if order[2] in seen:
            continue
        seen.add(order[2])
        left = left_of(order[4], returned.get(order[2], {}))
        if left and order[2] not in gathered.cancelled and order[3] not in gathered.erased:
            standing.append((*order[:4], left))
    return standing


def _standing_clicks(gathered: _Gathering) -> dict[str, NDArray[np.int64]]:
    times = np.array(gathered.times, dtype=np.int64)
    hashes = np.array(gathered.hashes, dtype=np.uint64)
    columns = {
        "kind": np.array(gathered.kinds, dtype=np.int64),
        "subject": np.array(gathered.subjects, dtype=np.int64),
        "product": np.array(gathered.products, dtype=np.int64),
        "quantity": np.array(gathered.quantities, dtype=np.int64),
    }
    in_time = np.lexsort((hashes, times))
    _, first = np.unique(hashes[in_time], return_index=True)
    keep = in_time[np.sort(first)]
    if gathered.erased:
        keep = keep[~np.isin(columns["subject"][keep], np.fromiter(gathered.erased, np.int64))]
    keep = keep[~_told_twice(columns, times, keep)]
    kept = {name: column[keep] for name, column in columns.items()}
    kept["kind"][kept["kind"] == CLICK] = VIEW
    return kept | {"time_s": times[keep], "hash": hashes[keep].view(np.int64)}


def _told_twice(columns: Mapping[str, CountVector], times: CountVector, keep: CountVector) -> NDArray[np.bool_]:
    """Clicks on recommendations whose product the subject viewed on the same day."""
    kind = columns["kind"][keep]
    if not (kind == CLICK).any():
        return np.zeros(len(keep), np.bool_)
    days = np.stack((columns["subject"][keep], columns["product"][keep], times[keep] // DAY_S), axis=1)
    _, day = np.unique(days, axis=0, return_inverse=True)
    is_twice: NDArray[np.bool_] = (kind == CLICK) & np.isin(day, day[kind == VIEW])
    return is_twice


def _catalogue(facts: dict[ProductId, list[CatalogueEvent]]) -> Iterator[tuple[ProductId, Product]]:
    for product_id, events in facts.items():
        product: Product | None = None
        for event in sorted(events, key=lambda event: (event.occurred_at, event.event_id)):
            product = evolve_product(product, event)
        if product is not None:
            yield product_id, product


def _assemble(
    gathered: _Gathering,
    clicks: dict[str, NDArray[np.int64]],
    orders: list[OrderFact],
    catalogue: dict[ProductId, Product],
    products: list[ProductId],
) -> Interactions:
    rows = {product: row for row, product in enumerate(products)}
    names = list(gathered.product_numbers)
    row_of_number = np.array([rows.get(name, -1) for name in names], dtype=np.int64)
    lines = [
        (fact[0], fact[1], row, fact[3], quantity, number)
        for number, fact in enumerate(orders)
        for row, quantity in sorted((rows[product], quantity) for product, quantity in fact[4].items())
    ]
    line = np.array([(time, row, subject, quantity, number) for time, _, row, subject, quantity, number in lines])
    line = line.reshape(-1, 5).astype(np.int64)
    line_hash = np.array([fact[1] for fact in lines], dtype=np.uint64)
    times = np.concatenate((clicks["time_s"], line[:, 0]))
    hashes = np.concatenate((clicks["hash"].view(np.uint64), line_hash))
    product = np.concatenate((row_of_number[clicks["product"]], line[:, 1]))
    in_time = np.lexsort((product, hashes, times))
    seen = np.concatenate((clicks["subject"], line[:, 2]))[in_time]
    subject, subjects = numbered_by_appearance(seen, len(gathered.subject_numbers))
    size = np.array([len(fact[4]) for fact in orders], dtype=np.int64)
    clicked = len(clicks["kind"])
    heads = heads_of(gathered.links, len(subject))
    person = people_of(heads, subject, subjects)
    kind = np.concatenate((clicks["kind"], np.full(len(line), ORDER)))[in_time].astype(np.int8)
    product, time_s = product[in_time].astype(np.int32), times[in_time]
    situations, situation = gathered.sightings.at(heads[seen], time_s, heads)
    is_inhuman = np.isin(person, inhuman(person[subject[seen]], product, kind, time_s))
    return Interactions(
        products=tuple(products),
        catalogue=tuple(catalogue.get(product_id) for product_id in products),
        kind=kind,
        product=product,
        time_s=time_s,
        subject=subject[seen].astype(np.int32),
        quantity=np.minimum(np.concatenate((clicks["quantity"], line[:, 3]))[in_time], QUANTITY_MAX).astype(np.int32),
        order=np.concatenate((np.full(clicked, -1), line[:, 4]))[in_time].astype(np.int32),
        orders=Orders(
            start=np.concatenate(([0], np.cumsum(size))).astype(np.int64),
            products=line[:, 1].astype(np.int32),
            day=np.array([fact[0] // DAY_S for fact in orders], dtype=np.int32),
            subject=subject[np.array([fact[3] for fact in orders], dtype=np.int64)].astype(np.int32),
            hashes=np.frombuffer(b"".join(fact[2] for fact in orders), dtype=">u8").reshape(-1, 2).astype(np.uint64),
        ),
        person=person,
        reference_s=gathered.reference_s,
        left_out=np.union1d(refusing(gathered.words, heads, subject), np.flatnonzero(is_inhuman)).astype(np.int32),
        situations=situations,
        situation=situation,
    )


def numbered_by_appearance(numbers: NDArray[np.int64], names: int) -> tuple[NDArray[np.int64], int]:
    """A new number for each old one, in order of first appearance; -1 for those that never appear."""
    unique, first = np.unique(numbers, return_index=True)
    renumbered = np.full(names, -1, dtype=np.int64)
    renumbered[unique[np.argsort(first)]] = np.arange(len(unique))
    return renumbered, len(unique)


def refusing(words: Iterable[Word], heads: CountVector, subject: CountVector) -> CountVector:
    """The new numbers of all subjects of people of whom one subject's newest word on one of `PURPOSES` is a no."""
    newest: dict[tuple[int, str], bool] = {}
    for word in sorted(words, key=lambda word: word[:3]):
        for purpose in PURPOSES:
            if purpose in word.purposes:
                newest[word.subject, purpose] = word.purposes[purpose]
    refused = [number for (number, _), agreed in newest.items() if not agreed]
    found = subject[np.isin(heads, heads[np.array(refused, np.int64)])]
    return found[found >= 0]


def inhuman(person: IntVector, product: IntVector, kind: NDArray[np.int8], time_s: CountVector) -> CountVector:
    """Who looked at more than `VIEWED_OF_A_DAY_MAX` different products on one UTC day, ascending.

    Neither repeated views nor orders matter: a page may reload itself, and a firm may order a thousand lines.

    Cost: a sort of the views.
    """
    views = np.flatnonzero(kind == VIEW)
    seen = np.stack((person[views], time_s[views] // DAY_S, product[views]), axis=1).astype(np.int64)
    seen = seen[np.lexsort(seen.T[::-1])]
    is_new = np.any(np.diff(seen, axis=0, prepend=-1) != 0, axis=1)
    different = seen[is_new]
    begins = np.flatnonzero(np.any(np.diff(different[:, :2], axis=0, prepend=-1) != 0, axis=1))
    viewed = np.diff(np.append(begins, len(different)))
    return np.unique(different[begins[viewed > VIEWED_OF_A_DAY_MAX], 0])
