"""Segment's calls as facts, live and from an archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.collector import Incoming
from ingest.dialects.reading import ImportOptions
from ingest.dialects.segment import parse_segment
from ingest.importer import replay_letter
from ingest.vocabulary.context import Context, TrafficSource
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.events import (
    CheckoutStarted,
    Custom,
    CustomerIdentified,
    EmailClicked,
    EmailOpened,
    EmailSent,
    Line,
    ListViewed,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductReviewed,
    ProductUpserted,
    ProductViewed,
    RankingClicked,
    Searched,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.ids import order_event_id
from tests.support.import_shop import NOW, ImportShop, import_shop

AT = "2026-01-05T10:00:00.000Z"
PRODUCT = {"product_id": "P10", "name": "Linen shirt", "category": "Men > Shirts", "price": 39.9, "currency": "EUR"}
ORDER = {"order_id": "o-1", "currency": "EUR", "products": [{**PRODUCT, "quantity": 2}, {"sku": "P11", "price": "5"}]}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ImportShop]:
    with import_shop(tmp_path) as opened:
        yield opened


def read(call: dict[str, Any], **how: Any) -> Incoming:
    """The one fact in a call."""
    raw = json.dumps({"type": "track", "userId": "c-1", "timestamp": AT, **call}).encode()
    (found,) = parse_segment(raw, **{"received_at": NOW, **how})
    return found


def track(event: str, properties: dict[str, Any] | None = None) -> Any:
    """The event of a track call."""
    return read({"event": event, "properties": properties or PRODUCT}).event


@pytest.mark.parametrize(
    ("name", "kind", "properties"),
    [
        ("Product Viewed", ProductViewed, PRODUCT),
        ("Viewed Product", ProductViewed, PRODUCT),
        ("product_viewed", ProductViewed, {"sku": "P10"}),
        ("Product Clicked", ProductViewed, PRODUCT),
        ("Product List Viewed", ListViewed, {"list_id": "l", "category": "Men", "products": [PRODUCT]}),
        ("Viewed Product Category", ListViewed, {"category": "Men"}),
        ("Products Searched", Searched, {"query": "shirt"}),
        ("Product Added", ProductAdded, PRODUCT),
        ("Added Product", ProductAdded, PRODUCT),
        ("Product Removed", ProductRemoved, PRODUCT),
        ("Product Added to Wishlist", WishlistAdded, PRODUCT),
        ("Product Removed from Wishlist", WishlistRemoved, PRODUCT),
        ("Checkout Started", CheckoutStarted, ORDER),
        ("Started Order", CheckoutStarted, ORDER),
        ("Order Completed", OrderCompleted, ORDER),
        ("Completed Order", OrderCompleted, ORDER),
        ("Order Refunded", OrderRefunded, {"order_id": "o-1"}),
        ("Order Cancelled", OrderCancelled, {"order_id": 1}),
        ("Product Reviewed", ProductReviewed, {"product_id": "P10", "rating": "5"}),
        ("Email Delivered", EmailSent, {"campaign_name": "spring"}),
        ("Email Opened", EmailOpened, {"campaign_name": "spring"}),
        ("Email Link Clicked", EmailClicked, {"campaign_id": 7}),
        ("Quiz Finished", Custom, {"score": 3}),
    ],
)
def test_every_event_of_the_spec_has_its_fact(name: str, kind: type, properties: dict[str, Any]) -> None:
    assert type(track(name, properties)) is kind


def test_an_order_has_its_lines_and_the_event_id_of_its_order() -> None:
    order = track("Order Completed", ORDER)
    assert order.lines == (Line("P10", 2, Decimal("39.9")), Line("P11", 1, Decimal(5)))
    assert (order.event_id, order.currency) == (order_event_id("o-1"), "EUR")


def test_a_click_in_one_of_our_rows_names_the_row() -> None:
    clicked = track(
        "Product Clicked", {**PRODUCT, "recommendation_id": "r-1", "list_id": "home.for-you", "position": 2}
    )
    assert isinstance(clicked, RankingClicked)
    assert (clicked.request_id, clicked.placement, clicked.position) == ("r-1", "home.for-you", 2)


def test_what_identifies_a_person_is_personal_and_nothing_else_of_the_event_has_it() -> None:
    found = read(
        {
            "event": "Quiz Finished",
            "properties": {"email": "ann@example.com", "score": 3, "won": True},
            "context": {"ip": "203.0.113.9", "userAgent": "Mozilla", "traits": {"email": "ann@example.com"}},
        }
    )
    assert found.event.properties == {"score": 3.0, "won": True}
    assert found.personal == {
        "ip": "203.0.113.9",
        "user_agent": "Mozilla",
        "traits": {"email": "ann@example.com"},
        "properties": {"email": "ann@example.com"},
    }
    assert read({"event": "Products Searched", "properties": {"query": "pills"}}).personal == {"query": "pills"}
    assert read({"event": "Product Reviewed", "properties": {"sku": "a", "review_body": "!"}}).personal == {
        "review_body": "!"
    }


def test_the_situation_is_taken_from_the_context() -> None:
    found = read(
        {
            "event": "Product Viewed",
            "properties": PRODUCT,
            "context": {"campaign": {"source": "news", "medium": "email", "name": "spring"}, "device": {"type": "ios"}},
        }
    )
    assert found.event.context == Context(device="mobile", traffic_source=TrafficSource("news", "email", "spring"))


def test_identify_and_alias_link_a_visitor_to_a_customer() -> None:
    identify = read({"type": "identify", "anonymousId": "a-1", "traits": {"email": "e"}})
    assert isinstance(identify.event, CustomerIdentified)
    assert (identify.customer_id, identify.anonymous_id, identify.personal) == (
        "c-1",
        "a-1",
        {"traits": {"email": "e"}},
    )
    alias = read({"type": "alias", "previousId": "a-2"})
    assert (type(alias.event), alias.anonymous_id) == (CustomerIdentified, "a-2")


def test_page_calls_are_kept_and_group_calls_are_not() -> None:
    assert read({"type": "page", "name": "Home", "properties": {"path": "/"}}).event.name == "page"
    assert parse_segment(b'{"type":"group","groupId":"g","userId":"c"}', received_at=NOW) == ()


def test_clock_skew_is_corrected_by_when_it_was_sent() -> None:
    fast = {"event": "Quiz", "timestamp": "2026-11-22T11:00:00Z", "sentAt": "2026-11-22T11:00:05Z"}
    assert read(fast).event.occurred_at == NOW - timedelta(seconds=5)
    assert read({"event": "Quiz", "timestamp": "2027-01-01T00:00:00Z"}).event.occurred_at == NOW
    assert read({"event": "Quiz", "timestamp": None}).event.occurred_at == NOW
    sent = datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert read({"event": "Quiz"}, sent_at=sent).event.occurred_at == NOW - timedelta(hours=1)


def test_an_archive_is_corrected_by_its_own_times() -> None:
    archived = {"event": "Quiz", "sentAt": "2026-01-05T10:00:02Z", "receivedAt": "2026-01-05T09:00:00Z"}
    assert read(archived, imported=True).event.occurred_at == datetime(2026, 1, 5, 8, 59, 58, tzinfo=UTC)
    done = {**archived, "timestamp": "2026-01-05T07:00:00Z", "originalTimestamp": AT}
    assert read(done, imported=True).event.occurred_at == datetime(2026, 1, 5, 7, tzinfo=UTC)
    assert read({"event": "Quiz"}, imported=True).event.known_at == datetime(2026, 1, 5, 10, tzinfo=UTC)


def test_the_message_id_is_the_event_id_else_the_content_is() -> None:
    assert read({"event": "Quiz", "messageId": "m-1"}).event.event_id == "m-1"
    assert read({"event": "Quiz"}).event.event_id == read({"event": "Quiz"}).event.event_id
    assert read({"event": "Quiz"}).event.event_id != read({"event": "Quiz", "userId": "c-2"}).event.event_id


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"not json", "not_segment"),
        (b"[]", "not_segment"),
        (b"{}", "not_segment"),
        (b'{"type":"track","userId":"c"}', "not_segment"),
        (b'{"type":"dance","userId":"c"}', "not_segment"),
        (b'{"type":"track","event":"Product Viewed","userId":"c"}', "product"),
        (b'{"type":"track","event":"Order Completed","userId":"c","properties":{"products":[{"sku":"a"}]}}', "order"),
        (b'{"type":"track","event":"Order Completed","userId":"c","properties":{"order_id":"1"}}', "product"),
        (b'{"type":"track","event":"Product Added","properties":{"sku":"a","price":"much"}}', "price"),
        (b'{"type":"track","event":"Product Added","properties":{"sku":"a","price":NaN}}', "not_segment"),
        (b'{"type":"track","event":"Product Added","properties":{"sku":"a","quantity":-1}}', "quantity"),
        (b'{"type":"track","event":"Product List Viewed","properties":{"products":"x"}}', "product"),
        (b'{"type":"track","event":"Quiz","timestamp":"yesterday"}', "timestamp"),
        (b'{"type":"track","event":"Product Reviewed","properties":{"sku":"a","rating":"9"}}', "rating"),
        (b'{"type":"track","event":"\xff"}', "not_segment"),
        (b'{"type":"track","event":"' + b"x" * 40_000 + b'"}', "oversized"),
        (b"[" * 20_000, "not_segment"),
    ],
)
def test_a_bad_call_is_malformed_with_a_reason(raw: bytes, code: str) -> None:
    with pytest.raises(MalformedEvent) as caught:
        parse_segment(raw, received_at=NOW)
    assert caught.value.code == code


def test_an_archive_is_imported_once_with_what_it_tells_about_products(shop: ImportShop) -> None:
    lines = [
        {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "timestamp": AT, "properties": PRODUCT},
        {"type": "identify", "anonymousId": "a-1", "userId": "c-1", "timestamp": AT},
        {"type": "track", "event": "Order Completed", "userId": "c-1", "timestamp": AT, "properties": ORDER},
        {"type": "track", "event": "Order Completed", "timestamp": AT, "properties": {**ORDER, "order_id": "o-2"}},
        {"type": "group", "groupId": "g", "userId": "c-1", "timestamp": AT},
    ]
    content = "\n".join(json.dumps(line) for line in lines) + "\n\nbroken\n"
    report = shop.run(content, dialect="segment", options=ImportOptions(), name="calls.jsonl")
    assert report.accepted == {
        "product_viewed": 1,
        "customer_identified": 1,
        "order_completed": 2,
        "product_upserted": 1,
    }
    assert (report.rows, report.left_out, report.noticed["orders of guests"]) == (6, {"group calls": 1}, 1)
    assert report.refused["not_segment"].row == 7
    (fact,) = shop.all_of(ProductUpserted)
    assert (fact.product.title, fact.product.category, fact.product.price) == (
        "Linen shirt",
        ("Men", "Shirts"),
        Decimal("39.9"),
    )
    with pytest.raises(MalformedEvent):
        replay_letter(shop.dead_letters()[0], received_at=NOW)
    again = shop.run(content + "\n", dialect="segment", options=ImportOptions(), name="calls.jsonl")
    assert again.accepted == {}


def test_segment_takes_no_mapping(shop: ImportShop) -> None:
    with pytest.raises(ConfigurationError, match="takes no --map"):
        shop.run("{}\n", dialect="segment", options=ImportOptions(columns={"a": "b"}))
