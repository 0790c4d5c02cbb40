"""What a history of clicks and orders tells about products that the catalogue does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

import msgspec

from ingest.collector import Incoming
from ingest.dialects.cells import parse_category
from ingest.vocabulary.events import ProductUpserted
from ingest.vocabulary.ids import ProductId, content_id
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX, TITLE_LENGTH_MAX, Product

TITLES_MAX = 50  # of one product; more is not a title but a note
PRICES_MAX = 100  # of one product; the commonest of them are seen early

CategoryOf = Callable[[str], tuple[str, ...]]
Knows = Callable[[ProductId], bool]


class _Asked(msgspec.Struct):
    """How often a price was read, and when last."""

    count: int
    latest: datetime


class _Seen:
    """What was read about one product. Titles of sales count before titles of clicks."""

    __slots__ = (
        "brand",
        "category",
        "currency",
        "first",
        "image_url",
        "prices",
        "sold_titles",
        "titles",
        "url",
    )

    def __init__(self, first: datetime) -> None:
        self.first = first
        self.sold_titles: dict[str, int] = {}
        self.titles: dict[str, int] = {}
        self.prices: dict[Decimal, _Asked] = {}
        self.currency: str | None = None
        self.category = self.brand = self.url = self.image_url = ""


class ProductFacts:
    """Collects titles, prices and categories while a file is read; states the unknown products at its end.

    Memory: one entry per product.
    """

    def __init__(self, category_of: CategoryOf | None = None, *, titles_expected: bool = True) -> None:
        self._category_of = category_of
        self._titles_expected = titles_expected
        self._products: dict[ProductId, _Seen] = {}
        self._mentioned: dict[ProductId, datetime] = {}

    def __contains__(self, product_id: object) -> bool:
        return product_id in self._products

    def sold(
        self,
        product_id: ProductId,
        at: datetime,
        title: str = "",
        price: Decimal | None = None,
        currency: str | None = None,
        category: str = "",
    ) -> None:
        """A sale for money. Its title counts most; of its prices the commonest wins, the latest may be a mistake."""
        seen = self._products.get(product_id)
        if seen is None:
            seen = self._products[product_id] = _Seen(at)
        elif at < seen.first:
            seen.first = at
        if title:
            titles = seen.sold_titles
            if title in titles:
                titles[title] += 1
            elif len(titles) < TITLES_MAX:
                titles[title] = 1
        if price is not None:
            asked = seen.prices.get(price)  # one look-up: the hash of a decimal is dear
            if asked is not None:
                asked.count += 1
                if at > asked.latest:
                    asked.latest = at
            elif len(seen.prices) < PRICES_MAX:
                seen.prices[price] = _Asked(1, at)
            if currency:
                seen.currency = currency
        if category:
            seen.category = category

    def mentioned(self, product_id: ProductId, at: datetime) -> None:
        """A line that costs nothing: what it calls the product is often a note. It says no more than that it exists."""
        self._mentioned.setdefault(product_id, at)

    def looked_at(
        self,
        product_id: ProductId,
        at: datetime,
        title: str = "",
        price: Decimal | None = None,
        currency: str | None = None,
        category: str = "",
    ) -> None:
        """A click. Its title counts where there was no sale."""
        self.sold(product_id, at, "", price or None, currency, category)
        if title:
            titles = self._products[product_id].titles
            if title in titles or len(titles) < TITLES_MAX:
                titles[title] = titles.get(title, 0) + 1

    def described(self, product_id: ProductId, *, brand: str = "", url: str = "", image_url: str = "") -> None:
        """More about a product that was sold or looked at; the last word counts."""
        seen = self._products[product_id]
        seen.brand, seen.url, seen.image_url = brand or seen.brand, url or seen.url, image_url or seen.image_url

    def upserts(self, known: Knows, received_at: datetime, source: str, noticed: Counter[str]) -> Iterator[Incoming]:
        """One fact for each product that the catalogue does not know, in the order they were first read.

        Args:
            noticed: counts products with several titles, and those left out for want of a usable one.
        """
        for product_id, at in self._mentioned.items():
            if product_id not in self._products:
                self._products[product_id] = _Seen(at)
        for product_id, seen in self._products.items():
            titles = _tidied(seen.sold_titles) or _tidied(seen.titles)
            if len(titles) > 1:
                noticed["products with more than one title"] += 1
            if not titles and self._titles_expected:
                noticed["products without a usable title"] += 1
                continue
            if not known(product_id):
                yield self._upsert(product_id, seen, titles, received_at, source)

    def _upsert(
        self, product_id: ProductId, seen: _Seen, titles: dict[str, int], received_at: datetime, source: str
    ) -> Incoming:
        title = max(titles, key=lambda each: titles[each]) if titles else None
        category = parse_category(seen.category)[:CATEGORY_DEPTH_MAX]
        if not category and title and self._category_of:
            category = self._category_of(title)
        product = Product(
            product_id=product_id,
            title=title,
            category=category,
            brand=seen.brand or None,
            price=max(seen.prices, key=lambda each: (seen.prices[each].count, seen.prices[each].latest), default=None),
            currency=seen.currency,
            url=seen.url or None,
            image_url=seen.image_url or None,
        )
        content = msgspec.json.encode(product, order="deterministic").decode()
        event = ProductUpserted(
            event_id=content_id("product", product_id, content),
            occurred_at=seen.first,
            received_at=received_at,
            source=source,
            imported=True,
            product_id=product_id,
            product=product,
        )
        return Incoming(event)


def _tidied(titles: dict[str, int]) -> dict[str, int]:
    """Titles with collapsed spaces and their counts, in the order first seen."""
    counts: dict[str, int] = {}
    for title, count in titles.items():
        tidy = " ".join(title.split())[:TITLE_LENGTH_MAX]
        if tidy:
            counts[tidy] = counts.get(tidy, 0) + count
    return counts
