"""A product from plain values, strictly: the one place where what a shop says about a product is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

import msgspec

from ingest.dialects.cells import bounded_money, parse_currency, parse_time
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.ids import ID_LENGTH_MAX, parse_product_id
from ingest.vocabulary.products import (
    ATTRIBUTES_MAX,
    CATEGORY_DEPTH_MAX,
    DESCRIPTION_LENGTH_MAX,
    TAGS_MAX,
    TITLE_LENGTH_MAX,
    URL_LENGTH_MAX,
    AttributeValue,
    Availability,
    Product,
)

NAME_LENGTH_MAX = 200  # of a category, brand, tag or attribute
VALUE_LENGTH_MAX = 1_000  # of an attribute's text
VALUES_MAX = 100  # of an attribute with several
STOCK_MAX = 1_000_000_000
MONEY_LENGTH_MAX = 40

_AVAILABILITIES = get_args(Availability)


def parse_product(fields: Mapping[str, Any]) -> Product:
    """The product in plain values, as JSON has them; null is the same as absent.

    Raises:
        MalformedEvent: the first thing wrong, with its JSON pointer.
    """
    return Product(**parse_fields(fields, required=("product_id",)))


def parse_fields(fields: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of some fields of a product, by name, for `Product` or for changing one.

    Raises:
        MalformedEvent: the first thing wrong, with its JSON pointer.
    """
    for name in required:
        if fields.get(name) is None:
            raise _wrong(name, "is needed")
    parsed: dict[str, Any] = {}
    for name, value in fields.items():
        parse = _PARSERS.get(name)
        if parse is None:
            raise _wrong(str(name)[:NAME_LENGTH_MAX], f"is not a field of a product; fields are {', '.join(_PARSERS)}")
        if value is not None:
            parsed[name] = parse(value, name)
    return parsed


def parse_amount(value: Any, name: str) -> Decimal:
    """Money: a decimal string or a number, at least 0 and below 10⁹, with at most six decimals."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise _wrong(name, "must be a decimal string such as 39.90")
    text = str(value)
    try:
        amount = Decimal(text) if len(text) <= MONEY_LENGTH_MAX and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise _wrong(name, f"must be an amount of at least 0 such as 39.90, got {text[:MONEY_LENGTH_MAX]!r}")
    return bounded_money(amount, name)


def _wrong(name: str, why: str) -> MalformedEvent:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return MalformedEvent(f"{name} {why}", pointer=pointer, code="product")


def _text(length: int) -> Callable[[Any, str], str | None]:
    def parse(value: Any, name: str) -> str | None:
        return _words(value, name, length) or None

    return parse


def _words(value: Any, name: str, length: int) -> str:
    if not isinstance(value, str):
        raise _wrong(name, f"must be text, got {type(value).__name__}")
    tidy = value.strip()
    if len(tidy) > length:
        raise _wrong(name, f"may have {length} characters, got {len(tidy)}")
    if "\0" in tidy or not _is_unicode(tidy):
        raise _wrong(name, "has characters that are no text")
    return tidy


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _link(value: Any, name: str) -> str | None:
    link = _words(value, name, URL_LENGTH_MAX)
    if link and not link.lower().startswith(("https://", "http://", "/")):
        raise _wrong(name, "must begin with https://, http:// or /")
    return link or None


def _category(value: Any, name: str) -> tuple[str, ...]:
    parts = value.split(">") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) > CATEGORY_DEPTH_MAX:
        raise _wrong(name, f"must be a list of at most {CATEGORY_DEPTH_MAX} names, from root to leaf")
    return tuple(words for part in parts if (words := _words(part, name, NAME_LENGTH_MAX)))


def _tags(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > TAGS_MAX:
        raise _wrong(name, f"must be a list of at most {TAGS_MAX} texts")
    return tuple(dict.fromkeys(words for each in value if (words := _words(each, name, NAME_LENGTH_MAX))))


def _attributes(value: Any, name: str) -> dict[str, AttributeValue]:
    if not isinstance(value, dict) or len(value) > ATTRIBUTES_MAX:
        raise _wrong(name, f"must be an object of at most {ATTRIBUTES_MAX} members")
    return {
        _words(key, name, NAME_LENGTH_MAX): _attribute(each, f"{name}/{key}")
        for key, each in value.items()
        if each is not None
    }


def _attribute(value: Any, name: str) -> AttributeValue:
    if isinstance(value, str):
        return _words(value, name, VALUE_LENGTH_MAX)
    if isinstance(value, (bool, int)) and abs(value) <= 1 << 53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list) and len(value) <= VALUES_MAX:
        return [_words(each, name, VALUE_LENGTH_MAX) for each in value]
    raise MalformedEvent(
        f"{name} must be text, a number, true, false or a list of texts", pointer=f"/{name}", code="product"
    )


def _availability(value: Any, name: str) -> Availability:
    if value not in _AVAILABILITIES:
        raise _wrong(name, f"must be one of {', '.join(_AVAILABILITIES)}")
    found: Availability = value
    return found


def _stock(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= STOCK_MAX:
        raise _wrong(name, f"must be a whole number from 0 to {STOCK_MAX}")
    return value


def _margin(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 1:
        raise _wrong(name, "must be a share from -1 to 1 of the price")
    return float(value)


def _time(value: Any, name: str) -> datetime:
    if isinstance(value, str):
        try:
            return parse_time(value.strip())
        except MalformedEvent:
            pass
    raise _wrong(name, "must be an RFC 3339 time such as 2026-11-22T10:00:00Z")


def _currency(value: Any, name: str) -> str | None:
    if not isinstance(value, str):
        raise _wrong(name, "must be an ISO 4217 code such as EUR")
    return parse_currency(value.strip())


_PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "product_id": parse_product_id,
    "title": _text(TITLE_LENGTH_MAX),
    "description": _text(DESCRIPTION_LENGTH_MAX),
    "category": _category,
    "brand": _text(NAME_LENGTH_MAX),
    "price": parse_amount,
    "sale_price": parse_amount,
    "currency": _currency,
    "availability": _availability,
    "stock": _stock,
    "item_group_id": _text(ID_LENGTH_MAX),
    "url": _link,
    "image_url": _link,
    "attributes": _attributes,
    "tags": _tags,
    "published_at": _time,
    "expires_at": _time,
    "margin": _margin,
}
assert tuple(_PARSERS) == tuple(field.name for field in msgspec.structs.fields(Product))
PRODUCT_FIELDS = tuple(_PARSERS)
