"""What a request for recommendations asks: the same words in a JSON body, a query string and on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from ingest.dialects.native import UNREADABLE
from ingest.vocabulary.context import Context
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.ids import (
    ID_LENGTH_MAX,
    AnonymousId,
    CustomerId,
    ProductId,
    parse_anonymous_id,
    parse_customer_id,
    parse_product_id,
)
from personalization.page.request import Filter, check_filter

LIMIT_MAX = 100
PRODUCTS_MAX = 200
PLACEMENTS_MAX = 20
QUERY_LENGTH_MAX = 16_000
_LISTS = frozenset({"product_ids", "exclude", "filter.category", "filter.brand"})
_IGNORED = frozenset({"key"})

Id = Annotated[str, Meta(max_length=ID_LENGTH_MAX)] | int
Ids = Annotated[tuple[Id, ...], Meta(max_length=PRODUCTS_MAX)]


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A request as it is sent."""

    customer_id: Id | None = None
    anonymous_id: Id | None = None
    product_ids: Ids = ()
    category: Annotated[str, Meta(max_length=2_000)] | tuple[str, ...] | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] | None = None
    exclude: Ids = ()
    filter: Filter | None = None
    context: Context | None = None
    explain: bool = False


class PageWire(Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request for several placements of one page."""

    placements: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)], ...],
        Meta(min_length=1, max_length=PLACEMENTS_MAX),
    ]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A request with its ids parsed."""

    customer_id: CustomerId | None = None
    anonymous_id: AnonymousId | None = None
    product_ids: tuple[ProductId, ...] = ()
    category: tuple[str, ...] = ()
    limit: int | None = None
    exclude: tuple[ProductId, ...] = ()
    filter: Filter | None = None
    context: Context | None = None
    explain: bool = False


_wire_decoder = msgspec.json.Decoder(Wire)
_page_decoder = msgspec.json.Decoder(PageWire)


def ask_from_body(body: bytes) -> Ask:
    """The request in a JSON body.

    Raises:
        MalformedEvent: it is not one; the pointer says where.
    """
    try:
        return parsed(_wire_decoder.decode(body or b"{}"))
    except UNREADABLE as error:
        raise malformed(error) from error


def page_from_body(body: bytes) -> tuple[tuple[str, ...], Ask]:
    """The placements and the request in a JSON body.

    Raises:
        MalformedEvent: it is not one; the pointer says where.
    """
    try:
        wire = _page_decoder.decode(body)
    except UNREADABLE as error:
        raise malformed(error) from error
    return wire.placements, parsed(wire)


def ask_from_query(query: str) -> Ask:
    """The request in a query string: nested names are dotted, lists repeat or are comma-separated.

    Raises:
        MalformedEvent: a name is unknown or a value is not acceptable.
    """
    if not query:
        return Ask()
    pairs = pairs_of(query)
    try:
        return parsed(msgspec.convert(nested(pairs), Wire, strict=False))
    except (msgspec.MsgspecError, ValueError) as error:
        raise malformed(error) from error


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The names and values of a query string.

    Raises:
        MalformedEvent: it is too long, or is none.
    """
    if len(query) > QUERY_LENGTH_MAX:
        raise MalformedEvent(f"a query string has at most {QUERY_LENGTH_MAX} characters: use POST", code="oversized")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=500)
    except ValueError as error:
        raise malformed(error) from error


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Dotted names as nested objects."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        if name in _IGNORED:
            continue
        parts = name.split(".")
        branch = root
        for part in parts[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise ValueError(f"`{name}` and a shorter name are both given")
        leaf = parts[-1]
        if name in _LISTS or name.startswith("filter.attributes."):
            branch.setdefault(leaf, []).extend(part for part in value.split(",") if part)
        elif leaf in branch:
            raise ValueError(f"`{name}` is given twice")
        else:
            branch[leaf] = value
    return root


def parsed(wire: Wire) -> Ask:
    """The request with its ids checked.

    Raises:
        MalformedEvent: an id is not acceptable.
    """
    category = wire.category
    if isinstance(category, str):
        category = tuple(part.strip() for part in category.split(">") if part.strip())
    return Ask(
        None if wire.customer_id is None else parse_customer_id(wire.customer_id),
        None if wire.anonymous_id is None else parse_anonymous_id(wire.anonymous_id),
        tuple(parse_product_id(each, "product_ids") for each in wire.product_ids),
        category or (),
        wire.limit,
        tuple(parse_product_id(each, "exclude") for each in wire.exclude),
        None if wire.filter is None else check_filter(wire.filter),
        wire.context,
        wire.explain,
    )


def malformed(error: Exception) -> MalformedEvent:
    """A library's complaint as ours, with a JSON pointer."""
    message, _, path = str(error).partition(" - at `$")
    pointer = "".join(f"/{part.strip('[]')}" for part in path.rstrip("`").replace("[", ".[").split(".") if part)
    return MalformedEvent(message or "malformed request", pointer=pointer or None)
