"""What is asked of a row, in the shape of the public contract, checked where it comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from ingest.vocabulary.context import Context
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.ids import ProductId

limit_default = 10
limit_max = 100  # a row is looked at by a person
filter_values_max = 100  # more alternatives than any form offers
filter_attributes_max = 20  # each costs a pass over the candidates
filter_value_length_max = 500  # a full category path


class PriceRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounds on the current price, both inclusive."""

    min: float | None = None
    max: float | None = None


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a product must be: of any of the categories, of any of the brands, in the price range, and for every
    attribute one of its values. An empty part asks nothing.
    """

    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    price: PriceRange | None = None
    attributes: Mapping[str, tuple[str, ...]] = {}


class RowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One row is asked for. `limit` None means the placement's; `exclude` is never shown.

    `context` is the situation; what is wanted more in it than otherwise comes further up.
    """

    product_ids: tuple[ProductId, ...] = ()
    category: str | None = None
    limit: int | None = None
    exclude: tuple[ProductId, ...] = ()
    filter: Filter | None = None
    context: Context | None = None
    explain: bool = False


def parse_filter(raw: object, *, strict: bool = True) -> Filter:
    """The filter of a request.

    Args:
        raw: the plain value of `filter`.
        strict: False where numbers come as text, as in a query string.

    Raises:
        MalformedEvent: with a JSON pointer; the sender should correct the filter.
    """
    try:
        asked = msgspec.convert(raw, Filter, strict=strict)
    except msgspec.ValidationError as error:
        raise MalformedEvent(f"the filter cannot be read: {error}", pointer="/filter") from error
    return check_filter(asked)


def check_filter(asked: Filter) -> Filter:
    """The filter of a request, if its values make sense.

    Raises:
        MalformedEvent: with a JSON pointer; the sender should correct the filter.
    """
    _check_values("category", asked.category)
    _check_values("brand", asked.brand)
    if len(asked.attributes) > filter_attributes_max:
        raise MalformedEvent(
            f"filter.attributes may name {filter_attributes_max} attributes, got {len(asked.attributes)}",
            pointer="/filter/attributes",
        )
    for name, values in asked.attributes.items():
        _check_values(f"attributes/{name}", values)
    if asked.price is not None:
        _check_price(asked.price)
    return asked


def check_limit(limit: int) -> int:
    """The limit of a request, if it is one that a row can have.

    Raises:
        MalformedEvent: it is not within 1 and `limit_max`.
    """
    if not 1 <= limit <= limit_max:
        raise MalformedEvent(f"limit must be 1 to {limit_max}, got {limit}", pointer="/limit")
    return limit


def _check_values(field: str, values: tuple[str, ...]) -> None:
    pointer = f"/filter/{field}"
    if len(values) > filter_values_max:
        raise MalformedEvent(f"{pointer} may list {filter_values_max} values, got {len(values)}", pointer=pointer)
    for value in values:
        if not 1 <= len(value) <= filter_value_length_max:
            raise MalformedEvent(
                f"{pointer} has a value of {len(value)} characters; 1 to {filter_value_length_max} are allowed",
                pointer=pointer,
            )


def _check_price(price: PriceRange) -> None:
    for bound in (price.min, price.max):
        if bound is not None and not (math.isfinite(bound) and bound >= 0):
            raise MalformedEvent(f"a price bound must be a number from 0 up, got {bound}", pointer="/filter/price")
    if price.min is not None and price.max is not None and price.min > price.max:
        raise MalformedEvent(f"the lowest price {price.min} is above the highest {price.max}", pointer="/filter/price")
