"""Dangol's own events as they are sent: what they become, and where a refusal points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ingest.click_tokens import Click, ClickTokens
from ingest.collector import Incoming
from ingest.dialects import native
from ingest.dialects.native import Reading, read_batch
from ingest.vocabulary import events as facts
from ingest.vocabulary.context import Context, Place, TrafficSource
from ingest.vocabulary.errors import MalformedEvent, OversizedInput
from ingest.vocabulary.ids import order_event_id
from tests.support.build import NOON, HandClock

TOKENS = ClickTokens(b"secret" * 6)

CONTRACT_EXAMPLE = """{"events": [
  {"event_id": "e-1", "type": "product_viewed", "anonymous_id": "a-7", "occurred_at": "2026-11-22T10:00:00Z",
   "product_id": "85123A", "context": {"device": "mobile"}, "request_id": "01J…", "click_token": "…"},
  {"event_id": "e-2", "type": "order_completed", "customer_id": "17850", "anonymous_id": "a-7", "order_id": "o-9",
   "currency": "GBP", "lines": [{"product_id": "85123A", "quantity": 6, "price": "2.55"}]},
  {"event_id": "e-3", "type": "customer_identified", "customer_id": "17850", "anonymous_id": "a-7",
   "traits": {"email": "mary@example.org"}}]}""".encode()


def read(*sent: dict[str, Any], personal: dict[str, Any] | None = None) -> list[Reading]:
    body = msgspec.json.encode({"events": sent})
    return read_batch(body, clock=HandClock(), tokens=TOKENS, personal=personal or {})


def taken(**sent: Any) -> Incoming:
    (reading,) = read(sent)
    assert reading.error is None
    assert reading.incoming is not None
    return reading.incoming


def refused(**sent: Any) -> MalformedEvent:
    (reading,) = read(sent)
    assert reading.incoming is None
    assert reading.error is not None
    return reading.error


def test_the_example_of_the_contract_becomes_three_facts() -> None:
    readings = read_batch(CONTRACT_EXAMPLE, clock=HandClock(), tokens=TOKENS, personal={"ip": "192.0.2.1"})
    assert [reading.name for reading in readings] == ["e-1", "e-2", "e-3"]
    viewed, ordered, identified = (reading.incoming for reading in readings)
    assert viewed is not None
    assert ordered is not None
    assert identified is not None
    assert viewed == Incoming(
        facts.ProductViewed(
            event_id="e-1",
            occurred_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
            received_at=NOON,
            source="api",
            subject="",
            context=Context(device="mobile"),
            product_id="85123A",
            request_id="01J…",
        ),
        None,
        "a-7",
        {"ip": "192.0.2.1"},
    )
    assert ordered.event == facts.OrderCompleted(
        event_id=order_event_id("o-9"),
        occurred_at=NOON,
        received_at=NOON,
        subject="",
        order_id="o-9",
        currency="GBP",
        lines=(facts.Line("85123A", 6, Decimal("2.55")),),
    )
    assert (ordered.customer_id, ordered.anonymous_id) == ("17850", "a-7")
    assert identified.personal == {"ip": "192.0.2.1", "traits": {"email": "mary@example.org"}}
    assert isinstance(identified.event, facts.CustomerIdentified)


ENVELOPE = {"event_id": "e", "occurred_at": NOON, "received_at": NOON, "source": "api", "subject": ""}


@pytest.mark.parametrize(
    ("sent", "event", "personal"),
    [
        (
            {"type": "product_viewed", "product_id": 7, "list_id": "l", "request_id": "r"},
            facts.ProductViewed(**ENVELOPE, product_id="7", list_id="l", request_id="r"),
            None,
        ),
        (
            {"type": "list_viewed", "list_id": "l", "category": ["Home", "Mugs"], "product_ids": ["p", 2]},
            facts.ListViewed(**ENVELOPE, list_id="l", category=("Home", "Mugs"), product_ids=("p", "2")),
            None,
        ),
        (
            {"type": "searched", "query": "blue mug", "results": 3, "product_ids": ["p"]},
            facts.Searched(**ENVELOPE, results=3, product_ids=("p",)),
            {"query": "blue mug"},
        ),
        (
            {
                "type": "product_added",
                "product_id": "p",
                "quantity": 2,
                "price": "1.5",
                "currency": "gbp",
                "request_id": "r",
            },
            facts.ProductAdded(
                **ENVELOPE, product_id="p", quantity=2, price=Decimal("1.5"), currency="GBP", request_id="r"
            ),
            None,
        ),
        ({"type": "product_added", "product_id": "p"}, facts.ProductAdded(**ENVELOPE, product_id="p"), None),
        (
            {"type": "product_removed", "product_id": "p", "quantity": 4},
            facts.ProductRemoved(**ENVELOPE, product_id="p", quantity=4),
            None,
        ),
        ({"type": "wishlist_added", "product_id": "p"}, facts.WishlistAdded(**ENVELOPE, product_id="p"), None),
        ({"type": "wishlist_removed", "product_id": "p"}, facts.WishlistRemoved(**ENVELOPE, product_id="p"), None),
        (
            {"type": "checkout_started", "order_id": "o", "lines": [{"product_id": "p"}]},
            facts.CheckoutStarted(**ENVELOPE, order_id="o", lines=(facts.Line("p"),)),
            None,
        ),
        ({"type": "checkout_started"}, facts.CheckoutStarted(**ENVELOPE), None),
        (
            {"type": "order_refunded", "order_id": 9, "currency": "EUR", "lines": [{"product_id": "p", "quantity": 2}]},
            facts.OrderRefunded(**ENVELOPE, order_id="9", currency="EUR", lines=(facts.Line("p", 2),)),
            None,
        ),
        ({"type": "order_cancelled", "order_id": "o"}, facts.OrderCancelled(**ENVELOPE, order_id="o"), None),
        (
            {"type": "product_reviewed", "product_id": "p", "rating": 4.5, "text": "lovely"},
            facts.ProductReviewed(**ENVELOPE, product_id="p", rating=4.5),
            {"review": "lovely"},
        ),
        (
            {"type": "product_reviewed", "product_id": "p"},
            facts.ProductReviewed(**ENVELOPE, product_id="p"),
            None,
        ),
        (
            {"type": "consent_changed", "purposes": {"ads": False}},
            facts.ConsentChanged(**ENVELOPE, purposes={"ads": False}),
            None,
        ),
        (
            {"type": "ranking_clicked", "request_id": "r", "product_id": "p"},
            facts.RankingClicked(**ENVELOPE, request_id="r", product_id="p"),
            None,
        ),
        ({"type": "email_sent", "campaign": "c"}, facts.EmailSent(**ENVELOPE, campaign="c"), None),
        ({"type": "email_opened", "campaign": "c"}, facts.EmailOpened(**ENVELOPE, campaign="c"), None),
        (
            {"type": "email_clicked", "campaign": "c", "product_id": "p"},
            facts.EmailClicked(**ENVELOPE, campaign="c", product_id="p"),
            None,
        ),
        (
            {"type": "custom", "name": "quiz", "properties": {"score": 3.5, "done": True, "note": None}},
            facts.Custom(**ENVELOPE, name="quiz", properties={"score": 3.5, "done": True, "note": None}),
            None,
        ),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else "",
)
def test_each_type_becomes_the_fact_of_its_name(
    sent: dict[str, Any], event: facts.Event, personal: dict[str, Any] | None
) -> None:
    assert taken(event_id="e", anonymous_id="a", **sent) == Incoming(event, None, "a", personal)


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"type": "customer_identified", "anonymous_id": "a"}, "/customer_id"),
        ({"type": "customer_identified", "customer_id": " 1"}, "/customer_id"),
        ({"type": "product_viewed", "customer_id": True, "product_id": "p"}, "/customer_id"),
        ({"type": "product_viewed", "anonymous_id": "a\n", "product_id": "p"}, "/anonymous_id"),
        ({"type": "product_viewed", "anonymous_id": "a", "product_id": ""}, "/product_id"),
        ({"type": "product_viewed", "anonymous_id": "a", "product_id": "p" * 101}, "/product_id"),
        ({"type": "product_viewed", "anonymous_id": "a"}, "/product_id"),
        ({"type": "list_viewed", "product_ids": ["p", " "]}, "/product_ids"),
        ({"type": "list_viewed", "category": ["x"] * 11}, "/category"),
        ({"type": "list_viewed", "category": ["x", 3]}, "/category/1"),
        ({"type": "product_added", "product_id": "p", "price": "-1"}, "/price"),
        ({"type": "product_added", "product_id": "p", "price": "NaN"}, "/price"),
        ({"type": "product_added", "product_id": "p", "price": "1000000000000"}, "/price"),
        ({"type": "product_added", "product_id": "p", "currency": "pound"}, "/currency"),
        ({"type": "product_added", "product_id": "p", "currency": "£££"}, "/currency"),
        ({"type": "product_added", "product_id": "p", "quantity": 0}, "/quantity"),
        ({"type": "order_completed", "order_id": "o", "lines": []}, "/lines"),
        ({"type": "order_completed", "lines": [{"product_id": "p"}]}, "/order_id"),
        ({"type": "order_completed", "order_id": "\t", "lines": [{"product_id": "p"}]}, "/order_id"),
        ({"type": "order_completed", "order_id": "o", "lines": [{"product_id": "p"}, {}]}, "/lines/1/product_id"),
        (
            {"type": "order_completed", "order_id": "o", "lines": [{"product_id": "p"}, {"product_id": " x"}]},
            "/lines/1/product_id",
        ),
        (
            {"type": "order_completed", "order_id": "o", "lines": [{"product_id": "p", "price": "-0.01"}]},
            "/lines/0/price",
        ),
        ({"type": "product_reviewed", "product_id": "p", "rating": 6}, "/rating"),
        ({"type": "product_viewed", "product_id": "p", "occurred_at": "yesterday"}, "/occurred_at"),
        ({"type": "product_viewed", "product_id": "p", "occurred_at": "2026-11-22T10:00:00"}, "/occurred_at"),
        ({"type": "product_viewed", "product_id": "p", "occurred_at": "0001-01-01T00:00:00+05:00"}, "/occurred_at"),
        ({"type": "product_viewed", "product_id": "p", "context": {"device": "toaster"}}, "/context/device"),
        ({"type": "product_bought"}, "/type"),
        ({}, "/type"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_points_at_the_field_of_its_event(sent: dict[str, Any], pointer: str) -> None:
    good = {"event_id": "good", "type": "wishlist_added", "anonymous_id": "a", "product_id": "p"}
    first, second, third = read(good, good, {"event_id": "e-3", **sent})
    assert first.error is None
    assert second.error is None
    assert third.name == "e-3"
    assert third.error is not None
    assert third.error.pointer == "/events/2" + pointer


def test_a_type_nobody_knows_has_a_code_of_its_own() -> None:
    assert refused(type="product_bought").code == "unknown_type"
    assert refused(type="product_viewed").code == "malformed"


def test_the_edges_of_money_and_quantity_are_accepted() -> None:
    assert taken(type="product_added", product_id="p", price="0", quantity=1_000_000).event.price == 0  # type: ignore[attr-defined]
    assert taken(type="product_added", product_id="p", price="999999999999.99").event.price < 10**12  # type: ignore[attr-defined]
    assert native.check_money(None) is None
    assert native.check_currency(None) is None
    with pytest.raises(MalformedEvent, match="sale_price must be"):
        native.check_money(Decimal(-1), "sale_price")


def test_a_time_with_an_offset_is_kept_in_utc() -> None:
    event = taken(type="product_viewed", product_id="p", occurred_at="2026-11-22T12:30:00+01:00").event
    assert event.occurred_at == datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
    assert event.occurred_at.utcoffset() == timedelta(0)


def test_an_event_without_an_id_gets_one_that_sorts_by_time() -> None:
    first, second = (taken(type="wishlist_added", product_id="p").event.event_id for _ in range(2))
    assert first != second
    assert len(first) == 26
    assert first[:10] == second[:10]


def test_an_order_has_the_same_id_whoever_reports_it() -> None:
    order = {"type": "order_completed", "order_id": "o-9", "lines": [{"product_id": "p"}]}
    assert taken(event_id="pixel", **order).event.event_id == taken(event_id="webhook", **order).event.event_id


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": []}', b'{"events": {}}', b"\xff", b'{"events": [1,'])
def test_a_body_that_is_no_batch_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(MalformedEvent) as error:
        read_batch(body, clock=HandClock(), tokens=TOKENS, personal={})
    assert error.value.code == "malformed_batch"


def test_a_batch_of_too_many_events_is_refused_as_a_whole() -> None:
    body = b'{"events": [' + b",".join([b"1"] * (native.EVENTS_MAX + 1)) + b"]}"
    with pytest.raises(OversizedInput) as error:
        read_batch(body, clock=HandClock(), tokens=TOKENS, personal={})
    assert error.value.pointer == "/events"
    assert len(read(*[{"type": "nothing"}] * native.EVENTS_MAX)) == native.EVENTS_MAX


def test_an_event_that_is_too_large_is_refused_alone() -> None:
    properties = {f"{number}": "x" * 2_000 for number in range(90)}
    first, second = read({"type": "custom", "name": "n", "properties": properties}, {"type": "email_opened"})
    assert isinstance(first.error, OversizedInput)
    assert first.error.pointer == "/events/0"
    assert second.error is None


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\uDE00", rb"\\\ud83d", rb"\ud83d\ud83d", rb"\ud83dx"])
def test_half_an_emoji_in_a_search_spoils_nothing(half: bytes) -> None:
    body = b'{"events": [{"type": "searched", "query": "' + half + b'"}, {"type": "email_opened"}]}'
    first, second = read_batch(body, clock=HandClock(), tokens=TOKENS, personal={})
    assert second.error is None
    assert first.incoming is not None
    assert "\ufffd" in first.incoming.personal["query"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("escaped", "query"),
    [(rb"\ud83d\ude00", "😀"), (rb"\\ud83d", r"\ud83d"), (rb"\u00e9", "é"), (rb"\"\ud7ff", '"\ud7ff')],
)
def test_whole_escaped_characters_are_left_alone(escaped: bytes, query: str) -> None:
    body = b'{"events": [{"type": "searched", "query": "' + escaped + b'"}]}'
    (reading,) = read_batch(body, clock=HandClock(), tokens=TOKENS, personal={})
    assert reading.incoming is not None
    assert reading.incoming.personal == {"query": query}


def test_a_deeply_nested_event_is_refused() -> None:
    deep = b'{"type": "customer_identified", "customer_id": "c", "traits": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"
    with pytest.raises(MalformedEvent):
        read_batch(b'{"events": [' + deep + b"]}", clock=HandClock(), tokens=TOKENS, personal={})


def test_a_signed_click_says_where_the_product_was_shown() -> None:
    token = TOKENS.sign(Click("r", "home.popular", 3, "p"))
    event = taken(type="ranking_clicked", request_id="r", product_id="p", click_token=token).event
    assert isinstance(event, facts.RankingClicked)
    assert (event.placement, event.position) == ("home.popular", 3)


@pytest.mark.parametrize("click", [Click("r", "home.popular", 3, "other"), Click("other", "home.popular", 3, "p")])
def test_a_click_token_of_another_product_or_answer_is_refused(click: Click) -> None:
    error = refused(type="ranking_clicked", request_id="r", product_id="p", click_token=TOKENS.sign(click))
    assert (error.code, error.pointer) == ("bad_click_token", "/events/0/click_token")


def test_a_click_token_that_is_too_long_is_refused_unread() -> None:
    error = refused(type="ranking_clicked", request_id="r", product_id="p", click_token="x" * 501)
    assert error.message == "click_token is too long"


def test_texts_of_the_context_are_cut_to_a_sensible_length() -> None:
    long = "x" * 101
    context = {
        "traffic_source": {"source": long, "medium": long, "campaign": "spring"},
        "place": {"country": "GB", "city": long},
    }
    event = taken(type="email_opened", context=context).event
    assert isinstance(event, facts.CustomerEvent)
    assert event.context == Context(
        traffic_source=TrafficSource(long[:100], long[:100], "spring"), place=Place("GB", long[:100])
    )


def test_an_unreadable_event_keeps_a_bounded_name_if_it_has_one() -> None:
    named, unnamed, nameless = read({"event_id": "x" * 200}, {"event_id": 5}, {})
    assert named.name == "x" * 100
    assert unnamed.name is None
    assert nameless.name is None
