"""The profile: its codec, its bounds' values, its views."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ingest.vocabulary.errors import Corrupt, NewerVersion
from ingest.vocabulary.events import ConsentChanged, OrderCancelled, ProductViewed
from personalization.customer import profile as bounds
from personalization.customer.entries import append, newest_first, put, without
from personalization.customer.profile import (
    EMPTY,
    Profile,
    Purchase,
    Recent,
    RecentOrder,
    Wish,
    decode_profile,
    encode_profile,
)
from tests.support.history import fact, known, line, ms, order


def test_an_empty_profile_is_one_version_byte_and_a_short_array() -> None:
    stored = encode_profile(EMPTY)
    assert stored[0] == 1
    nothing = [{}, {}, {}, 0, {}, {}, {}, None, None, 0, 0, {}, [], None, [None, None, None], [0, 0]]
    assert msgspec.msgpack.decode(stored[1:]) == nothing
    assert len(stored) == 25


def test_a_profile_reads_back_as_it_was_written() -> None:
    profile = known(fact(ProductViewed, product_id="a"), order("o", line("b", 2, "2.55")))
    assert decode_profile(encode_profile(profile)) == profile


@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        (b"", Corrupt, "an empty record is not a profile"),
        (b"\x02\x90", NewerVersion, "a profile has version 2; this Dangol reads up to 1: upgrade it"),
        (b"\x01\xc1", Corrupt, "a profile of version 1 cannot be read: MessagePack data is malformed"),
        (b"\x01\x01", Corrupt, "a profile of version 1 cannot be read: Expected `array`, got `int`"),
        (b"\x01\x91\x81\xa1\xff\x92\x01\x01", Corrupt, "a profile of version 1 cannot be read: "),
    ],
)
def test_bytes_that_are_no_profile_are_refused(stored: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        decode_profile(stored)
    assert str(caught.value).startswith(message)


def test_every_limit_is_what_is_published() -> None:
    limits = {name: value for name, value in vars(bounds).items() if name.endswith("_max")}
    assert limits == {
        "recents_max": 50,
        "cart_max": 100,
        "wishlist_max": 200,
        "purchased_max": 300,
        "recent_orders_max": 20,
        "order_lines_max": 100,
        "recent_order_lines_max": 300,
        "currencies_max": 10,
        "consent_purposes_max": 20,
        "purpose_length_max": 50,
        "linked_max": 20,
        "quantity_max": 1_000_000,
        "weight_max": 1_000,
        "revenue_e4_max": 2**63 - 1,
    }


def test_an_everyday_shopper_takes_less_than_two_kilobytes() -> None:
    views = [fact(ProductViewed, at, product_id=f"PRD-{at % 25:05d}") for at in range(40)]
    orders = [order(f"ord-{n:07d}", *(line(f"PRD-{n}{m}") for m in range(3)), at=50 + n) for n in range(3)]
    assert len(encode_profile(known(views, orders))) < 2_000


def test_recent_products_come_newest_first() -> None:
    assert known(*(fact(ProductViewed, at, product_id=f"p{at}") for at in range(3))).recent_products == (
        "p2",
        "p1",
        "p0",
    )


def test_revenue_is_exact_to_the_last_digit() -> None:
    assert Profile(revenue_e4={"EUR": 1, "GBP": 25_500}).revenue == {"EUR": Decimal("0.0001"), "GBP": Decimal("2.55")}


def test_the_last_order_is_the_newest_that_counts() -> None:
    profile = known(order("a", line("x"), at=1), order("b", line("y"), at=2))
    assert profile.last_order == profile.recent_orders["b"]
    after = known(fact(OrderCancelled, 3, order_id="b"), profile=profile)
    assert after.last_order == after.recent_orders["a"]
    assert EMPTY.last_order is None
    assert Profile(recent_orders={"c": RecentOrder(5, "", 0, {}, False)}).last_order is None


def test_the_newest_moment_is_the_newest_of_all_it_knows() -> None:
    recents = {"a": Recent(1, 3), "b": Recent(1, 7)}
    purchased = {"a": Purchase(1, 2), "b": Purchase(1, 9)}
    assert EMPTY.newest_ms == 0
    assert Profile(recents=recents).newest_ms == 7
    assert Profile(recents=recents, purchased=purchased).newest_ms == 9
    assert Profile(recents=recents, purchased=purchased, last_seen_ms=8).newest_ms == 9
    assert Profile(recents=recents, purchased=purchased, last_seen_ms=10).newest_ms == 10
    assert Profile(last_seen_ms=10).newest_ms == 10


@pytest.mark.parametrize(("consent", "used"), [({}, True), ({"personalization": True}, True), ({"ads": False}, True)])
def test_only_a_refusal_forbids_to_personalize(consent: dict[str, bool], used: bool) -> None:
    assert Profile(consent=consent).personalized is used
    assert not known(fact(ConsentChanged, purposes={"personalization": False})).personalized


OLD = {"a": Wish(1), "c": Wish(3), "d": Wish(3)}


@pytest.mark.parametrize(
    ("changed", "at_ms", "after"),
    [
        ({"b": Wish(4)}, 4, ["a", "c", "d", "b"]),
        ({"b": Wish(3)}, 3, ["a", "b", "c", "d"]),
        ({"e": Wish(3)}, 3, ["a", "c", "d", "e"]),
        ({"b": Wish(2)}, 2, ["a", "b", "c", "d"]),
        ({"b": Wish(0)}, 0, ["b", "a", "c", "d"]),
        ({"a": Wish(5), "b": Wish(5)}, 5, ["c", "d", "a", "b"]),
        ({"a": Wish(4)}, 4, ["c", "d", "a"]),
        ({}, 9, ["a", "c", "d"]),
    ],
)
def test_entries_stand_in_the_order_of_time_and_key(changed: dict[str, Wish], at_ms: int, after: list[str]) -> None:
    assert list(append(OLD, changed, 9, at_ms)) == after
    assert list(put(OLD, changed, 9)) == after
    assert append(OLD, changed, 9, at_ms) == {**OLD, **changed}
    for limit in range(5):
        assert list(append(OLD, changed, limit, at_ms)) == after[max(len(after) - limit, 0) :]
        assert list(put(OLD, changed, limit)) == after[max(len(after) - limit, 0) :]
    assert {"a": Wish(1), "c": Wish(3), "d": Wish(3)} == OLD


def test_entries_into_nothing_are_in_order() -> None:
    assert list(append({}, {"a": Wish(1), "b": Wish(1)}, 9, 1)) == ["a", "b"]
    assert list(newest_first(OLD)) == ["d", "c", "a"]


def test_taking_out_what_is_not_there_changes_nothing() -> None:
    assert without(OLD, {"x": None}) is OLD
    assert list(without(OLD, {"a": None, "x": None}).items()) == [("c", Wish(3)), ("d", Wish(3))]


def test_moments_of_facts_are_epoch_milliseconds() -> None:
    assert known(fact(ProductViewed, 1.5, product_id="a")).last_seen_ms == ms(1.5) == 1_767_225_601_500
