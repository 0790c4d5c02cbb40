"""Dangol's own events, as `POST /v1/events` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ingest.click_tokens import ClickTokens
from ingest.collector import Incoming, received
from ingest.dialects.native_events import (
    AnyWire,
    CheckoutStarted,
    ConsentChanged,
    Custom,
    CustomerIdentified,
    EmailClicked,
    EmailOpened,
    EmailSent,
    ListViewed,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductReviewed,
    ProductViewed,
    RankingClicked,
    Searched,
    Wire,
    WireLine,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.privacy import Personal
from ingest.vocabulary import events as facts
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.context import Context, Place, TrafficSource
from ingest.vocabulary.errors import MalformedEvent, OversizedInput
from ingest.vocabulary.ids import (
    ID_LENGTH_MAX,
    EventId,
    OrderId,
    RequestId,
    Subject,
    new_ulid,
    order_event_id,
    parse_anonymous_id,
    parse_customer_id,
    parse_id,
    parse_product_id,
)

EVENTS_MAX = 2_500  # in one request, as Segment allows
EVENT_BYTES_MAX = 131_072  # an order of 1,000 lines fits; Segment allows a quarter of it
MONEY_MAX = Decimal(10) ** 12
UNKNOWN_SUBJECT = Subject("")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Batch(msgspec.Struct):
    events: Annotated[list[msgspec.Raw], Meta(min_length=1)]


class _Name(msgspec.Struct):
    event_id: object = None


# Every escape of a JSON string in turn, so that an escaped backslash is not mistaken for the start of one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_batch_decoder = msgspec.json.Decoder(_Batch)
_wire_decoder: msgspec.json.Decoder[Wire] = msgspec.json.Decoder(AnyWire)
_name_decoder = msgspec.json.Decoder(_Name)


class Reading(msgspec.Struct, frozen=True):
    """One event of a batch: what it became or why it was refused, and the sender's own id for it."""

    name: str | None
    incoming: Incoming | None
    error: MalformedEvent | None


def read_batch(body: bytes, *, clock: Clock, tokens: ClickTokens, personal: Personal) -> list[Reading]:
    """The events of a request body, each on its own: one bad event spoils no other.

    Args:
        body: `{"events": [...]}`.
        clock: dates what has no time.
        tokens: verifies click tokens.
        personal: what the request itself says of the person (IP, user agent), sealed with each event.

    Raises:
        MalformedEvent: the body is not such an object.
        OversizedInput: there are too many events.
    """
    try:
        raws = _batch_decoder.decode(_with_whole_characters(body)).events
    except UNREADABLE as error:
        raise _malformed(error, code="malformed_batch") from error
    if len(raws) > EVENTS_MAX:
        raise OversizedInput(f"a batch has at most {EVENTS_MAX} events, got {len(raws)}", pointer="/events")
    return [_read(raw, index, clock, tokens, personal) for index, raw in enumerate(raws)]


def _read(raw: msgspec.Raw, index: int, clock: Clock, tokens: ClickTokens, personal: Personal) -> Reading:
    name: str | None = None
    try:
        if len(raw) > EVENT_BYTES_MAX:
            raise OversizedInput(f"an event has at most {EVENT_BYTES_MAX} bytes, got {len(raw)}")
        try:
            wire = _wire_decoder.decode(raw)
        except UNREADABLE as error:
            name = _name_of(raw)
            raise _malformed(error) from error
        name = wire.event_id
        return Reading(name, to_incoming(wire, clock, tokens, personal), None)
    except MalformedEvent as error:
        error.pointer = f"/events/{index}{error.pointer or ''}"
        return Reading(name, None, error)


def to_incoming(wire: Wire, clock: Clock, tokens: ClickTokens, personal: Personal) -> Incoming:
    """The fact in a decoded event.

    Raises:
        MalformedEvent: an id, an amount or a token is not acceptable.
    """
    occurred_at, received_at = received(clock, wire.occurred_at)
    event_id = wire.event_id or new_ulid(epoch_ms(received_at))
    envelope: dict[str, Any] = {
        "event_id": EventId(event_id),
        "occurred_at": _in_utc(occurred_at),
        "received_at": received_at,
        "source": "api",
        "subject": UNKNOWN_SUBJECT,
        "context": _bounded(wire.context),
    }
    build = _BUILDERS[type(wire)]
    event, own = build(wire, envelope, tokens)
    return Incoming(
        event,
        None if wire.customer_id is None else parse_customer_id(wire.customer_id),
        None if wire.anonymous_id is None else parse_anonymous_id(wire.anonymous_id),
        {**personal, **own} if own else personal or None,
    )


