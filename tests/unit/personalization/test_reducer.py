"""The reducer of profiles, on literal histories."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from ingest.vocabulary.context import Context, TrafficSource
from ingest.vocabulary.events import (
    CheckoutStarted,
    ConsentChanged,
    Custom,
    CustomerErased,
    CustomerIdentified,
    EmailClicked,
    EmailOpened,
    EmailSent,
    Event,
    HomepageShown,
    ListViewed,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductDeleted,
    ProductRemoved,
    ProductReviewed,
    ProductViewed,
    RankingClicked,
    RankingShown,
    Searched,
    WishlistAdded,
    WishlistRemoved,
)
from personalization.customer.engagement import Engagement
from personalization.customer.merge import merged
from personalization.customer.profile import CartLine, Profile, Recent, Wish, decode_profile, encode_profile
from personalization.customer.touches import NO_TOUCHES, Touch, Touches
from tests.support.history import CUSTOMER, OPENED, VISITOR, fact, folded, known, line, ms, order


def view(product_id: str, at: float = 0) -> ProductViewed:
    return fact(ProductViewed, at, product_id=product_id)


def test_a_view_is_remembered() -> None:
    assert folded(view("a", 1)) == Profile(
        recents={"a": Recent(10, ms(1))},
        first_seen_ms=ms(1),
        last_seen_ms=ms(1),
        views=1,
        sessions=1,
        engagement=Engagement(1_000, ms(1)),
    )


def test_a_repeated_view_moves_up_and_adds_weight() -> None:
    profile = known(view("a", 1), view("b", 2), view("a", 3))
    assert list(profile.recents.items()) == [("b", Recent(10, ms(2))), ("a", Recent(20, ms(3)))]
    assert profile.views == 3


def test_an_old_view_told_late_moves_nothing_back() -> None:
    profile = known(view("b", 5), view("a", 10), view("a", 1), view("c", 7))
    assert list(profile.recents.items()) == [
        ("b", Recent(10, ms(5))),
        ("c", Recent(10, ms(7))),
        ("a", Recent(20, ms(10))),
    ]
    assert (profile.first_seen_ms, profile.last_seen_ms, profile.sessions) == (ms(1), ms(10), 1)


def test_fifty_recents_are_kept_and_the_oldest_go() -> None:
    profile = known(view(f"p{at:02d}", at) for at in range(52))
    assert list(profile.recents) == [f"p{at:02d}" for at in range(2, 52)]


def test_weight_has_a_bound() -> None:
    assert known(view("a", at) for at in range(101)).recents["a"].weight == 1_000


@pytest.mark.parametrize(
    ("event", "weight"),
    [
        (fact(RankingClicked, request_id="r", product_id="a"), 3),
        (fact(EmailClicked, product_id="a"), 3),
        (fact(ProductReviewed, product_id="a"), 10),
        (fact(WishlistAdded, product_id="a"), 20),
        (fact(ProductAdded, product_id="a"), 30),
        (order("o", line("a")), 50),
    ],
)
def test_interest_weighs_by_what_was_done(event: Event, weight: int) -> None:
    profile = known(event)
    assert profile.recents == {"a": Recent(weight, ms(0))}
    assert (profile.first_seen_ms, profile.last_seen_ms, profile.sessions, profile.views) == (ms(0), ms(0), 1, 0)


@pytest.mark.parametrize(
    ("event", "points"),
    [
        (fact(ListViewed, 4), 500),
        (fact(Searched, 4), 1_000),
        (fact(EmailClicked, 4), 300),
        (fact(CheckoutStarted, 4), 3_000),
    ],
)
def test_a_visit_without_a_product_is_a_visit(event: Event, points: int) -> None:
    engagement = Engagement(points, ms(4))
    assert folded(event) == Profile(first_seen_ms=ms(4), last_seen_ms=ms(4), sessions=1, engagement=engagement)


@pytest.mark.parametrize(
    "event",
    [
        fact(RankingShown, 9, request_id="r", placement="home.popular", product_ids=("a",)),
        fact(HomepageShown, 9, request_id="r", variant="rainy-day"),
        fact(EmailSent, 9),
        fact(EmailOpened, 9),
        fact(Custom, 9, name="x"),
        fact(OrderRefunded, 9, order_id="unheard"),
        fact(ConsentChanged, 9, purposes={}),
        ProductDeleted(event_id="e", occurred_at=OPENED, received_at=OPENED, product_id="a"),
    ],
)
def test_what_the_shopper_did_not_do_changes_nothing(event: Event) -> None:
    profile = known(view("a"))
    assert folded(event, profile=profile) is profile
    assert folded(event) is None


@pytest.mark.parametrize(("gap_s", "sessions"), [(0, 1), (1_800, 1), (1_800.001, 2), (90_000, 2)])
def test_half_an_hour_of_silence_ends_a_visit(gap_s: float, sessions: int) -> None:
    assert known(view("a"), view("b", gap_s)).sessions == sessions
    assert known(view("a"), fact(Searched, gap_s)).sessions == sessions


def test_the_cart_is_what_was_put_in_less_what_was_taken_out() -> None:
    added = [
        fact(ProductAdded, 1, product_id="a", quantity=2),
        fact(ProductAdded, 2, product_id="b"),
        fact(ProductAdded, 3, product_id="a", quantity=3),
    ]
    profile = known(added)
    assert list(profile.cart.items()) == [("b", CartLine(1, ms(2))), ("a", CartLine(5, ms(3)))]
    for taken, left in ((1, CartLine(4, ms(3))), (4, CartLine(1, ms(3))), (5, None), (6, None), (None, None)):
        after = known(fact(ProductRemoved, 4, product_id="a", quantity=taken), profile=profile)
        assert after.cart.get("a") == left
        assert after.cart["b"] == CartLine(1, ms(2))
        assert after.last_seen_ms == ms(4)
    assert known(fact(ProductRemoved, 4, product_id="x"), profile=profile).cart is profile.cart


def test_an_old_addition_told_late_keeps_the_newer_time() -> None:
    profile = known(fact(ProductAdded, 5, product_id="a"), fact(ProductAdded, 1, product_id="a"))
    assert profile.cart == {"a": CartLine(2, ms(5))}


def test_a_cart_has_bounds() -> None:
    assert known(fact(ProductAdded, product_id="a", quantity=1_000_000)).cart["a"].quantity == 1_000_000
    assert known(fact(ProductAdded, 1, product_id="a", quantity=10**9)).cart == {"a": CartLine(1_000_000, ms(1))}
    profile = known(fact(ProductAdded, at, product_id=f"p{at:03d}") for at in range(101))
    assert list(profile.cart) == [f"p{at:03d}" for at in range(1, 101)]


def test_the_checkout_states_the_cart() -> None:
    profile = known(
        fact(ProductAdded, 1, product_id="old"),
        fact(CheckoutStarted, 2, lines=(line("b"), line("a", 2), line("b", 3), line("c", 10**9))),
    )
    assert list(profile.cart.items()) == [
        ("a", CartLine(2, ms(2))),
        ("b", CartLine(4, ms(2))),
        ("c", CartLine(1_000_000, ms(2))),
    ]
    assert list(profile.recents) == ["old"]
    assert known(fact(CheckoutStarted, 3), profile=profile).cart is profile.cart


def test_an_order_empties_the_cart_of_what_was_ordered() -> None:
    profile = known(
        fact(ProductAdded, 1, product_id="a"),
        fact(ProductAdded, 2, product_id="b"),
        order("o", line("a"), line("c"), at=3),
    )
    assert profile.cart == {"b": CartLine(1, ms(2))}
    assert list(profile.recents.items()) == [
        ("b", Recent(30, ms(2))),
        ("a", Recent(80, ms(3))),
        ("c", Recent(50, ms(3))),
    ]


def test_the_wish_list_keeps_its_latest_two_hundred() -> None:
    profile = known(fact(WishlistAdded, at, product_id=f"p{at:03d}") for at in range(201))
    assert list(profile.wishlist) == [f"p{at:03d}" for at in range(1, 201)]
    assert profile.wishlist["p200"] == Wish(ms(200))
    after = known(fact(WishlistRemoved, 300, product_id="p200"), profile=profile)
    assert list(after.wishlist) == [f"p{at:03d}" for at in range(1, 200)]
    assert after.last_seen_ms == ms(300)


def test_consent_changes_by_purpose_and_stays_in_order() -> None:
    profile = known(
        fact(ConsentChanged, purposes={"personalization": True, "ads": True}),
        fact(ConsentChanged, purposes={"personalization": False, "x" * 51: True, "x" * 50: True}),
    )
    assert list(profile.consent.items()) == [("ads", True), ("personalization", False), ("x" * 50, True)]
    assert profile.last_seen_ms is None


def test_refusals_are_the_last_consent_to_go() -> None:
    agreed = {f"a{n:02d}": True for n in range(20)}
    assert known(fact(ConsentChanged, purposes=agreed)).consent == agreed
    profile = known(fact(ConsentChanged, purposes=agreed), fact(ConsentChanged, purposes={"z": False}))
    assert profile.consent == {**{f"a{n:02d}": True for n in range(19)}, "z": False}


def test_an_erased_customer_leaves_nothing() -> None:
    assert folded(view("a"), fact(CustomerErased, 1)) is None
    assert folded(fact(CustomerErased, 1)) is None


def test_a_visitor_who_turns_out_to_be_known_leaves_a_pointer_on_which_late_facts_fold() -> None:
    identified = fact(CustomerIdentified, 2, known=CUSTOMER)
    assert folded(view("a", 1), identified) == Profile(merged_into=CUSTOMER)
    assert folded(identified) == Profile(merged_into=CUSTOMER)
    late = known(view("a", 1), identified, view("b", 3))
    assert late == Profile(
        recents={"b": Recent(10, ms(3))},
        first_seen_ms=ms(3),
        last_seen_ms=ms(3),
        views=1,
        sessions=1,
        merged_into=CUSTOMER,
        engagement=Engagement(1_000, ms(3)),
    )


def test_a_visitor_who_is_known_already_is_seen() -> None:
    assert folded(fact(CustomerIdentified, 2, known=VISITOR)) == Profile(
        first_seen_ms=ms(2), last_seen_ms=ms(2), sessions=1
    )


def test_a_cancellation_of_an_order_not_heard_of_is_no_visit() -> None:
    profile = known(fact(OrderCancelled, 9, order_id="o"))
    assert (profile.first_seen_ms, profile.last_seen_ms, profile.sessions, profile.orders) == (None, None, 0, 0)


def test_what_brought_a_visitor_is_kept_first_and_for_the_visit() -> None:
    news, ad = TrafficSource("news", "email", "spring"), TrafficSource("google", "cpc")
    came = [
        fact(ProductViewed, 0, product_id="a", context=Context(traffic_source=news)),
        fact(Searched, 60, context=Context(traffic_source=ad)),
        fact(OrderCompleted, 90, order_id="o", lines=(line("a"),)),
        fact(ProductViewed, 7_200, product_id="a", context=Context(traffic_source=ad)),
        fact(ProductAdded, 7_260, product_id="a", context=Context(device="mobile")),
    ]
    profile = known(came)
    assert profile.touches == Touches(Touch(news, ms(0)), Touch(ad, ms(7_200)), ms(7_260))
    assert decode_profile(encode_profile(profile)) == profile
    assert known(fact(OrderCompleted, 90, order_id="o", lines=(line("a"),))).touches == NO_TOUCHES, "told by a till"


def test_a_visitors_touches_move_to_the_customer_they_turn_out_to_be() -> None:
    news, ad = TrafficSource("news", "email"), TrafficSource("google", "cpc")
    mine = known(fact(ProductViewed, 5_000, product_id="a", context=Context(traffic_source=ad)))
    theirs = known(fact(ProductViewed, 0, product_id="b", context=Context(traffic_source=news)))
    both = Touches(Touch(news, ms(0)), Touch(ad, ms(5_000)), ms(5_000))
    assert merged(mine, theirs, VISITOR).touches == both
    assert merged(theirs, mine, VISITOR).touches == both


@pytest.mark.parametrize("fewer", [1, 2])
def test_profiles_of_before_there_were_touches_or_engagement_are_read(fewer: int) -> None:
    profile = known(view("a"))
    stored = encode_profile(profile)
    fields = msgspec.msgpack.decode(stored[1:])
    earlier = decode_profile(stored[:1] + msgspec.msgpack.encode(fields[:-fewer]))
    assert earlier == replace(profile, engagement=Engagement())
