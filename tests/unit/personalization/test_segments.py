"""RFM segments: the grid, the thresholds of a shop, and that facts alone decide them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.events import Event, Line, OrderCompleted
from ingest.vocabulary.ids import OrderId, ProductId
from personalization.customer.buyers import Buyers
from personalization.customer.profile import EMPTY, Profile, Purchase, RecentOrder
from personalization.customer.reducer import evolve
from personalization.customer.segments import (
    OF_ONE_ORDER,
    SEGMENTS,
    Thresholds,
    last_order_ms,
    segment_at,
    segment_of,
)
from tests.support.histories import cancelled, erased, identified, moment, online_retail, order, refunded, view

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


def sixty() -> list[Event]:
    """Sixty buyers: every fifth buys ten times, every second twice, the rest once; one order a fortnight."""
    found: list[Event] = []
    for number in range(60):
        times = 10 if number % 5 == 0 else 2 if number % 2 == 0 else 1
        found += [paid(f"{number}-{n}", n * 14 + number % 7, f"buyer {number}", 1 + number) for n in range(times)]
    return found


def paid(number: str, day: float, subject: str, pounds: int, currency: str = "GBP") -> OrderCompleted:
    line = Line(ProductId("p"), 2, Decimal(pounds) / 2)
    return replace(order(number, "", day, subject), currency=currency, lines=(line,))


def learned(facts: list[Event]) -> Thresholds | None:
    buyers = Buyers()
    assert list(buyers.hearing(facts)) == facts, "facts go on as they came"
    return buyers.thresholds()


def test_thresholds_are_those_of_the_shops_own_buyers() -> None:
    found = learned(sixty())
    assert found is not None
    assert found.days == (14, 14, 14, 14)
    assert found.orders == (1, 1, 2, 2)
    assert (found.buyers, found.returns, found.currency) == (60, 12 * 9 + 24, "GBP")
    spent = sorted(10_000 * (1 + n) * (10 if n % 5 == 0 else 2 if n % 2 == 0 else 1) for n in range(60))
    assert found.spent_e4 == tuple(spent[int(60 * share) - 1] for share in (0.2, 0.4, 0.6, 0.8))


def test_too_few_buyers_or_too_few_who_came_back_part_nobody() -> None:
    facts = sixty()
    few = [fact for fact in facts if isinstance(fact, OrderCompleted) and int(fact.order_id.split("-")[0]) < 49]
    once = [paid(str(number), number, f"buyer {number}", 5) for number in range(200)]
    assert (learned([]), learned(few), learned(once)) == (None, None, None)


def test_what_was_called_off_sent_back_or_forgotten_does_not_count() -> None:
    facts = sixty()
    strange = [
        paid("x", 500, "buyer x", 1_000_000),
        cancelled("x", 501),
        paid("y", 500, "buyer y", 1_000_000),
        refunded("y", "", 501),
        paid("z", 500, "buyer z", 1_000_000),
        erased("buyer z", 502),
        replace(paid("0-0", 700, "buyer 0", 9), event_id="later"),  # the same order, told again
        view("p", 3, "buyer 9"),
    ]
    assert learned([*facts, *strange]) == learned(facts)
    assert learned([*strange, *facts]) == learned(facts)


def test_what_came_back_was_not_spent() -> None:
    facts = sixty()
    last = [replace(fact, lines=()) for fact in (refunded("59-0", "", 90),)]
    priced = replace(refunded("59-0", "p", 90), lines=(Line(ProductId("p"), 1, Decimal(30)),))
    unpriced = replace(refunded("59-0", "p", 91), lines=(Line(ProductId("p"), 1),))
    whole, half, again = (learned([*facts, *more]) for more in (last, [priced], [unpriced]))
    assert whole is not None
    assert whole.buyers == 59
    assert half == again, "a unit without a price costs the order's mean"
    assert learned([*facts, priced, priced]) == half, "told twice, it came back once"


def test_a_visitor_who_turned_out_to_be_a_customer_is_one_buyer() -> None:
    facts = sixty()
    found = learned([*facts, paid("v", 100, "visitor", 5), identified("visitor", "buyer 1", 101)])
    assert found is not None
    assert (found.buyers, found.returns) == (60, 12 * 9 + 24 + 1)
    circle = learned([*facts, identified("buyer 1", "buyer 3"), identified("buyer 3", "buyer 1")])
    assert circle is not None


@given(st.integers(0, 2**32))
def test_the_order_of_facts_does_not_matter(seed: int) -> None:
    facts: list[Event] = [
        *sixty(),
        cancelled("4-1"),
        refunded("6-0", "p", 40),
        refunded("6-0", "p", 41),
        identified("buyer 7", "buyer 8"),
        identified("buyer 7", "buyer 10"),
        erased("buyer 12"),
        replace(paid("4-0", 3, "buyer 4", 77), event_id="another report"),
    ]
    shuffled = list(facts)
    Random(seed).shuffle(shuffled)
    assert learned(shuffled) == learned(facts)


def test_the_example_shops_customers_are_spread_over_the_segments() -> None:
    facts = [fact for fact in online_retail() if isinstance(fact, OrderCompleted)]
    facts = [replace(fact, lines=tuple(replace(line, price=Decimal(2)) for line in fact.lines)) for fact in facts]
    named = [fact for fact in facts if not fact.subject.startswith("guest")]
    found = learned(list(named))
    assert found is not None
    assert found.buyers > 1_000
    profiles: dict[str, Profile | None] = {}
    for fact in named:
        profiles[fact.subject] = evolve(profiles.get(fact.subject), fact)
    now_ms = epoch_ms(max(fact.occurred_at for fact in named) + timedelta(days=1))
    counts = dict.fromkeys(SEGMENTS, 0)
    for profile in profiles.values():
        assert profile is not None
        counts[segment_of(profile, found, now_ms)] += 1
    assert counts.pop("prospect") == 0
    assert all(count > 0 for count in counts.values()), counts
    assert max(counts.values()) < 0.4 * len(profiles), counts


def test_a_moment_of_the_reference_is_of_no_consequence_for_thresholds() -> None:
    facts = sixty()
    moved = [replace(fact, occurred_at=later(fact.occurred_at), received_at=later(fact.received_at)) for fact in facts]
    assert learned(moved) == learned(facts)


def later(at: datetime) -> datetime:
    return at + (moment(1_000) - moment(0))
