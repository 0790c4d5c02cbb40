"""Segment's calls as their SDKs send them: tolerant where SDKs are sloppy, typed where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from ingest.dialects.cells import bounded_money, parse_quantity
from ingest.vocabulary.context import TEXT_LENGTH_MAX, Context, Device, Place, TrafficSource
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.events import Line
from ingest.vocabulary.ids import ProductId, parse_product_id

CALL_BYTES_MAX = 32_768  # Segment's own limit for one event
CALL_PRODUCTS_MAX = 1_000
CORRECTION_MAX = timedelta(days=366)  # a device clock that is further off says nothing about when it happened

Fields = dict[str, Any]

_DEVICES: dict[str, Device] = {
    "ios": "mobile",
    "android": "mobile",
    "mobile": "mobile",
    "phone": "mobile",
    "smartphone": "mobile",
    "tablet": "tablet",
    "ipad": "tablet",
    "desktop": "desktop",
    "browser": "desktop",
    "tv": "tv",
    "other": "other",
}


class Call(msgspec.Struct, rename="camel", kw_only=True):
    """One call of any type. `properties` and `context` may be anything an SDK sends."""

    type: str | None = None
    message_id: str | int | None = None
    anonymous_id: str | int | None = None
    user_id: str | int | None = None
    previous_id: str | int | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    properties: Fields | None = None
    traits: Fields | None = None
    context: Fields | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    received_at: str | None = None


_decoder = msgspec.json.Decoder(Call)


def decode_call(raw: bytes, kind: str | None = None) -> Call:
    """A call from its JSON; `kind` is its type where a path implies it.

    Raises:
        OversizedInput: it is larger than Segment allows.
        MalformedEvent: it is not a call.
    """
    try:
        call = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(f"not a Segment call: {error}", code="not_segment") from error
    if call.type is None:
        call.type = kind
    if call.type is None:
        raise MalformedEvent("the call has no type", pointer="/type", code="not_segment")
    return call


def moment(text: str | None, field: str) -> datetime | None:
    """An RFC 3339 time; absent is None."""
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedEvent(f"{field} {text[:40]!r} is not a time", pointer=f"/{field}", code="timestamp") from error


def occurred_at(call: Call, received_at: datetime, *, imported: bool, sent_at: datetime | None = None) -> datetime:
    """When it happened, by our clock: `receivedAt - (sentAt - originalTimestamp)`.

    An archive that has `originalTimestamp` was corrected by Segment already. An archive without `receivedAt` cannot be
    corrected; its `timestamp` stands.

    Source: Segment spec, "Common fields", clock skew. We ignore a correction of more than a year and, for live calls,
    never answer a time after `received_at`.
    """
    stated = moment(call.timestamp, "timestamp")
    original = moment(call.original_timestamp, "originalTimestamp")
    sent = moment(call.sent_at, "sentAt") or sent_at
    received = moment(call.received_at, "receivedAt") if imported else received_at
    if imported and stated is not None and original is not None:
        return stated
    claimed = original or stated
    if claimed is None:
        if imported and received is None and sent is None:
            raise MalformedEvent("the call has no timestamp", pointer="/timestamp", code="timestamp")
        return received or sent or received_at
    if received is None or sent is None:
        return claimed if imported else min(claimed, received_at)
    corrected = received - (sent - claimed)
    if abs(corrected - received) > CORRECTION_MAX and not imported:
        return received
    return corrected if imported else min(corrected, received_at)


def product_id_of(fields: Fields, pointer: str) -> ProductId:
    """The product of a product object: `product_id`, else `sku`, else `id`."""
    for name in ("product_id", "productId", "sku", "id"):
        value = fields.get(name)
        if value not in (None, ""):
            try:
                return parse_product_id(value)
            except MalformedEvent as error:
                raise MalformedEvent(error.message, pointer=f"{pointer}/{name}", code="product") from error
    raise MalformedEvent("product_id or sku is needed", pointer=f"{pointer}/product_id", code="product")


def products_of(properties: Fields) -> list[Fields]:
    """The product objects of a call with a list of them."""
    products = properties.get("products")
    if products is None:
        return []
    if not isinstance(products, list) or not all(isinstance(each, dict) for each in products):
        raise MalformedEvent("products must be a list of objects", pointer="/properties/products", code="product")
    if len(products) > CALL_PRODUCTS_MAX:
        raise MalformedEvent(
            f"a call may name {CALL_PRODUCTS_MAX} products", pointer="/properties/products", code="product"
        )
    return products


def money_of(fields: Fields, name: str = "price") -> Decimal | None:
    """An amount that SDKs send as a number or as text."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            amount = Decimal(str(value).strip())
        except ArithmeticError:
            amount = Decimal("NaN")
        if amount.is_finite() and amount >= 0:
            return bounded_money(amount, name)
    raise MalformedEvent(f"{name} {str(value)[:40]!r} is not an amount", pointer=f"/properties/{name}", code="price")


def quantity_of(fields: Fields) -> int | None:
    """A positive whole number; absent is None."""
    value = fields.get("quantity")
    if value is None or value == "":
        return None
    quantity = parse_quantity(str(value))
    if quantity <= 0:
        raise MalformedEvent("quantity must be positive", pointer="/properties/quantity", code="quantity")
    return quantity


def lines_of(properties: Fields) -> tuple[Line, ...]:
    """The lines of an order or cart."""
    return tuple(
        Line(product_id_of(each, f"/properties/products/{place}"), quantity_of(each) or 1, money_of(each))
        for place, each in enumerate(products_of(properties))
    )


def text_of(fields: Fields, *names: str, length: int = TEXT_LENGTH_MAX) -> str | None:
    """The first of some fields that is text, cut to a length."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and (tidy := value.strip()):
            return tidy[:length]
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)[:length]
    return None


def context_of(context: Fields) -> Context | None:
    """What a call says about the situation, without what identifies a person."""
    campaign = _fields(context, "campaign")
    source = TrafficSource(
        source=text_of(campaign, "source"),
        medium=text_of(campaign, "medium"),
        campaign=text_of(campaign, "name", "campaign"),
    )
    location = _fields(context, "location")
    country = text_of(location, "country_code", "countryCode", "country")
    place = Place(country=country.upper() if country and len(country) == 2 else None, city=text_of(location, "city"))
    found = Context(
        device=_device_of(context),
        traffic_source=source if source != TrafficSource() else None,
        place=place if place != Place() else None,
    )
    return found if found != Context() else None


def _device_of(context: Fields) -> Device | None:
    device = text_of(_fields(context, "device"), "type")
    if device is not None:
        return _DEVICES.get(device.lower(), "other")
    mobile = _fields(context, "userAgentData").get("mobile")
    return None if not isinstance(mobile, bool) else "mobile" if mobile else "desktop"


def _fields(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
