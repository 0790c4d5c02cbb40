"""The words everyone speaks, word by word."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from ingest.vocabulary import errors, ids
from ingest.vocabulary.clock import SystemClock, epoch_ms, from_epoch_ms
from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.context import Context
from ingest.vocabulary.errors import DangolError, MalformedEvent
from ingest.vocabulary.events import OrderCompleted, ProductDeleted, ProductViewed
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import ProductIndex
from tests.support.build import EVENT_TYPES, NOON, fact


def test_the_systems_clock_tells_aware_utc() -> None:
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_milliseconds_are_rounded_down() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 1_999, UTC)) == 1_001
    assert epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_500, UTC)) == -1
    assert epoch_ms(NOON) == 1_795_348_800_000
    assert from_epoch_ms(1_795_348_800_000) == NOON
    assert from_epoch_ms(1_500) == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert from_epoch_ms(0).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("kind", "status", "retryable", "code"),
    [
        (errors.DangolError, 500, False, "internal_error"),
        (errors.MalformedEvent, 400, False, "malformed"),
        (errors.OversizedInput, 413, False, "oversized"),
        (errors.NotFound, 404, False, "not_found"),
        (errors.AccessDenied, 401, False, "access_denied"),
        (errors.Forbidden, 403, False, "forbidden"),
        (errors.ConfigurationError, 500, False, "configuration"),
        (errors.FolderInUse, 500, False, "folder_in_use"),
        (errors.NewerVersion, 500, False, "newer_version"),
        (errors.Unavailable, 503, True, "unavailable"),
        (errors.StatesLost, 503, True, "states_lost"),
        (errors.PositionConflict, 503, True, "position_conflict"),
        (errors.Corrupt, 500, False, "corrupt"),
    ],
)
def test_the_policy_of_an_error_sits_on_its_class(
    kind: type[DangolError], status: int, retryable: bool, code: str
) -> None:
    error = kind("what went wrong")
    assert (error.http_status, error.retryable, error.code) == (status, retryable, code)
    assert (error.message, str(error), error.pointer) == ("what went wrong", "what went wrong", None)


def test_an_error_may_point_and_have_a_code_of_its_own() -> None:
    error = MalformedEvent("no", pointer="/a", code="special")
    assert (error.pointer, error.code) == ("/a", "special")
    assert MalformedEvent("no").code == "malformed", "the class is unchanged"


def test_the_tree_of_errors_is_the_one_its_module_draws() -> None:
    drawn = errors.__doc__ or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, DangolError):
            assert name in drawn


def test_types_of_events_are_named_as_they_are_sent() -> None:
    names = {kind.__struct_config__.tag for kind in EVENT_TYPES}
    assert {"product_viewed", "order_completed", "ranking_shown", "homepage_shown", "price_changed", "custom"} <= names
    assert len(names) == len(EVENT_TYPES) == 32
    assert {kind.__struct_config__.tag_field for kind in EVENT_TYPES} == {"type"}


def test_facts_are_keyed_by_who_or_what_they_are_about() -> None:
    assert fact(ProductViewed, subject="mary").key == "mary"
    assert fact(ProductDeleted, product_id="85123A").key == "product:85123A"


def test_history_counts_as_known_since_it_happened() -> None:
    late = NOON + timedelta(days=1)
    assert fact(OrderCompleted, received_at=late).known_at == late
    assert fact(OrderCompleted, received_at=late, imported=True).known_at == NOON


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [("85123A", "85123A"), (17850, "17850"), (-1, "-1"), ("x" * 100, "x" * 100), ("a b", "a b"), ("7", "7")],
)
def test_ids_are_kept_as_the_shop_spells_them(raw: object, parsed: str) -> None:
    assert ids.parse_id(raw, "f") == parsed
    assert ids.parse_product_id(raw) == ids.parse_customer_id(raw) == ids.parse_anonymous_id(raw) == parsed


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (True, "f must be a string, got bool"),
        (None, "f must be a string, got NoneType"),
        (1.5, "f must be a string, got float"),
        ("", "f must have 1 to 100 characters, got 0"),
        ("x" * 101, "f must have 1 to 100 characters, got 101"),
        (" a", "f has control characters or outer spaces: ' a'"),
        ("a ", "f has control characters or outer spaces: 'a '"),
        ("a\x00b", "f has control characters or outer spaces: 'a\\x00b'"),
    ],
)
def test_ids_that_cannot_be_are_refused_with_the_reason(raw: object, message: str) -> None:
    with pytest.raises(MalformedEvent) as refused:
        ids.parse_id(raw, "f")
    assert refused.value.message == message
    assert refused.value.pointer == "/f"


def test_refused_ids_point_at_the_field_they_came_in() -> None:
    for parse, pointer in (
        (ids.parse_product_id, "/product_id"),
        (ids.parse_customer_id, "/customer_id"),
        (ids.parse_anonymous_id, "/anonymous_id"),
    ):
        with pytest.raises(MalformedEvent) as refused:
            parse(None)
        assert refused.value.pointer == pointer
        with pytest.raises(MalformedEvent) as refused:
            parse(None, "other")
        assert refused.value.pointer == "/other"


def test_subjects_are_random_and_never_the_same() -> None:
    made = {ids.new_subject() for _ in range(1_000)}
    assert len(made) == 1_000
    assert {len(subject) for subject in made} == {22}


def test_content_ids_are_pinned_for_ever() -> None:
    assert ids.content_id("a", "b") == "065ab5741cdfad44687cf119c1eb4ec9"
    assert ids.content_id("a", "b") != ids.content_id("ab")
    assert ids.order_event_id("o-9") == ids.content_id("order", "o-9")  # type: ignore[arg-type]


def test_a_ulid_is_that_of_the_specification() -> None:
    assert ulid_time(1_469_918_176_385) == "01ARYZ6S41"
    assert ids.ulid(0, bytes(16)) == "0" * 26
    assert ids.ulid(2**48 - 1, b"\x1f" * 16) == "7" + "Z" * 25
    assert ids.ulid(2, bytes(range(16, 32))) == ids.ulid(2, bytes(range(240, 256))), "five bits of each byte count"


def ulid_time(time_ms: int) -> str:
    return ids.ulid(time_ms, bytes(16))[:10]


def test_request_ids_are_random_within_a_millisecond() -> None:
    made = {ids.new_request_id(5) for _ in range(100)}
    assert len(made) == 100
    assert {request_id[:10] for request_id in made} == {ulid_time(5)}
    assert any(request_id[10] > "F" for request_id in made), "all 80 bits are random"


@pytest.mark.parametrize(
    ("fields", "sellable"),
    [
        ({}, True),
        ({"stock": 1}, True),
        ({"stock": 0}, False),
        ({"stock": -2}, False),
        ({"availability": "out_of_stock"}, False),
        ({"availability": "out_of_stock", "stock": 9}, False),
        ({"availability": "preorder", "stock": 0}, True),
        ({"availability": "backorder", "stock": 0}, True),
    ],
)
def test_a_product_can_be_ordered_unless_it_is_sold_out(fields: dict[str, object], sellable: bool) -> None:
    assert Product(product_id="p", **fields).sellable is sellable  # type: ignore[arg-type]


def test_the_price_of_now_is_the_reduced_one() -> None:
    assert Product(product_id="p").current_price is None  # type: ignore[arg-type]
    assert Product(product_id="p", price=Decimal(3)).current_price == 3  # type: ignore[arg-type]
    assert Product(product_id="p", price=Decimal(3), sale_price=Decimal(0)).current_price == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "hour", "offset_min"),
    [
        ("2011-08-30T19:05:00+01:00", 19, 60),
        ("2011-08-30T19:05:00-09:30", 19, -570),
        ("2011-08-30T19:05:00Z", 19, None),
        ("2011-08-30T19:05:00", 19, None),
    ],
)
def test_a_local_time_keeps_its_hour_in_the_log(told: str, hour: int, offset_min: int | None) -> None:
    context = msgspec.json.decode(msgspec.json.encode({"local_time": told}), type=Context)
    seen = fact(ProductViewed, product_id="mug", context=context)
    (read,) = (decode_event(encode_event(seen)).context,)
    assert read == context
    assert read.local_time is not None
    assert (read.local_time.hour, read.utc_offset_min) == (hour, offset_min)
    assert read.local_time == datetime.fromisoformat(told)
    assert read.local_time.utcoffset() == datetime.fromisoformat(told).utcoffset()


@pytest.mark.parametrize(
    "told", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2011-02-30T00:00:00Z", "7"]
)
def test_a_local_time_beyond_the_calendar_is_refused(told: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode({"local_time": told}), type=Context)


def test_a_row_number_never_changes_its_meaning() -> None:
    index = ProductIndex(["a", "b"])  # type: ignore[list-item]
    assert (index.find("a"), index.find("b"), index.find("c")) == (0, 1, None)  # type: ignore[arg-type]
    assert index.add("b") == 1  # type: ignore[arg-type]
    assert index.add("c") == 2  # type: ignore[arg-type]
    assert index.add("c") == 2  # type: ignore[arg-type]
    assert len(index) == 3
    assert [index.product_id(row) for row in range(3)] == ["a", "b", "c"]
    assert len(ProductIndex()) == 0


def test_threads_that_add_the_same_products_get_the_same_rows() -> None:
    index = ProductIndex()

    def add(_: int) -> list[int]:
        return [index.add(f"p-{number}") for number in range(500)]  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(add, range(8)))
    assert all(each == rows[0] for each in rows)
    assert sorted(rows[0]) == list(range(500))
