"""The tail as kept states: what models need of the log, in compact entries, 128 offsets to a segment.

A segment's key says where it lies (`<partition>:<number>`), and every entry carries its offset, so a training may cut
anywhere. Pure: a fold of the log, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import (
    CustomerErased,
    CustomerEvent,
    Event,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
    Recorded,
    WishlistAdded,
)
from ingest.vocabulary.ids import OrderId, ProductId
from ingest.vocabulary.ranking import CART, ORDER, VIEW, WISHLIST
from recommender.facts import lines_that_count, occurred_s, order_hash

SEGMENT_OFFSETS = 128  # a segment stays below some 50 KB, small enough to rewrite with every batch
CANCELLATION, ERASURE, RETURN = ORDER + 1, ORDER + 2, ORDER + 3
_CLICKS = (ProductViewed, RankingClicked, ProductAdded, WishlistAdded)
_TELLING = frozenset((*_CLICKS, OrderCompleted, OrderCancelled, OrderRefunded, CustomerErased))


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One fact as the models see it: `products` are ids, `order` is the hash of the order's id.

    `quantities` are those of the products of an order or a return; none where each is 1.
    """

    kind: int
    offset: int
    time_s: int
    subject: str
    products: tuple[str, ...] = ()
    order: bytes = b""
    quantities: tuple[int, ...] = ()

    @property
    def lines(self) -> dict[ProductId, int]:
        """The products with their quantities."""
        quantities = self.quantities or (1,) * len(self.products)
        return {ProductId(product): quantity for product, quantity in zip(self.products, quantities, strict=True)}


Segment = tuple[Entry, ...]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Segment] = msgspec.msgpack.Decoder(Segment)


def says_something(event: Event) -> bool:
    """Whether models care about a fact. Most facts of a busy shop are lists that were shown, and say nothing."""
    return type(event) in _TELLING


def entry_of(event: Event, offset: int) -> Entry | None:
    """The entry of a fact, or None where it says nothing about products."""
    if not says_something(event):
        return None
    assert isinstance(event, CustomerEvent)
    time_s, subject = occurred_s(event), event.subject
    match event:
        case ProductViewed(product_id=product) | RankingClicked(product_id=product):
            return Entry(VIEW, offset, time_s, subject, (product,))
        case ProductAdded(product_id=product):
            return Entry(CART, offset, time_s, subject, (product,))
        case WishlistAdded(product_id=product):
            return Entry(WISHLIST, offset, time_s, subject, (product,))
        case OrderCompleted(order_id=order, lines=lines):
            return Entry(ORDER, offset, time_s, subject, *_listed(order, lines))
        case OrderCancelled(order_id=order) | OrderRefunded(order_id=order, lines=()):
            return Entry(CANCELLATION, offset, time_s, subject, (), order_hash(order))
        case OrderRefunded(order_id=order, lines=lines):
            return Entry(RETURN, offset, time_s, subject, *_listed(order, lines))
        case CustomerErased():
            return Entry(ERASURE, offset, time_s, subject)
        case _:
            return None


def _listed(order: OrderId, lines: tuple[Line, ...]) -> tuple[tuple[str, ...], bytes, tuple[int, ...]]:
    """Products, order and quantities of an entry."""
    counted = lines_that_count(lines)
    quantities = tuple(counted.values())
    return tuple(counted), order_hash(order), quantities if any(quantity > 1 for quantity in quantities) else ()


def segment_key(partition: int, offset: int) -> str:
    """The key of the segment an offset lies in; keys sort like positions."""
    return _numbered_key(partition, offset // SEGMENT_OFFSETS)


@lru_cache(maxsize=64)  # every partition has a few open segments at a time
def _numbered_key(partition: int, number: int) -> str:
    return f"{partition:02d}:{number:08d}"


def partition_and_first_offset(key: str) -> tuple[int, int]:
    """Where a segment begins."""
    partition, number = key.split(":")
    return int(partition), int(number) * SEGMENT_OFFSETS


def is_within(key: str, cut: Sequence[int]) -> bool:
    """Whether everything that may ever be in a segment lies at or before a cut."""
    partition, first = partition_and_first_offset(key)
    return first + SEGMENT_OFFSETS - 1 <= cut[partition]


class TailProjection:
    """Folds the log into segments; see `ingest.vocabulary.ports.Projection`."""

    name = "tail"

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The segment the fact lies in, if models care about it."""
        position = recorded.position
        if not says_something(recorded.event):
            return ()
        return (segment_key(position.partition, position.offset),)

    def partition_of_key(self, key: str) -> int:
        """The partition a segment is of."""
        return partition_and_first_offset(key)[0]

    def evolve(self, state: Segment | None, recorded: Recorded) -> Segment | None:
        """The segment with the fact's entry; a fact that is in it already changes nothing."""
        entry = entry_of(recorded.event, recorded.position.offset)
        entries = state or ()
        if entry is None or (entries and entries[-1].offset >= entry.offset):
            return state
        return (*entries, entry)

    def derived(self, _: Segment | None, __: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

    def consequences(self, state: Segment | None, recorded: Recorded) -> tuple[Event, ...]:
        """Nothing follows."""
        return ()

    def encode(self, state: Segment) -> bytes:
        """MessagePack of the entries."""
        return _encoder.encode(state)

    def decode(self, stored: bytes) -> Segment:
        """The inverse of `encode`.

        Raises:
            Corrupt: the bytes are not a segment; replay.
        """
        try:
            return _decoder.decode(stored)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"a tail segment cannot be read: {error}") from error
