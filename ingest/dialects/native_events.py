"""Dangol's own events as they are sent: every field, with its bounds. `native` turns them into facts."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ingest.vocabulary.context import Context
from ingest.vocabulary.ids import ID_LENGTH_MAX

LINES_MAX = 2_000
LISTED_PRODUCTS_MAX = 200
TRAITS_MAX = 100
TEXT_LENGTH_MAX = 10_000

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)] | int
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]
Money = Annotated[Decimal, Meta()] | None
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
Path = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=10)]
Products = Annotated[tuple[Id, ...], Meta(max_length=LISTED_PRODUCTS_MAX)]
Plain = str | float | bool | None


class WireLine(msgspec.Struct, frozen=True):
    """One line of an order or cart as it is sent."""

    product_id: Id
    quantity: Quantity = 1
    price: Money = None


Lines = Annotated[tuple[WireLine, ...], Meta(max_length=LINES_MAX)]


def _tag(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class Wire(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """What every event may carry."""

    event_id: Name | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None
    customer_id: Id | None = None
    anonymous_id: Id | None = None
    context: Context | None = None
    request_id: Name | None = None
    click_token: str | None = None


class ProductViewed(Wire, frozen=True, kw_only=True):
    """A product page was looked at."""

    product_id: Id
    list_id: Name | None = None


class ListViewed(Wire, frozen=True, kw_only=True):
    """A category or collection was looked at."""

    list_id: Name | None = None
    category: Path = ()
    product_ids: Products = ()


class Searched(Wire, frozen=True, kw_only=True):
    """A search was made."""

    query: Text
    results: Annotated[int, Meta(ge=0)] | None = None
    product_ids: Products = ()


class ProductAdded(Wire, frozen=True, kw_only=True):
    """A product was put into the cart."""

    product_id: Id
    quantity: Quantity = 1
    price: Money = None
    currency: str | None = None


class ProductRemoved(Wire, frozen=True, kw_only=True):
    """A product was taken out of the cart."""

    product_id: Id
    quantity: Quantity | None = None


class WishlistAdded(Wire, frozen=True, kw_only=True):
    """A product was put on the wish list."""

    product_id: Id


class WishlistRemoved(Wire, frozen=True, kw_only=True):
    """A product was taken off the wish list."""

    product_id: Id


class CheckoutStarted(Wire, frozen=True, kw_only=True):
    """The checkout was entered."""

    order_id: Id | None = None
    lines: Lines = ()


class OrderCompleted(Wire, frozen=True, kw_only=True):
    """An order was placed."""

    order_id: Id
    currency: str | None = None
    lines: Annotated[tuple[WireLine, ...], Meta(min_length=1, max_length=LINES_MAX)]


class OrderRefunded(Wire, frozen=True, kw_only=True):
    """Some lines came back, or without lines the whole order."""

    order_id: Id
    currency: str | None = None
    lines: Lines = ()


class OrderCancelled(Wire, frozen=True, kw_only=True):
    """An order was called off."""

    order_id: Id


class ProductReviewed(Wire, frozen=True, kw_only=True):
    """A product was rated, perhaps with words."""

    product_id: Id
    rating: Annotated[float, Meta(ge=0, le=5)] | None = None
    text: Text | None = None


class CustomerIdentified(Wire, frozen=True, kw_only=True):
    """The visitor turned out to be a known customer."""

    customer_id: Id
    traits: Annotated[dict[str, Any], Meta(max_length=TRAITS_MAX)] = {}


class ConsentChanged(Wire, frozen=True, kw_only=True):
    """What the person agreed to, by purpose (`analytics`, `personalization`, `ads`, `email` …)."""

    purposes: Annotated[dict[Name, bool], Meta(min_length=1, max_length=20)]


class RankingClicked(Wire, frozen=True, kw_only=True):
    """A product of an answered row was clicked."""

    request_id: Name
    product_id: Id


class EmailSent(Wire, frozen=True, kw_only=True):
    """An e-mail left."""

    campaign: Name | None = None


class EmailOpened(Wire, frozen=True, kw_only=True):
    """An e-mail was opened."""

    campaign: Name | None = None


class EmailClicked(Wire, frozen=True, kw_only=True):
    """A link of an e-mail was followed."""

    campaign: Name | None = None
    product_id: Id | None = None


class Custom(Wire, frozen=True, kw_only=True):
    """Something the shop names itself."""

    name: Name
    properties: Annotated[dict[Name, Plain], Meta(max_length=TRAITS_MAX)] = {}


WIRE_TYPES = (
    ProductViewed, ListViewed, Searched, ProductAdded, ProductRemoved, WishlistAdded, WishlistRemoved,
    CheckoutStarted, OrderCompleted, OrderRefunded, OrderCancelled, ProductReviewed, CustomerIdentified,
    ConsentChanged, RankingClicked, EmailSent, EmailOpened, EmailClicked, Custom,
)  # fmt: skip
AnyWire = (
    ProductViewed | ListViewed | Searched | ProductAdded | ProductRemoved | WishlistAdded | WishlistRemoved
    | CheckoutStarted | OrderCompleted | OrderRefunded | OrderCancelled | ProductReviewed | CustomerIdentified
    | ConsentChanged | RankingClicked | EmailSent | EmailOpened | EmailClicked | Custom
)  # fmt: skip
