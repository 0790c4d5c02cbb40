"""What a person did: looked, put into the cart, ordered, sent back, read an e-mail; and what the shop names itself."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ingest.vocabulary.facts.envelope import CustomerEvent
from ingest.vocabulary.ids import OrderId, ProductId, RequestId


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an order or cart: `quantity` is positive; `price` is per unit in the event's currency."""

    product_id: ProductId
    quantity: int = 1
    price: Decimal | None = None


class ProductViewed(CustomerEvent, frozen=True, kw_only=True):
    """A product page was looked at; `request_id` names the row that led there."""

    product_id: ProductId
    list_id: str | None = None
    request_id: RequestId | None = None


class ListViewed(CustomerEvent, frozen=True, kw_only=True):
    """A category, collection or other list was looked at."""

    list_id: str | None = None
    category: tuple[str, ...] = ()
    product_ids: tuple[ProductId, ...] = ()


class Searched(CustomerEvent, frozen=True, kw_only=True):
    """A search was made; the words are personal and sealed, the products shown are not."""

    results: int | None = None
    product_ids: tuple[ProductId, ...] = ()


class ProductAdded(CustomerEvent, frozen=True, kw_only=True):
    """A product was put into the cart."""

    product_id: ProductId
    quantity: int = 1
    price: Decimal | None = None
    currency: str | None = None
    request_id: RequestId | None = None


class ProductRemoved(CustomerEvent, frozen=True, kw_only=True):
    """A product was taken out of the cart; no quantity means all of it."""

    product_id: ProductId
    quantity: int | None = None


class WishlistAdded(CustomerEvent, frozen=True, kw_only=True):
    """A product was put on the wish list."""

    product_id: ProductId


class WishlistRemoved(CustomerEvent, frozen=True, kw_only=True):
    """A product was taken off the wish list."""

    product_id: ProductId


class CheckoutStarted(CustomerEvent, frozen=True, kw_only=True):
    """The checkout was entered."""

    order_id: OrderId | None = None
    lines: tuple[Line, ...] = ()


class OrderCompleted(CustomerEvent, frozen=True, kw_only=True):
    """An order was placed. Its event id is derived from the order id, so it happens once whoever reports it."""

    order_id: OrderId
    currency: str | None = None
    lines: tuple[Line, ...] = ()


class OrderRefunded(CustomerEvent, frozen=True, kw_only=True):
    """Some lines came back; without lines, the whole order."""

    order_id: OrderId
    currency: str | None = None
    lines: tuple[Line, ...] = ()


class OrderCancelled(CustomerEvent, frozen=True, kw_only=True):
    """An order was called off as a whole; it never counts as evidence again."""

    order_id: OrderId


class ProductReviewed(CustomerEvent, frozen=True, kw_only=True):
    """A product was rated from 0 to 5; the words are sealed."""

    product_id: ProductId
    rating: float | None = None


class EmailSent(CustomerEvent, frozen=True, kw_only=True):
    """An e-mail left."""

    campaign: str | None = None


class EmailOpened(CustomerEvent, frozen=True, kw_only=True):
    """An e-mail was opened."""

    campaign: str | None = None


class EmailClicked(CustomerEvent, frozen=True, kw_only=True):
    """A link of an e-mail was followed."""

    campaign: str | None = None
    product_id: ProductId | None = None


class Custom(CustomerEvent, frozen=True, kw_only=True):
    """Something the shop names itself; kept, and left to the shop to use."""

    name: str
    properties: dict[str, str | float | bool | None] = msgspec.field(default_factory=dict)
