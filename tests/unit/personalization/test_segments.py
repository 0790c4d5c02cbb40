"""RFM segments: the grid, and that any customer has a segment that goes with their orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.buyers import Thresholds
from ingest.vocabulary.ids import OrderId, ProductId
from personalization.customer.profile import EMPTY, Profile, Purchase, RecentOrder
from personalization.customer.segments import (
    OF_ONE_ORDER,
    SEGMENTS,
    last_order_ms,
    segment_at,
    segment_of,
)

THRESHOLDS = Thresholds(
    days=(30, 60, 90, 180),
    orders=(1, 1, 2, 4),
    spent_e4=(100_000, 200_000, 400_000, 800_000),
    currency="GBP",
    buyers=500,
    returns=900,
)
NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def buyer(days_ago: float, orders: int, pounds: int) -> Profile:
    at_ms = NOW_MS - int(days_ago * DAY_MS)
    return Profile(
        orders=orders,
        revenue_e4={"GBP": pounds * 10_000},
        recent_orders={OrderId("o"): RecentOrder(at_ms, "GBP", pounds * 10_000, {})},
    )


@pytest.mark.parametrize(
    ("days_ago", "orders", "pounds", "segment"),
    [
        (3, 9, 500, "champions"),
        (30.9, 9, 500, "champions"),  # thirty days are within the time in which half of them come back
        (31, 9, 500, "loyal"),
        (70, 9, 500, "loyal"),
        (3, 1, 8, "new"),
        (45, 1, 8, "promising"),
        (3, 1, 500, "potential loyalist"),
        (3, 2, 15, "potential loyalist"),
        (70, 2, 25, "needs attention"),
        (70, 1, 8, "about to sleep"),
        (100, 2, 25, "at risk"),
        (200, 3, 70, "at risk"),
        (100, 9, 500, "can't lose"),
        (400, 9, 500, "can't lose"),
        (100, 1, 8, "hibernating"),
        (400, 1, 30, "hibernating"),
        (400, 1, 8, "lost"),
    ],
)
def test_a_segment_follows_from_when_how_often_and_for_how_much(
    days_ago: float, orders: int, pounds: int, segment: str
) -> None:
    assert segment_of(buyer(days_ago, orders, pounds), THRESHOLDS, NOW_MS) == segment


def test_who_never_bought_is_a_prospect_and_whose_orders_are_forgotten_bought_long_ago() -> None:
    assert segment_of(EMPTY, THRESHOLDS, NOW_MS) == "prospect"
    gone = Profile(orders=3, revenue_e4={"GBP": 5_000_000})
    assert segment_of(gone, THRESHOLDS, NOW_MS) == "at risk"
    kept = replace(gone, purchased={ProductId("p"): Purchase(1, NOW_MS)})
    assert last_order_ms(kept) == NOW_MS
    assert segment_of(kept, THRESHOLDS, NOW_MS) == "champions"


def test_money_of_another_currency_does_not_count() -> None:
    abroad = replace(buyer(3, 1, 500), revenue_e4={"EUR": 50_000_000})
    assert segment_of(abroad, THRESHOLDS, NOW_MS) == "new"


def test_every_segment_has_its_place_in_the_grid() -> None:
    scores = range(1, 6)
    found = {segment_at(r, f, m) for r in scores for f in scores for m in scores}
    assert found == set(SEGMENTS) - {"prospect"}
    assert {segment_at(r, 1, m) for r in scores for m in scores} == OF_ONE_ORDER


edges = st.lists(st.integers(0, 50), min_size=4, max_size=4).map(lambda each: tuple(sorted(each)))
thresholds = st.builds(
    Thresholds,
    days=edges,
    orders=edges.map(lambda each: tuple(edge + 1 for edge in each)),
    spent_e4=edges,
    currency=st.just("GBP"),
    buyers=st.just(50),
    returns=st.just(50),
)


@given(thresholds, st.integers(-10, 100), st.integers(0, 60), st.integers(0, 10))
def test_any_customer_has_a_segment_that_goes_with_their_orders(
    among: Thresholds, days_ago: int, orders: int, pounds: int
) -> None:
    segment = segment_of(buyer(days_ago, orders, pounds), among, NOW_MS)
    assert segment in SEGMENTS
    assert (segment == "prospect") == (orders == 0)
    if orders == 1:
        assert segment in OF_ONE_ORDER
