"""Facts become columns, one by one and once: what a training reads of them from then on is arrays.

A stream more, for something else to learn from, is its line in `shape.STREAMS`, a function here that puts a row for
each fact that says something, and what is made of the stream in `recommender.interactions`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.codec import encode_event
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
    PriceChanged,
    ProductAdded,
    ProductDeleted,
    ProductUpserted,
    ProductViewed,
    RankingClicked,
    RankingShown,
    StockChanged,
    WishlistAdded,
)
from ingest.vocabulary.ids import OrderId
from ingest.vocabulary.ranking import CART, ORDER, VIEW, WISHLIST
from recommender.columns.catalogue import AVAILABILITY, CURRENCY, PRICE, STATED, STOCK
from recommender.columns.shape import NAMES, STREAMS, Arrays, Name
from recommender.facts import (
    QUANTITY_MAX,
    amounts_e4,
    event_hash,
    lines_that_count,
    microseconds,
    occurred_s,
    order_hash,
)
from recommender.people import PURPOSES
from recommender.shown import POSITIONS_MAX, about_of, request_hash
from recommender.sightings import situation_of

CLICK = ORDER + 1  # on a recommendation: a view, until it is known whether the page it led to was told as well

_CODES = {"i1": "b", "u1": "B", "i4": "i", "i8": "q", "u8": "Q"}
_HASH = np.dtype(">u8")


class Gathering:
    """Columns of facts in order of arrival. Cost: about 4 µs a fact, besides decoding it."""

    def __init__(self) -> None:
        self._arrays = {
            f"{stream}.{name}": array(_CODES[column.dtype])
            for stream, columns in STREAMS.items()
            for name, column in columns.items()
        }
        self._rows = {
            stream: [self._arrays[f"{stream}.{name}"].append for name in columns] for stream, columns in STREAMS.items()
        }
        self._numbers: dict[Name, dict[bytes, int]] = {name: {} for name in NAMES}

    def add(self, event: Event) -> None:
        """Take one fact; most kinds say nothing about products and are passed over."""
        if isinstance(event, CustomerEvent) and (parts := situation_of(event)):
            situation = self._number("situation", msgspec.msgpack.encode(parts))
            self._put("sightings", *_times(event), self._subject(event), situation)
        if (take := _TAKEN.get(type(event))) is not None:
            take(self, event)

    def arrays(self) -> Arrays:
        """The columns, in new arrays."""
        found: dict[str, NDArray[np.generic]] = {
            name: np.array(column, dtype=column.typecode) for name, column in self._arrays.items()
        }
        for name, has_text in NAMES.items():
            keys = self._numbers[name]
            hashes = b"".join(map(_hash_of, keys)) if has_text else b"".join(keys)
            found[f"{name}.hash"] = np.frombuffer(hashes, _HASH).reshape(-1, 2).astype(np.uint64)
            if has_text:
                found[f"{name}.size"] = np.fromiter(map(len, keys), np.int32, len(keys))
                found[f"{name}.text"] = np.frombuffer(b"".join(keys), np.uint8).copy()
        return found

    def _put(self, stream: str, *values: int) -> None:
        for append, value in zip(self._rows[stream], values, strict=True):
            append(value)

    def _number(self, name: Name, key: bytes) -> int:
        numbers = self._numbers[name]
        return numbers.setdefault(key, len(numbers))

    def _subject(self, event: CustomerEvent) -> int:
        return self._number("subject", _hash_of(event.subject.encode()))

    def _product(self, product: str) -> int:
        return self._number("product", product.encode())

    def _order(self, order: OrderId) -> int:
        return self._number("order", order_hash(order))

    def _deed(self, event: CustomerEvent, kind: int, product: str, quantity: int = 1) -> None:
        quantity = max(-QUANTITY_MAX, min(quantity, QUANTITY_MAX))
        values = (event_hash(event), kind, self._subject(event), self._product(product), quantity)
        self._put("deeds", *_times(event), *values)

    def _clicked(self, event: RankingClicked) -> None:
        self._deed(event, CLICK, event.product_id)
        named = (request_hash(event.request_id), self._subject(event), self._product(event.product_id))
        self._put("list_clicks", *_times(event), *named)

    def _shown(self, event: RankingShown) -> None:
        products, placement = event.product_ids[:POSITIONS_MAX], self._number("placement", event.placement.encode())
        named = (request_hash(event.request_id), about_of(event), placement, self._subject(event), len(products))
        self._put("lists", *_times(event), *named)
        for product in products:
            self._put("list_products", self._product(product))

    def _ordered(self, event: OrderCompleted) -> None:
        lines = sorted(lines_that_count(event.lines).items())
        amounts, currency = amounts_e4(event.lines), self._number("currency", (event.currency or "").encode())
        placed = (event_hash(event), self._order(event.order_id), self._subject(event), currency, len(lines))
        self._put("orders", *_times(event), *placed)
        for product, quantity in lines:
            self._put("order_lines", self._product(product), quantity, amounts[product])

    def _cancelled(self, event: OrderCancelled | OrderRefunded) -> None:
        self._put("cancellations", *_times(event), self._order(event.order_id))

    def _refunded(self, event: OrderRefunded) -> None:
        if not event.lines:
            self._cancelled(event)
            return
        lines = sorted(lines_that_count(event.lines).items())
        content = int.from_bytes(blake2b(msgspec.msgpack.encode(lines), digest_size=8).digest())
        self._put("returns", *_times(event), self._order(event.order_id), content, len(lines))
        for product, quantity in lines:
            self._put("return_lines", self._product(product), quantity)

    def _erased(self, event: CustomerErased) -> None:
        self._put("erasures", *_times(event), self._subject(event))

    def _identified(self, event: CustomerIdentified) -> None:
        known = self._number("subject", _hash_of(event.known.encode()))
        self._put("links", microseconds(event.known_at), self._subject(event), known)

    def _consented(self, event: ConsentChanged) -> None:
        for purpose, name in enumerate(PURPOSES):
            if name in event.purposes:
                word = (event_hash(event), self._subject(event), purpose, event.purposes[name])
                self._put("words", *_times(event), *word)

    def _stated(self, event: CatalogueEvent) -> None:
        stored = encode_event(event)
        moments = (microseconds(event.known_at), microseconds(event.occurred_at))
        self._put("product_facts", *moments, self._product(event.product_id), _says(event), len(stored))
        self._arrays["stored.byte"].frombytes(stored)


def gathered(events: Iterable[Event]) -> Arrays:
    """The columns of some facts, in their order."""
    gathering = Gathering()
    for event in events:
        gathering.add(event)
    return gathering.arrays()


def _hash_of(key: bytes) -> bytes:
    return blake2b(key, digest_size=16).digest()


def _times(event: Event) -> tuple[int, int]:
    return microseconds(event.known_at), occurred_s(event)


def _says(event: CatalogueEvent) -> int:
    """Which parts of a product a fact about it states anew."""
    match event:
        case PriceChanged(currency=currency):
            return PRICE | (CURRENCY if currency else 0)
        case StockChanged(availability=availability, stock=stock):
            return (AVAILABILITY if availability else 0) | (0 if stock is None else STOCK)
        case _:
            return STATED


_TAKEN: dict[type[Event], Callable[[Gathering, Any], None]] = {
    ProductViewed: lambda to, event: to._deed(event, VIEW, event.product_id),
    RankingClicked: Gathering._clicked,
    RankingShown: Gathering._shown,
    ProductAdded: lambda to, event: to._deed(event, CART, event.product_id, event.quantity),
    WishlistAdded: lambda to, event: to._deed(event, WISHLIST, event.product_id),
    OrderCompleted: Gathering._ordered,
    OrderCancelled: Gathering._cancelled,
    OrderRefunded: Gathering._refunded,
    CustomerErased: Gathering._erased,
    CustomerIdentified: Gathering._identified,
    ConsentChanged: Gathering._consented,
    ProductUpserted: Gathering._stated,
    ProductDeleted: Gathering._stated,
    PriceChanged: Gathering._stated,
    StockChanged: Gathering._stated,
}
