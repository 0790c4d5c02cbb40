"""Google Merchant Center's names and feeds, which Meta and most feed tools share.

Source: Merchant Center product data specification; RSS 2.0, RSS 1.0 and Atom feeds are matched on local names.
XML is read without a document type, so nothing can be declared, fetched or expanded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers import expat

from ingest.dialects.product_fields import PRODUCT_FIELDS
from ingest.sources import Source, unreadable

ITEM_CHARACTERS_MAX = 200_000
ITEMS = ("item", "entry")

Fields = dict[str, Any]

_NAMES = {
    "id": "product_id",
    "link": "url",
    "image_link": "image_url",
    "product_type": "category",
    "categories": "category",
    "name": "title",
    "cost_of_goods_sold": None,
    "availability_date": None,
}
_ATTRIBUTES = (
    "color", "colour", "size", "material", "pattern", "gender", "age_group", "condition", "gtin", "mpn", "size_system",
    "size_type", "google_product_category", "custom_label_0", "custom_label_1", "custom_label_2", "custom_label_3",
    "custom_label_4",
)  # fmt: skip
_AVAILABILITY = {
    "instock": "in_stock",
    "availablefororder": "in_stock",
    "limitedavailability": "in_stock",
    "onlineonly": "in_stock",
    "outofstock": "out_of_stock",
    "soldout": "out_of_stock",
    "discontinued": "out_of_stock",
    "preorder": "preorder",
    "presale": "preorder",
    "backorder": "backorder",
}
_PRICES = ("price", "sale_price")


def merchant_names(fields: Mapping[str, Any], *, others: bool = True) -> Fields:
    """The same product in our names: `link` is `url`, `39.90 EUR` is a price and a currency.

    Args:
        others: whether names that mean nothing to us stay, to be refused by whoever judges them.
    """
    named: Fields = {}
    attributes: Fields = dict(fields["attributes"]) if isinstance(fields.get("attributes"), dict) else {}
    for name, value in fields.items():
        if name in _ATTRIBUTES and value not in (None, ""):
            attributes[name] = value
        elif name in _NAMES:
            ours = _NAMES[name]
            if ours is not None and ours not in fields:
                named[ours] = value
        elif name in PRODUCT_FIELDS or (others and name not in _ATTRIBUTES):
            named[name] = value
    if attributes:
        named["attributes"] = attributes
    if "category" in named:
        named["category"] = _one_category(named["category"])
    for name in _PRICES:
        if name in named:
            _split_price(named, name)
    availability = named.get("availability")
    if isinstance(availability, str):
        plain = availability.rpartition("/")[2].replace("_", "").replace(" ", "").lower()
        named["availability"] = _AVAILABILITY.get(plain, availability)
    return named


def read_merchant_xml(source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    """The items of a feed: their number and their texts by local name, the first of each.

    Raises:
        ConfigurationError: it is not well-formed, or declares a document type.
    """
    feed = _Feed(source.name)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = feed.doctype
    parser.StartElementHandler = feed.start
    parser.EndElementHandler = feed.end
    parser.CharacterDataHandler = feed.text
    try:
        for block in source.blocks():
            parser.Parse(block, False)
            yield from feed.take()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise unreadable(source.name, f"it is not well-formed XML: {error}") from error
    yield from feed.take()


class _Feed:
    """Collects the texts of items while the parser runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._items: list[tuple[int, dict[str, str]]] = []
        self._number = 0
        self._item: dict[str, str] | None = None
        self._depth = 0
        self._texts: list[str] = []
        self._characters = 0

    def take(self) -> list[tuple[int, dict[str, str]]]:
        """The items that are complete by now."""
        items, self._items = self._items, []
        return items

    def doctype(self, *_: Any) -> None:
        """A document type could declare entities: no feed needs one."""
        raise unreadable(self._name, "it declares a document type (DOCTYPE), which no product feed needs")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins; Atom's links stand in an attribute."""
        if self._item is None:
            if name.rpartition(" ")[2] in ITEMS:
                self._number += 1
                self._item, self._depth, self._characters = {}, 0, 0
            return
        self._depth += 1
        if self._depth == 1:
            self._texts = [attributes["href"]] if "href" in attributes else []

    def text(self, text: str) -> None:
        """Text within an item."""
        self._characters += len(text)
        if self._characters > ITEM_CHARACTERS_MAX:
            if self._item is not None:
                raise unreadable(self._name, f"item {self._number} has more than {ITEM_CHARACTERS_MAX} characters")
            self._characters = 0
        if self._depth == 1:
            self._texts.append(text)

    def end(self, name: str) -> None:
        """An element ends."""
        if self._item is None:
            return
        if self._depth == 0:
            self._items.append((self._number, self._item))
            self._item = None
            return
        if self._depth == 1:
            text = "".join(self._texts).strip()
            if text:
                self._item.setdefault(name.rpartition(" ")[2], text)
            self._texts = []
        self._depth -= 1


def _split_price(named: Fields, name: str) -> None:
    value = named[name]
    if isinstance(value, dict):
        named[name] = value.get("amount", value.get("value"))
        if value.get("currency"):
            named["currency"] = value["currency"]
    elif isinstance(value, str) and len(parts := value.split()) == 2:
        amount, currency = parts if parts[1].isalpha() else reversed(parts)
        named[name], named["currency"] = amount, currency


def _one_category(value: Any) -> Any:
    """The first of several paths, where a list holds paths and not the parts of one."""
    if isinstance(value, list) and value and isinstance(value[0], str) and ">" in value[0]:
        return value[0]
    return value
