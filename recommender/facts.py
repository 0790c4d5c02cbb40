"""What training and tail read off a fact alike: when it happened, which order it is about, which lines count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from math import floor
from typing import TypeVar

import msgspec

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import (
    CatalogueEvent,
    Event,
    Line,
    PriceChanged,
    ProductDeleted,
    ProductUpserted,
    StockChanged,
)
from ingest.vocabulary.ids import OrderId, ProductId
from ingest.vocabulary.money import unit_e4
from ingest.vocabulary.products import Product

LINE_E4_MAX = 10**13  # a line of 1 000 million; a million of them still fit into 64 bits
QUANTITY_MAX = 2**31 - 1  # of a product in an order; more counts as that much
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Named = TypeVar("Named", ProductId, int)  # a product by its id or a number


def order_hash(order_id: OrderId) -> bytes:
    """What recognises an order in a snapshot or tail: 16 bytes (BLAKE2b)."""
    return blake2b(order_id.encode(), digest_size=16).digest()


def event_hash(event: Event) -> int:
    """What recognises a fact among millions: 64 bits (BLAKE2b, big-endian) of its event id."""
    return int.from_bytes(blake2b(event.event_id.encode(), digest_size=8).digest())


def occurred_s(event: Event) -> int:
    """When it happened, in whole Unix seconds, never after it was told."""
    return floor(min(event.occurred_at, event.received_at).timestamp())


def microseconds(moment: datetime) -> int:
    """A moment in Unix microseconds, exactly."""
    since = moment - _EPOCH
    return (since.days * DAY_S + since.seconds) * 1_000_000 + since.microseconds


def lines_that_count(lines: Iterable[Line]) -> dict[ProductId, int]:
    """The products of an order with their positive quantities; a product on two lines counts once."""
    quantities: dict[ProductId, int] = {}
    for line in lines:
        if line.quantity > 0:
            quantity = quantities.get(line.product_id, 0) + line.quantity
            quantities[line.product_id] = min(quantity, QUANTITY_MAX)
    return quantities


def amounts_e4(lines: Iterable[Line]) -> dict[ProductId, int]:
    """What the products of `lines_that_count` come to, in ten-thousandths; nothing where no price is told."""
    amounts: dict[ProductId, int] = {}
    for line in lines:
        if line.quantity > 0:
            amount = 0 if line.price is None else unit_e4(str(line.price)) * line.quantity
            amounts[line.product_id] = min(amounts.get(line.product_id, 0) + amount, LINE_E4_MAX)
    return amounts


def left_of(lines: Mapping[Named, int], returned: Mapping[Named, int]) -> dict[Named, int]:
    """What is left of an order's quantities; what came back wholly is not in it."""
    return {
        product: quantity - returned.get(product, 0)
        for product, quantity in lines.items()
        if quantity > returned.get(product, 0)
    }


def evolve_product(product: Product | None, event: CatalogueEvent) -> Product | None:
    """A product after a fact about it; changes to one that is not there change nothing."""
    match event:
        case ProductUpserted(product=stated):
            return stated
        case ProductDeleted():
            return None
        case PriceChanged(price=price, sale_price=sale_price, currency=currency) if product is not None:
            return msgspec.structs.replace(
                product, price=price, sale_price=sale_price, currency=currency or product.currency
            )
        case StockChanged(availability=availability, stock=stock) if product is not None:
            return msgspec.structs.replace(
                product,
                availability=availability or product.availability,
                stock=product.stock if stock is None else stock,
            )
        case _:
            return product
