"""One row of a CSV as a fact or as a line of an order: the fields, their spellings, and what is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from ingest.collector import Incoming
from ingest.dialects.cells import (
    parse_category,
    parse_cell_id,
    parse_currency,
    parse_money,
    parse_quantity,
    parse_time,
)
from ingest.dialects.csv_orders import NOBODY, OrderLine
from ingest.dialects.csv_table import Row, column_indexes
from ingest.dialects.product_facts import ProductFacts
from ingest.dialects.reading import ImportOptions, Tally
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.events import (
    CustomerEvent,
    ListViewed,
    ProductAdded,
    ProductRemoved,
    ProductViewed,
    Searched,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.ids import AnonymousId, CustomerId, EventId, OrderId, ProductId, content_id
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX

FIELDS = (
    "event",
    "timestamp",
    "customer",
    "anonymous",
    "product",
    "order",
    "quantity",
    "price",
    "currency",
    "title",
    "category",
    "query",
)
_SPELLINGS = {
    "view": "view viewed productview productviewed viewproduct viewedproduct viewitem itemview detailview "
    "detailpageview click clicked productclicked clickedproduct selectitem",
    "list_view": "listview listviewed productlistviewed viewitemlist viewedproductcategory categoryview categoryviewed "
    "collectionviewed categorypageview",
    "search": "search searched productssearched searchsubmitted viewsearchresults",
    "add_to_cart": "addtocart cart cartadd added productadded addedproduct addedtocart productaddedtocart",
    "remove_from_cart": "removefromcart cartremove removed productremoved removedproduct removedfromcart "
    "productremovedfromcart",
    "wishlist": "wishlist addtowishlist wishlistadded productaddedtowishlist favourite favorite",
    "remove_from_wishlist": "removefromwishlist wishlistremoved productremovedfromwishlist",
    "order": "order ordered ordercompleted completedorder orderplaced transaction purchase purchased purchasecomplete "
    "buy bought sale checkoutcompleted",
    "refund": "refund refunded orderrefunded refundedorder return returned",
}
KINDS = {spelling: kind for kind, spellings in _SPELLINGS.items() for spelling in spellings.split()}
ORDER_KINDS = ("order", "refund")
SOURCE = "import:csv"
QUERY_LENGTH_MAX = 500

_SEPARATORS = str.maketrans("", "", " _-.")

_time = lru_cache(maxsize=1_000)(parse_time)
_quantity = lru_cache(maxsize=1_000)(parse_quantity)
_currency = lru_cache(maxsize=1_000)(parse_currency)
_id = lru_cache(maxsize=50_000)(parse_cell_id)

Person = tuple[CustomerId | None, AnonymousId | None]
Glance = tuple[ProductId, Decimal | None, str | None]


@lru_cache(maxsize=1_000)
def kind_of(spelling: str) -> str | None:
    """The kind of fact a cell of the field `event` names, or None."""
    return KINDS.get(spelling.translate(_SEPARATORS).casefold())


class Cells:
    """Where in a row, lengthened by `constants`, each field stands; a field that is not there is an empty constant.

    Raises:
        ConfigurationError: a field or column is not known, or there is no event or no time.
    """

    def __init__(self, columns: Sequence[str], options: ImportOptions) -> None:
        indexes = column_indexes(columns, FIELDS, options.columns, options.constants)
        self.width = len(columns)
        self.constants = ["", *options.constants.values()]
        indexes.update({field: self.width + 1 + place for place, field in enumerate(options.constants)})
        for field, example in (("event", "--set event=order"), ("timestamp", "--map timestamp=COLUMN")):
            if field not in indexes:
                raise ConfigurationError(
                    f"the field {field} is needed, for instance by {example}; columns are {', '.join(columns)}",
                    code="wrong_usage",
                )
        self.has = frozenset(indexes)
        place = {field: indexes.get(field, self.width) for field in FIELDS}
        self.event, self.timestamp, self.order = place["event"], place["timestamp"], place["order"]
        self.customer, self.anonymous, self.product = place["customer"], place["anonymous"], place["product"]
        self.quantity, self.price, self.currency = place["quantity"], place["price"], place["currency"]
        self.title, self.category, self.query = place["title"], place["category"], place["query"]

    def order_key(self, row: Row) -> str | None:
        """What the lines of one order have in common: its id, else the person and the moment. None for clicks."""
        if kind_of(row[self.event]) not in ORDER_KINDS:
            return None
        if "order" in self.has:
            return row[self.order].strip()
        return "\x1f".join((row[self.customer], row[self.anonymous], row[self.timestamp]))


class RowReader(Cells):
    """Reads the rows of one file."""

    def __init__(
        self, columns: Sequence[str], options: ImportOptions, shift: timedelta, received_at: datetime, tally: Tally
    ) -> None:
        super().__init__(columns, options)
        self._shift, self._received_at, self._tally = shift, received_at, tally
        self._not_products = frozenset(title for title in options.not_products if "*" not in title)
        self._not_product_words = tuple(title.strip("*") for title in options.not_products if "*" in title)
        self._is_service = lru_cache(maxsize=50_000)(self._names_a_service)
        self.products = ProductFacts(options.category_of, titles_expected="title" in self.has)

    def browse(self, row: Row, joined: str, nth: int) -> Incoming:
        """A click, as the fact it is.

        Args:
            joined: the cells of the row as it stands in the file.
            nth: how often an equal row came before.

        Raises:
            MalformedEvent: with the reason.
        """
        kind = kind_of(row[self.event])
        if kind is None:
            raise MalformedEvent(
                f"event {row[self.event][:40]!r} is not one of {', '.join(_SPELLINGS)}", pointer="/event", code="event"
            )
        event = self._click(kind, row, _row_id(kind, nth, joined))
        query = row[self.query].strip()
        customer_id, anonymous_id = _person(row[self.customer], row[self.anonymous])
        return Incoming(event, customer_id, anonymous_id, {"query": query[:QUERY_LENGTH_MAX]} if query else None)

    def order_line(self, row: Row, key: str) -> OrderLine | None:
        """A line of an order or of a return; None, and counted, where it is neither.

        Raises:
            MalformedEvent: with the reason.
        """
        title = row[self.title]
        if title and self._is_service(title):
            self._tally.left_out["not a product"] += 1
            return None
        quantity = _quantity(row[self.quantity].strip())
        if quantity == 0:
            self._tally.left_out["zero quantity"] += 1
            return None
        price = _price(row[self.price])
        customer_id, anonymous_id = _person(row[self.customer], row[self.anonymous])
        if quantity < 0 and price == 0 and customer_id is None and anonymous_id is None:
            self._tally.left_out["stock adjustment"] += 1
            return None
        returned = quantity < 0 or kind_of(row[self.event]) == "refund"
        currency = _currency(row[self.currency].strip())
        at = _time(row[self.timestamp].strip()) + self._shift
        product_id = _product(row[self.product]) if row[self.product] or not returned else None
        if product_id is not None and not returned:
            if price:
                self.products.sold(product_id, at, title, price, currency, row[self.category])
            else:
                self.products.mentioned(product_id, at)
        return OrderLine(
            self._order_id(key), at, customer_id, anonymous_id, product_id, abs(quantity), price, currency, returned
        )

    def _click(self, kind: str, row: Row, event_id: EventId) -> CustomerEvent:
        at = _time(row[self.timestamp].strip()) + self._shift
        received_at = self._received_at
        if kind in ("search", "list_view"):
            shown = (self._looked_at(row, at)[0],) if row[self.product] else ()
            if kind == "search":
                return Searched(
                    event_id=event_id,
                    occurred_at=at,
                    received_at=received_at,
                    source=SOURCE,
                    imported=True,
                    subject=NOBODY,
                    product_ids=shown,
                )
            return ListViewed(
                event_id=event_id,
                occurred_at=at,
                received_at=received_at,
                source=SOURCE,
                imported=True,
                subject=NOBODY,
                category=parse_category(row[self.category])[:CATEGORY_DEPTH_MAX],
                product_ids=shown,
            )
        glance = self._looked_at(row, at)
        if kind == "view":
            return ProductViewed(
                event_id=event_id,
                occurred_at=at,
                received_at=received_at,
                source=SOURCE,
                imported=True,
                subject=NOBODY,
                product_id=glance[0],
            )
        return self._change(kind, row, event_id, at, glance)

    def _change(self, kind: str, row: Row, event_id: EventId, at: datetime, glance: Glance) -> CustomerEvent:
        product_id, price, currency = glance
        received_at = self._received_at
        if kind == "add_to_cart":
            return ProductAdded(
                event_id=event_id,
                occurred_at=at,
                received_at=received_at,
                source=SOURCE,
                imported=True,
                subject=NOBODY,
                product_id=product_id,
                quantity=self._positive(row) or 1,
                price=price,
                currency=currency,
            )
        if kind == "remove_from_cart":
            return ProductRemoved(
                event_id=event_id,
                occurred_at=at,
                received_at=received_at,
                source=SOURCE,
                imported=True,
                subject=NOBODY,
                product_id=product_id,
                quantity=self._positive(row),
            )
        wish = WishlistAdded if kind == "wishlist" else WishlistRemoved
        return wish(
            event_id=event_id,
            occurred_at=at,
            received_at=received_at,
            source=SOURCE,
            imported=True,
            subject=NOBODY,
            product_id=product_id,
        )

    def _looked_at(self, row: Row, at: datetime) -> Glance:
        glance = _glance(row[self.product], row[self.price], row[self.currency])
        product_id, price, currency = glance
        self.products.looked_at(product_id, at, row[self.title], price, currency, row[self.category])
        return glance

    def _order_id(self, key: str) -> OrderId:
        if "order" in self.has:
            return OrderId(_id(key, "order"))
        if key.startswith("\x1f\x1f"):
            raise MalformedEvent("an order needs an order, customer or anonymous id", code="identity_missing")
        return OrderId(content_id("order of", key))

    def _positive(self, row: Row) -> int | None:
        text = row[self.quantity].strip()
        if not text:
            return None
        quantity = _quantity(text)
        if quantity <= 0:
            raise MalformedEvent(f"quantity {text[:40]!r} is not positive", pointer="/quantity", code="quantity")
        return quantity

    def _names_a_service(self, title: str) -> bool:
        tidy = " ".join(title.split()).lower()
        return tidy in self._not_products or any(words in tidy for words in self._not_product_words)


@lru_cache(maxsize=50_000)
def _product(cell: str) -> ProductId:
    return ProductId(_id(cell.strip(), "product"))


@lru_cache(maxsize=50_000)
def _person(customer_cell: str, anonymous_cell: str) -> Person:
    customer, anonymous = customer_cell.strip(), anonymous_cell.strip()
    return (
        CustomerId(_id(customer, "customer")) if customer else None,
        AnonymousId(_id(anonymous, "anonymous")) if anonymous else None,
    )


@lru_cache(maxsize=50_000)
def _glance(product: str, price: str, currency: str) -> Glance:
    """What a click says of its product; the same three cells come again and again."""
    return _product(product), _price(price), _currency(currency.strip())


@lru_cache(maxsize=10_000)
def _price(cell: str) -> Decimal | None:
    text = cell.strip()
    if not text:
        return None
    price = parse_money(text)
    if price < 0:
        raise MalformedEvent(f"price {text[:40]!r} is negative", pointer="/price", code="price")
    return price


def _row_id(kind: str, nth: int, joined: str) -> EventId:
    return EventId(hashlib.blake2b(f"{kind}\x1f{nth}\x1f{joined}".encode(), digest_size=16).hexdigest())
