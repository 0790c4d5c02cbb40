"""The facts in Segment's e-commerce events, version 2 and 1, by their names without case, spaces and signs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from ingest.dialects.cells import parse_category, parse_currency
from ingest.dialects.segment_calls import (
    Call,
    Fields,
    lines_of,
    money_of,
    product_id_of,
    products_of,
    quantity_of,
    text_of,
)
from ingest.privacy import Personal
from ingest.vocabulary.context import Context
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.events import (
    CheckoutStarted,
    Custom,
    CustomerEvent,
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
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.ids import EventId, OrderId, ProductId, RequestId, Subject, order_event_id, parse_id
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX

NOBODY = Subject("")  # the collector fills the subject in
PROPERTIES_MAX = 50
NAME_LENGTH_MAX = 100
RATING_MAX = 5.0


class About(NamedTuple):
    """What every fact of a call has."""

    event_id: EventId
    occurred_at: datetime
    received_at: datetime
    source: str
    imported: bool
    context: Context | None

    def of(self, event: type[CustomerEvent], **own: Any) -> CustomerEvent:
        """An event of this call."""
        return event(**self._asdict(), subject=NOBODY, **own)


def event_of(call: Call, about: About, personal: Personal) -> CustomerEvent:
    """The fact in a call; what of it identifies a person is put into `personal`.

    Raises:
        MalformedEvent: with the reason.
    """
    properties = call.properties or {}
    match call.type:
        case "track":
            if not call.event:
                raise MalformedEvent("a track call needs an event", pointer="/event", code="not_segment")
            make = _MAKERS.get(_plain(call.event))
            return make(about, properties, personal) if make else _custom(call.event, about, properties, personal)
        case "identify" | "alias":
            if call.traits:
                personal["traits"] = call.traits
            if call.user_id in (None, ""):
                return _custom(call.type, about, {}, personal)
            return about.of(CustomerIdentified, known=NOBODY)
        case "page" | "screen":
            named = {"category": call.category, "name": call.name, **properties}
            return _custom(call.type, about, named, personal)
        case other:
            raise MalformedEvent(f"type {other!r} is not a call of Segment's", pointer="/type", code="not_segment")


def _plain(name: str) -> str:
    return "".join(each for each in name.casefold() if each.isalnum())


def _viewed(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(
        ProductViewed,
        product_id=product_id_of(properties, "/properties"),
        list_id=text_of(properties, "list_id"),
        request_id=_request_id(properties),
    )


def _clicked(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    """A click in one of our rows names it; any other is a view, for the page it leads to may not be tracked."""
    request_id = _request_id(properties)
    if request_id is None:
        return _viewed(about, properties, personal)
    position = properties.get("position")
    return about.of(
        RankingClicked,
        request_id=request_id,
        product_id=product_id_of(properties, "/properties"),
        placement=text_of(properties, "list_id"),
        position=position if isinstance(position, int) and not isinstance(position, bool) else None,
    )


def _list_viewed(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(
        ListViewed,
        list_id=text_of(properties, "list_id"),
        category=parse_category(text_of(properties, "category") or "")[:CATEGORY_DEPTH_MAX],
        product_ids=_product_ids(properties),
    )


def _searched(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    if properties.get("query"):
        personal["query"] = properties["query"]
    results = properties.get("results")
    return about.of(
        Searched,
        results=results if isinstance(results, int) and not isinstance(results, bool) else None,
        product_ids=_product_ids(properties),
    )


def _added(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(
        ProductAdded,
        product_id=product_id_of(properties, "/properties"),
        quantity=quantity_of(properties) or 1,
        price=money_of(properties),
        currency=_currency(properties),
        request_id=_request_id(properties),
    )


def _removed(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(
        ProductRemoved, product_id=product_id_of(properties, "/properties"), quantity=quantity_of(properties)
    )


def _wish(event: type[CustomerEvent]) -> Callable[[About, Fields, Personal], CustomerEvent]:
    return lambda about, properties, personal: about.of(event, product_id=product_id_of(properties, "/properties"))


def _checkout(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    order = text_of(properties, "order_id", length=1_000)
    order_id = OrderId(parse_id(order, "order_id")) if order else None
    return about.of(CheckoutStarted, order_id=order_id, lines=lines_of(properties))


def _ordered(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    order_id, lines = _order_id(properties), lines_of(properties)
    if not lines:
        raise MalformedEvent("an order needs products", pointer="/properties/products", code="product")
    about = about._replace(event_id=order_event_id(order_id))
    return about.of(OrderCompleted, order_id=order_id, currency=_currency(properties), lines=lines)


def _refunded(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(
        OrderRefunded,
        order_id=_order_id(properties),
        currency=_currency(properties),
        lines=lines_of(properties),
    )


def _cancelled(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    return about.of(OrderCancelled, order_id=_order_id(properties))


def _reviewed(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    if properties.get("review_body"):
        personal["review_body"] = properties["review_body"]
    try:
        rating = float(properties["rating"]) if properties.get("rating") not in (None, "") else None
    except (TypeError, ValueError) as error:
        raise MalformedEvent("rating is not a number", pointer="/properties/rating", code="rating") from error
    if rating is not None and not 0 <= rating <= RATING_MAX:
        raise MalformedEvent("rating must be from 0 to 5", pointer="/properties/rating", code="rating")
    return about.of(ProductReviewed, product_id=product_id_of(properties, "/properties"), rating=rating)


def _email(event: type[CustomerEvent]) -> Callable[[About, Fields, Personal], CustomerEvent]:
    def make(about: About, properties: Fields, personal: Personal) -> CustomerEvent:
        for name in ("link_url", "email_subject"):
            if properties.get(name):
                personal[name] = properties[name]
        return about.of(event, campaign=text_of(properties, "campaign_name", "campaign_id", "email_id"))

    return make


def _custom(name: str, about: About, properties: Fields, personal: Personal) -> CustomerEvent:
    """What the shop names itself. Numbers stay in clear; words may say who somebody is, and are sealed."""
    clear: dict[str, Any] = {}
    sealed: dict[str, Any] = {}
    for key, value in properties.items():
        if value is None or len(clear) + len(sealed) >= PROPERTIES_MAX:
            continue
        if isinstance(value, (bool, int, float)):
            clear[key[:NAME_LENGTH_MAX]] = value if isinstance(value, bool) else float(value)
        else:
            sealed[key] = value
    if sealed:
        personal["properties"] = sealed
    return about.of(Custom, name=name[:NAME_LENGTH_MAX], properties=clear)


def _order_id(properties: Fields) -> OrderId:
    value = properties.get("order_id", properties.get("orderId"))
    try:
        return OrderId(parse_id(value, "order_id"))
    except MalformedEvent as error:
        raise MalformedEvent(error.message, pointer="/properties/order_id", code="order") from error


def _request_id(properties: Fields) -> RequestId | None:
    found = text_of(properties, "recommendation_id", "request_id", length=100)
    return None if found is None else RequestId(found)


def _currency(properties: Fields) -> str | None:
    return parse_currency(text_of(properties, "currency") or "")


def _product_ids(properties: Fields) -> tuple[ProductId, ...]:
    return tuple(
        product_id_of(each, f"/properties/products/{place}") for place, each in enumerate(products_of(properties))
    )


_Maker = Callable[[About, Fields, Personal], CustomerEvent]
_NAMES: dict[_Maker, str] = {
    _viewed: "productviewed viewedproduct",
    _clicked: "productclicked clickedproduct",
    _list_viewed: "productlistviewed viewedproductcategory viewedproductlist productlistfiltered collectionviewed",
    _searched: "productssearched searchedproducts searchsubmitted",
    _added: "productadded addedproduct wishlistproductaddedtocart productaddedtocart",
    _removed: "productremoved removedproduct productremovedfromcart",
    _wish(WishlistAdded): "productaddedtowishlist addedproducttowishlist",
    _wish(WishlistRemoved): "productremovedfromwishlist removedproductfromwishlist",
    _checkout: "checkoutstarted startedcheckout startedorder orderstarted",
    _ordered: "ordercompleted completedorder",
    _refunded: "orderrefunded refundedorder",
    _cancelled: "ordercancelled cancelledorder ordercanceled canceledorder",
    _reviewed: "productreviewed reviewedproduct",
    _email(EmailSent): "emaildelivered emailsent",
    _email(EmailOpened): "emailopened",
    _email(EmailClicked): "emaillinkclicked",
}
_MAKERS: dict[str, _Maker] = {name: maker for maker, names in _NAMES.items() for name in names.split()}