Built = tuple[facts.CustomerEvent, Personal]
_BUILDERS: dict[type, Callable[[Any, dict[str, Any], ClickTokens], Built]] = {}


def _builds(wire: type) -> Callable[[Callable[[Any, dict[str, Any], ClickTokens], Built]], None]:
    def register(builder: Callable[[Any, dict[str, Any], ClickTokens], Built]) -> None:
        _BUILDERS[wire] = builder

    return register


@_builds(ProductViewed)
def _product_viewed(wire: ProductViewed, envelope: dict[str, Any], _: ClickTokens) -> Built:
    request_id = None if wire.request_id is None else RequestId(wire.request_id)
    product_id = parse_product_id(wire.product_id)
    return facts.ProductViewed(**envelope, product_id=product_id, list_id=wire.list_id, request_id=request_id), {}


@_builds(ListViewed)
def _list_viewed(wire: ListViewed, envelope: dict[str, Any], _: ClickTokens) -> Built:
    listed = _products(wire.product_ids)
    return facts.ListViewed(**envelope, list_id=wire.list_id, category=wire.category, product_ids=listed), {}


@_builds(Searched)
def _searched(wire: Searched, envelope: dict[str, Any], _: ClickTokens) -> Built:
    listed = _products(wire.product_ids)
    return facts.Searched(**envelope, results=wire.results, product_ids=listed), {"query": wire.query}


