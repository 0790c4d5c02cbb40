"""Laws of the edge: whatever is sent, the answer is a fact or a clear refusal, and one bad event spoils no other."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.click_tokens import ClickTokens
from ingest.dialects import native
from ingest.dialects.native import Reading, read_batch
from ingest.dialects.native_events import WIRE_TYPES
from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.errors import MalformedEvent
from tests.support.build import HandClock

TOKENS = ClickTokens(b"secret" * 6)
GOOD = b'{"event_id": "good", "type": "product_viewed", "anonymous_id": "a", "product_id": "p"}'
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
VALID: dict[str, dict[str, Any]] = {
    "product_viewed": {"product_id": "p", "list_id": "l", "context": {"device": "mobile", "weather": {}}},
    "list_viewed": {"category": ["Home", "Kitchen"], "product_ids": ["p", 2]},
    "searched": {"query": "mug", "results": 3, "product_ids": ["p"]},
    "product_added": {"product_id": "p", "quantity": 2, "price": "2.55", "currency": "GBP"},
    "product_removed": {"product_id": "p", "quantity": 1},
    "wishlist_added": {"product_id": "p"},
    "wishlist_removed": {"product_id": "p"},
    "checkout_started": {"order_id": "o", "lines": [{"product_id": "p"}]},
    "order_completed": {"order_id": "o", "currency": "GBP", "lines": [{"product_id": "p", "price": 2.5}]},
    "order_refunded": {"order_id": "o", "lines": [{"product_id": "p", "quantity": 1}]},
    "order_cancelled": {"order_id": 17},
    "product_reviewed": {"product_id": "p", "rating": 4.5, "text": "fine"},
    "customer_identified": {"customer_id": "c", "traits": {"email": "a@b.example", "age": 7}},
    "consent_changed": {"purposes": {"analytics": True}},
    "ranking_clicked": {"product_id": "p", "request_id": "r"},
    "email_sent": {"campaign": "spring"},
    "email_opened": {"campaign": "spring"},
    "email_clicked": {"campaign": "spring", "product_id": "p"},
    "custom": {"name": "quiz", "properties": {"score": 3, "done": True}},
}


def read(body: bytes) -> list[Reading]:
    return read_batch(body, clock=HandClock(), tokens=TOKENS, personal={})


def batch_of(*events: bytes) -> bytes:
    return b'{"events": [' + b", ".join(events) + b"]}"


def whole(kind: str) -> dict[str, Any]:
    sent = {"event_id": "e", "type": kind, "anonymous_id": "a", "occurred_at": "2026-11-22T10:00:00Z"}
    return sent | VALID[kind]


def test_the_examples_cover_every_type_that_can_be_sent() -> None:
    assert {kind.__struct_config__.tag for kind in WIRE_TYPES} == set(VALID)
    assert set(native._BUILDERS) == set(WIRE_TYPES)


@given(st.sampled_from(sorted(VALID)))
def test_every_valid_event_becomes_a_fact_that_can_be_stored(kind: str) -> None:
    (reading,) = read(batch_of(msgspec.json.encode(whole(kind))))
    assert reading.error is None
    assert reading.incoming is not None
    event = reading.incoming.event
    assert decode_event(encode_event(event)) == event


@given(st.binary(max_size=80))
@example(b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
@example(batch_of(GOOD) + b"x")
def test_any_body_is_read_or_refused_as_malformed(body: bytes) -> None:
    try:
        read(body)
    except MalformedEvent:
        return


@settings(max_examples=4 * settings().max_examples)
@given(st.data())
def test_a_changed_event_is_a_fact_or_a_refusal_and_never_spoils_its_neighbour(data: st.DataObject) -> None:
    sent = whole(data.draw(st.sampled_from(sorted(VALID))))
    field = data.draw(st.sampled_from(sorted([*sent, "customer_id", "context", "click_token", "request_id"])))
    sent[field] = data.draw(json_values)
    first, second = read(batch_of(msgspec.json.encode(sent), GOOD))
    assert second.incoming is not None
    assert (first.incoming is None) != (first.error is None)
    if first.incoming is not None:
        encode_event(first.incoming.event)
    else:
        assert first.error is not None
        assert (first.error.pointer or "").startswith("/events/0")


@given(st.data())
def test_a_damaged_byte_in_a_batch_is_a_fact_or_a_refusal(data: st.DataObject) -> None:
    body = bytearray(batch_of(msgspec.json.encode(whole(data.draw(st.sampled_from(sorted(VALID))))), GOOD))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(body))
    except MalformedEvent:
        return
