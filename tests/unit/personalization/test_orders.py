"""Orders count once, and what comes back is taken back exactly."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ingest.vocabulary.events import OrderCancelled, OrderRefunded
from ingest.vocabulary.money import unit_e4
from personalization.customer.orders import changed_revenue, order_lines, trimmed_orders
from personalization.customer.profile import OrderLine, Purchase, RecentOrder
from tests.support.history import fact, known, line, ms, order

TWO = order("o", line("b", 2, "2.55"), line("a", 1, "0.10"), line("b", 1, "2.00"), at=5)


def test_an_order_counts_in_the_profile() -> None:
    profile = known(TWO)
    assert profile.orders == 1
    assert profile.revenue_e4 == {"GBP": 72_000}
    assert list(profile.purchased.items()) == [("a", Purchase(1, ms(5))), ("b", Purchase(1, ms(5)))]
    assert profile.recent_orders == {
        "o": RecentOrder(ms(5), "GBP", 72_000, {"a": OrderLine(1, 1_000), "b": OrderLine(3, 71_000)})
    }
    assert list(profile.recent_orders["o"].lines) == ["a", "b"]


def test_a_repeated_order_counts_once() -> None:
    profile = known(TWO)
    assert known(TWO, profile=profile) == profile
    assert known(
        replace(TWO, occurred_at=fact(OrderCancelled, 9, order_id="o").occurred_at), profile=profile
    ) == replace(profile, last_seen_ms=ms(9))


def test_purchases_add_up_and_keep_the_newest_time() -> None:
    profile = known(order("o1", line("a"), at=5), order("o2", line("a"), at=9), order("o3", line("a"), at=1))
    assert profile.purchased == {"a": Purchase(3, ms(9))}
    assert list(profile.recent_orders) == ["o3", "o1", "o2"]


def test_a_cancellation_takes_back_exactly_what_the_order_added() -> None:
    before = known(order("o0", line("a"), line("c"), at=1, currency="EUR"))
    after = known(TWO, fact(OrderCancelled, 9, order_id="o"), profile=before)
    assert after.orders == 1
    assert after.revenue_e4 == {"EUR": 20_000}
    assert list(after.purchased.items()) == list(before.purchased.items())
    assert after.recent_orders["o"] == RecentOrder(ms(5), "GBP", 0, {}, False)
    assert known(fact(OrderCancelled, 10, order_id="o"), profile=after) == after
    assert known(fact(OrderRefunded, 10, order_id="o", lines=(line("a"),)), profile=after) == after


def test_an_order_cancelled_before_it_was_told_never_counts() -> None:
    profile = known(fact(OrderCancelled, 9, order_id="o"), TWO)
    assert (profile.orders, profile.revenue_e4, profile.purchased, profile.recents) == (0, {}, {}, {})
    assert profile.recent_orders == {"o": RecentOrder(ms(9), "", 0, {}, False)}
    assert profile.last_seen_ms == ms(5)


def test_a_purchase_bought_before_the_orders_remembered_keeps_its_time() -> None:
    profile = known(order("o1", line("a"), at=1), TWO)
    forgotten = replace(profile, recent_orders={"o": profile.recent_orders["o"]})
    after = known(fact(OrderCancelled, 9, order_id="o"), profile=forgotten)
    assert after.purchased == {"a": Purchase(1, ms(5))}


def test_a_refund_without_lines_takes_back_the_whole_order() -> None:
    refunded = known(TWO, fact(OrderRefunded, 9, order_id="o"))
    assert refunded == known(TWO, fact(OrderCancelled, 9, order_id="o"))
    assert refunded.orders == 0


@pytest.mark.parametrize(
    ("returned", "revenue_e4", "left"),
    [
        (line("b", 1, None), 72_000 - 23_666, OrderLine(2, 71_000 - 23_666)),
        (line("b", 1, "2.55"), 72_000 - 25_500, OrderLine(2, 71_000 - 25_500)),
        (line("b", 3, "0.50"), 72_000 - 15_000, None),
        (line("b", 3, None), 1_000, None),
        (line("b", 9, None), 1_000, None),
        (line("b", 3, "9.00"), 1_000, None),
        (line("x", 1, "0.20"), 70_000, OrderLine(3, 71_000)),
        (line("x", 1, None), 72_000, OrderLine(3, 71_000)),
    ],
)
def test_a_refund_takes_back_its_lines(returned: object, revenue_e4: int, left: OrderLine | None) -> None:
    profile = known(TWO, fact(OrderRefunded, 9, order_id="o", lines=(returned,)))
    assert profile.orders == 1
    assert profile.revenue_e4 == {"GBP": revenue_e4}
    assert profile.recent_orders["o"].lines.get("b") == left
    assert profile.recent_orders["o"].amount_e4 == revenue_e4
    assert ("b" in profile.purchased) is (left is not None)
    assert profile.purchased["a"] == Purchase(1, ms(5))
    assert profile.last_seen_ms == ms(5)


def test_an_order_that_came_back_line_by_line_no_longer_counts() -> None:
    first = known(TWO, fact(OrderRefunded, 6, order_id="o", lines=(line("b", 3, None),)))
    assert (first.orders, first.recent_orders["o"].counted) == (1, True)
    both = known(fact(OrderRefunded, 7, order_id="o", lines=(line("a", 1, None),)), profile=first)
    assert (both.orders, both.revenue_e4, both.purchased) == (0, {}, {})
    assert both.recent_orders == {"o": RecentOrder(ms(5), "GBP", 0, {}, False)}


def test_an_order_of_which_money_was_kept_still_counts() -> None:
    profile = known(order("o", line("a", 1, "5")), fact(OrderRefunded, 6, order_id="o", lines=(line("a", 1, "4"),)))
    assert (profile.orders, profile.revenue_e4, profile.purchased) == (1, {"GBP": 10_000}, {})


def test_more_is_never_taken_back_than_was_paid() -> None:
    profile = known(TWO, fact(OrderRefunded, 6, order_id="o", lines=(line("x", 1, "99"),)))
    assert profile.revenue_e4 == {}
    assert profile.recent_orders["o"].amount_e4 == 0
    assert profile.orders == 1


@pytest.mark.parametrize(
    ("price", "amount_e4"),
    [
        ("2.55", 25_500),
        ("0.00005", 0),
        ("0.00015", 2),
        ("-1", 0),
        ("NaN", 0),
        ("sNaN", 0),
        ("Infinity", 0),
        ("1E+99999", 10**15),
        ("100000000000", 10**15),
        ("99999999999.9999", 10**15 - 1),
    ],
)
def test_unit_prices_become_ten_thousandths(price: str, amount_e4: int) -> None:
    assert unit_e4(price) == amount_e4


def test_typing_mistakes_stay_within_bounds() -> None:
    lines, total_e4 = order_lines(
        (line("a", 10**9, "1E+12"), line("b", 0), line("c", -1), line("d", 2, None), line("e", 10**6, "1"))
    )
    assert lines == {"a": OrderLine(10**6, 10**15), "d": OrderLine(2, 0), "e": OrderLine(10**6, 10**10)}
    assert total_e4 == 10**15


def test_only_so_many_products_of_an_order_are_remembered_but_all_of_its_amount() -> None:
    profile = known(order("o", *(line(f"p{n:03d}") for n in range(101))))
    assert list(profile.recent_orders["o"].lines) == [f"p{n:03d}" for n in range(100)]
    assert profile.revenue_e4 == {"GBP": 1_010_000}
    assert len(profile.purchased) == 100
    exact = known(order("o", *(line(f"p{n:03d}") for n in range(100))))
    assert len(exact.recent_orders["o"].lines) == 100


def test_twenty_orders_are_remembered_and_the_oldest_go() -> None:
    profile = known(order(f"o{n:02d}", line("a"), at=n) for n in range(21))
    assert list(profile.recent_orders) == [f"o{n:02d}" for n in range(1, 21)]
    assert profile.orders == 21


def test_orders_are_remembered_while_their_lines_fit() -> None:
    lines = {f"p{n}": OrderLine(1, 1) for n in range(100)}
    few = {name: RecentOrder(n, "", 0, lines) for n, name in enumerate("abc")}
    assert list(trimmed_orders(dict(few))) == ["a", "b", "c"]
    assert list(trimmed_orders({**few, "d": RecentOrder(3, "", 0, {"x": OrderLine(1, 1)})})) == ["b", "c", "d"]
    assert list(trimmed_orders({**few, "d": RecentOrder(3, "", 0, lines)})) == ["b", "c", "d"]


def test_three_hundred_purchases_are_kept_and_the_oldest_go() -> None:
    profile = known(order(f"o{n}", line(f"p{n:03d}"), at=n) for n in range(301))
    assert list(profile.purchased) == [f"p{n:03d}" for n in range(1, 301)]


def test_an_order_in_an_unknown_currency_is_counted_apart() -> None:
    assert known(order("o", line("a"), currency=None)).revenue_e4 == {"": 10_000}


def test_an_eleventh_currency_brings_no_revenue_and_takes_none_back() -> None:
    ten = known(order(f"o{n}", line("a"), currency=f"C{n}", at=n) for n in range(10))
    assert len(ten.revenue_e4) == 10
    eleven = known(order("x", line("a"), currency="CX", at=10), profile=ten)
    assert eleven.revenue_e4 == ten.revenue_e4
    assert eleven.orders == 11
    assert eleven.recent_orders["x"].amount_e4 == 0
    again = known(order("y", line("a"), currency="C3", at=11), profile=ten)
    assert again.revenue_e4["C3"] == 20_000


def test_revenue_stays_in_order_and_never_falls_below_nothing() -> None:
    assert list(changed_revenue({"B": 1}, "A", 2).items()) == [("A", 2), ("B", 1)]
    assert changed_revenue({"A": 1}, "A", 2) == {"A": 3}
    assert changed_revenue({"A": 1, "B": 2}, "A", -1) == {"B": 2}
    assert changed_revenue({"A": 1}, "A", -2) == {}
    assert changed_revenue({}, "A", 0) == {}
    assert changed_revenue({"A": 2**63 - 2}, "A", 5) == {"A": 2**63 - 1}
