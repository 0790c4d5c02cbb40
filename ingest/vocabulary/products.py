"""Products as the shop states them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from ingest.vocabulary.ids import ProductId

Availability = Literal["in_stock", "out_of_stock", "preorder", "backorder"]
AttributeValue = str | int | float | bool | list[str]

TITLE_LENGTH_MAX = 500
DESCRIPTION_LENGTH_MAX = 10_000
URL_LENGTH_MAX = 2_000
CATEGORY_DEPTH_MAX = 10
ATTRIBUTES_MAX = 100
TAGS_MAX = 100


class Label(NamedTuple):
    """What a shopper is shown of a product; money as a decimal string."""

    title: str | None = None
    url: str | None = None
    image_url: str | None = None
    price: str | None = None
    currency: str | None = None
    availability: Availability = "in_stock"


class Product(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One sellable thing. Money is an exact decimal in `currency` (ISO 4217); `category` runs from root to leaf."""

    product_id: ProductId
    title: str | None = None
    description: str | None = None
    category: tuple[str, ...] = ()
    brand: str | None = None
    price: Decimal | None = None
    sale_price: Decimal | None = None
    currency: str | None = None
    availability: Availability = "in_stock"
    stock: int | None = None
    item_group_id: str | None = None
    url: str | None = None
    image_url: str | None = None
    attributes: dict[str, AttributeValue] = {}
    tags: tuple[str, ...] = ()
    published_at: datetime | None = None
    expires_at: datetime | None = None
    margin: float | None = None

    @property
    def sellable(self) -> bool:
        """Whether a shopper can order it: not sold out, and not counted down to nothing without backorder."""
        if self.availability == "out_of_stock":
            return False
        return self.availability in ("preorder", "backorder") or self.stock is None or self.stock > 0

    @property
    def label(self) -> Label:
        """What a shopper is shown."""
        price = self.current_price
        return Label(
            self.title,
            self.url,
            self.image_url,
            None if price is None else format(price, "f"),
            self.currency,
            self.availability,
        )

    @property
    def current_price(self) -> Decimal | None:
        """What the shopper pays now."""
        return self.price if self.sale_price is None else self.sale_price
