"""Engagement: what somebody does adds to it, it fades, and it ends with the visit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.events import (
    CheckoutStarted,
    EmailOpened,
    Event,
    ListViewed,
    OrderCompleted,
    ProductAdded,
    ProductRemoved,
    ProductReviewed,
    ProductViewed,
    RankingClicked,
    Searched,
    WishlistAdded,
)
from ingest.vocabulary.ids import OrderId, ProductId, RequestId, content_id
from personalization.customer.engagement import Engagement, after_action, merged_engagement, points_max, views_at
from personalization.customer.profile import EMPTY, Profile, encode_profile
from personalization.customer.reducer import evolve
from personalization.situation.visitor import visitor_of
from tests.support.histories import moment

MINUTE_MS = 60_000
P = ProductId("p")
NOON_MS = int(moment(0).timestamp() * 1_000)


def done(kind: type[Event], minute: float, **stated: Any) -> Event:
    """Something a shopper did."""
    at = moment(minute / 1_440)
    made: Event = kind(
        event_id=content_id(kind.__name__, str(minute)), occurred_at=at, received_at=at, subject="s", **stated
    )
    return made


def after(*events: Event) -> Profile:
    profile: Profile | None = None
    for event in events:
        profile = evolve(profile, event)
    return profile or EMPTY


def engaged(profile: Profile, minute: float) -> float:
    return visitor_of(profile, NOON_MS + int(minute * MINUTE_MS), lambda _: None).engagement


@pytest.mark.parametrize(
    ("event", "views"),
    [
        (done(ProductViewed, 0, product_id=P), 1.0),
        (done(ListViewed, 0), 0.5),
        (done(Searched, 0), 1.0),
        (done(RankingClicked, 0, product_id=P, request_id=RequestId("r")), 0.3),
        (done(WishlistAdded, 0, product_id=P), 2.0),
        (done(ProductAdded, 0, product_id=P), 3.0),
        (done(ProductRemoved, 0, product_id=P), 0.0),
        (done(CheckoutStarted, 0), 3.0),
        (done(OrderCompleted, 0, order_id=OrderId("o")), 5.0),
        (done(ProductReviewed, 0, product_id=P), 1.0),
        (done(EmailOpened, 0), 0.0),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Event) else str(each),
)
def test_what_a_shopper_does_counts_as_so_many_views(event: Event, views: float) -> None:
    assert engaged(after(event), 0) == views


def test_it_fades_by_half_in_ten_minutes_and_ends_with_the_visit() -> None:
    profile = after(done(ProductAdded, 0, product_id=P), done(Searched, 10))
    assert engaged(profile, 10) == 2.5
    assert engaged(profile, 20) == 1.25
    assert engaged(profile, 40) == 0.312
    assert engaged(profile, 41) == 0.0
    assert engaged(after(done(ProductAdded, 0, product_id=P), done(Searched, 60)), 60) == 1.0


def test_what_is_told_late_has_faded_and_what_is_of_an_older_visit_adds_nothing() -> None:
    late = after(done(Searched, 10), done(ProductAdded, 0, product_id=P))
    assert engaged(late, 10) == 2.5
    old = after(done(Searched, 100), done(ProductAdded, 0, product_id=P))
    assert engaged(old, 100) == 1.0


def test_a_profile_without_a_visit_is_not_engaged() -> None:
    assert engaged(EMPTY, 0) == 0.0
    assert len(encode_profile(after(done(ProductViewed, 0, product_id=P)))) < 120


engagements = st.builds(Engagement, st.integers(0, points_max), st.integers(0, 10**13))
moments = st.integers(0, 10**13)


@given(engagements, st.integers(0, 10_000), moments)
def test_it_keeps_its_bounds_and_never_goes_back(engagement: Engagement, points: int, at_ms: int) -> None:
    later = after_action(engagement, points, at_ms)
    assert 0 <= later.points <= points_max
    assert later.at_ms == max(engagement.at_ms, at_ms)
    assert 0 <= views_at(later, at_ms) <= points_max / 1_000
    assert views_at(later, later.at_ms + 1_800_001) == 0


@given(engagements, engagements)
def test_two_histories_have_one_engagement_whichever_comes_first(one: Engagement, other: Engagement) -> None:
    both = merged_engagement(one, other)
    assert both == merged_engagement(other, one)
    assert both.points >= max((each for each in (one, other)), key=lambda each: each.at_ms).points


@given(st.lists(st.tuples(st.integers(0, 60 * MINUTE_MS), st.integers(1, 5_000)), max_size=12))
def test_when_it_was_told_makes_no_difference_beyond_rounding(actions: list[tuple[int, int]]) -> None:
    """Within one visit: every action is at most half an hour from the next."""
    within = [(at_ms % (25 * MINUTE_MS), points) for at_ms, points in actions]

    def folded(told: list[tuple[int, int]]) -> float:
        engagement = Engagement()
        for at_ms, points in told:
            engagement = after_action(engagement, points, at_ms)
        return views_at(engagement, 26 * MINUTE_MS)

    assert abs(folded(within) - folded(sorted(within))) <= 0.001 * (len(within) + 1)