@_builds(ProductAdded)
def _product_added(wire: ProductAdded, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.ProductAdded(
        **envelope,
        product_id=parse_product_id(wire.product_id),
        quantity=wire.quantity,
        price=check_money(wire.price),
        currency=check_currency(wire.currency),
        request_id=None if wire.request_id is None else RequestId(wire.request_id),
    ), {}


@_builds(ProductRemoved)
def _product_removed(wire: ProductRemoved, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.ProductRemoved(**envelope, product_id=parse_product_id(wire.product_id), quantity=wire.quantity), {}


@_builds(WishlistAdded)
def _wishlist_added(wire: WishlistAdded, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.WishlistAdded(**envelope, product_id=parse_product_id(wire.product_id)), {}


@_builds(WishlistRemoved)
def _wishlist_removed(wire: WishlistRemoved, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.WishlistRemoved(**envelope, product_id=parse_product_id(wire.product_id)), {}


@_builds(CheckoutStarted)
def _checkout_started(wire: CheckoutStarted, envelope: dict[str, Any], _: ClickTokens) -> Built:
    order_id = None if wire.order_id is None else _order_id(wire.order_id)
    return facts.CheckoutStarted(**envelope, order_id=order_id, lines=_lines(wire.lines)), {}


@_builds(OrderCompleted)
def _order_completed(wire: OrderCompleted, envelope: dict[str, Any], _: ClickTokens) -> Built:
    order_id = _order_id(wire.order_id)
    envelope["event_id"] = order_event_id(order_id)
    return facts.OrderCompleted(
        **envelope, order_id=order_id, currency=check_currency(wire.currency), lines=_lines(wire.lines)
    ), {}


@_builds(OrderRefunded)
def _order_refunded(wire: OrderRefunded, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.OrderRefunded(
        **envelope,
        order_id=_order_id(wire.order_id),
        currency=check_currency(wire.currency),
        lines=_lines(wire.lines),
    ), {}


@_builds(OrderCancelled)
def _order_cancelled(wire: OrderCancelled, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.OrderCancelled(**envelope, order_id=_order_id(wire.order_id)), {}


@_builds(ProductReviewed)
def _product_reviewed(wire: ProductReviewed, envelope: dict[str, Any], _: ClickTokens) -> Built:
    personal = {} if wire.text is None else {"review": wire.text}
    return facts.ProductReviewed(**envelope, product_id=parse_product_id(wire.product_id), rating=wire.rating), personal


@_builds(CustomerIdentified)
def _customer_identified(wire: CustomerIdentified, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.CustomerIdentified(**envelope, known=UNKNOWN_SUBJECT), {"traits": wire.traits} if wire.traits else {}


@_builds(ConsentChanged)
def _consent_changed(wire: ConsentChanged, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.ConsentChanged(**envelope, purposes=wire.purposes), {}


@_builds(RankingClicked)
def _ranking_clicked(wire: RankingClicked, envelope: dict[str, Any], tokens: ClickTokens) -> Built:
    product_id = parse_product_id(wire.product_id)
    placement, position = None, None
    if wire.click_token is not None:
        click = tokens.open(wire.click_token)
        if click.product_id != product_id or click.request_id != wire.request_id:
            raise MalformedEvent(
                "click_token belongs to another product or answer", pointer="/click_token", code="bad_click_token"
            )
        placement, position = click.placement, click.position
    return facts.RankingClicked(
        **envelope,
        request_id=RequestId(wire.request_id),
        product_id=product_id,
        placement=placement,
        position=position,
    ), {}


@_builds(EmailSent)
def _email_sent(wire: EmailSent, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.EmailSent(**envelope, campaign=wire.campaign), {}


@_builds(EmailOpened)
def _email_opened(wire: EmailOpened, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.EmailOpened(**envelope, campaign=wire.campaign), {}


@_builds(EmailClicked)
def _email_clicked(wire: EmailClicked, envelope: dict[str, Any], _: ClickTokens) -> Built:
    product_id = None if wire.product_id is None else parse_product_id(wire.product_id)
    return facts.EmailClicked(**envelope, campaign=wire.campaign, product_id=product_id), {}


@_builds(Custom)
def _custom(wire: Custom, envelope: dict[str, Any], _: ClickTokens) -> Built:
    return facts.Custom(**envelope, name=wire.name, properties=wire.properties), {}


def check_money(amount: Decimal | None, field: str = "price") -> Decimal | None:
    """An amount of money that makes sense: finite, not negative, below a trillion.

    Raises:
        MalformedEvent: it does not.
    """
    if amount is not None and not (amount.is_finite() and 0 <= amount < MONEY_MAX):
        raise MalformedEvent(f"{field} must be 0 or more and less than {MONEY_MAX}, got {amount}", pointer=f"/{field}")
    return amount


def check_currency(currency: str | None) -> str | None:
    """A currency in ISO 4217's form: three capital letters.

    Raises:
        MalformedEvent: it is not.
    """
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise MalformedEvent(f"currency must be three letters (ISO 4217), got {currency!r}", pointer="/currency")
    return None if currency is None else currency.upper()


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise MalformedEvent("occurred_at is beyond the years 1 to 9999", pointer="/occurred_at") from error


def _order_id(raw: object) -> OrderId:
    return OrderId(parse_id(raw, "order_id"))


def _products(raw: Sequence[object]) -> tuple[Any, ...]:
    return tuple(parse_product_id(each, "product_ids") for each in raw)


def _lines(wire: Sequence[WireLine]) -> tuple[facts.Line, ...]:
    lines = []
    for index, line in enumerate(wire):
        try:
            lines.append(facts.Line(parse_product_id(line.product_id), line.quantity, check_money(line.price)))
        except MalformedEvent as error:
            error.pointer = f"/lines/{index}{error.pointer or ''}"
            raise
    return tuple(lines)


def _bounded(context: Context | None) -> Context | None:
    """The context with its free texts cut to a sensible length."""
    if context is None:
        return None
    source, place = context.traffic_source, context.place
    if source is not None:
        source = TrafficSource(_cut(source.source), _cut(source.medium), _cut(source.campaign))
    if place is not None:
        place = Place(_cut(place.country), _cut(place.city))
    return msgspec.structs.replace(context, traffic_source=source, place=place)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:ID_LENGTH_MAX]


def _with_whole_characters(body: bytes) -> bytes:
    """The body with each half of a surrogate pair replaced by U+FFFD.

    Browsers escape the half of an emoji that a script has cut through; such an escape is no character, and would make
    the whole batch unreadable.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found["half"] else found[0], body)


def _name_of(raw: msgspec.Raw) -> str | None:
    try:
        name = _name_decoder.decode(raw).event_id
    except UNREADABLE:
        return None
    return name[:ID_LENGTH_MAX] if isinstance(name, str) else None


def _malformed(error: Exception, *, code: str = "malformed") -> MalformedEvent:
    """The library's message in two parts: what is wrong, and a JSON pointer to where."""
    message, _, path = str(error).partition(" - at `$")
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path.rstrip("`")).replace(".", "/").replace("[...]", "")
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing:
        pointer = f"{pointer}/{missing[1]}"
    unknown_type = "Invalid value" in message and pointer == "/type"
    return MalformedEvent(message, pointer=pointer or None, code="unknown_type" if unknown_type else code)
