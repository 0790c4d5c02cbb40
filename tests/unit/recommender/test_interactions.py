"""What counts, and what does not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ingest.vocabulary.events import Event, Line, PriceChanged, ProductDeleted
from ingest.vocabulary.ids import EventId, ProductId
from recommender.interactions import ORDER, VIEW, Interactions, interactions_of
from recommender.people import VIEWED_OF_A_DAY_MAX
from recommender.training import learnable
from tests.support.histories import (
    cancelled,
    clicked,
    consented,
    erased,
    identified,
    moment,
    order,
    refunded,
    titled,
    upserted,
    view,
)


def counted(*events: Event) -> Interactions:
    return interactions_of(events)


def baskets(interactions: Interactions) -> list[str]:
    orders = interactions.orders
    rows = [orders.products[first:last] for first, last in zip(orders.start, orders.start[1:], strict=False)]
    return ["".join(interactions.products[row] for row in basket) for basket in rows]


def test_nothing_is_a_history_too() -> None:
    nothing = counted()
    assert nothing.products == ()
    assert len(nothing.orders) == 0
    assert nothing.reference_s == 0


def test_a_product_on_two_lines_of_an_order_counts_once_with_its_whole_quantity() -> None:
    history = counted(order("1", "aab", quantity=3))
    assert baskets(history) == ["ab"]
    assert history.quantity.tolist() == [6, 3]


def test_cancelled_and_refunded_orders_are_out() -> None:
    history = counted(order("1", "ab"), order("2", "bc"), order("3", "cd"), cancelled("1", 1), refunded("2", day=1))
    assert baskets(history) == ["cd"]
    assert history.products == ("c", "d")


def test_what_was_returned_was_not_taken() -> None:
    history = counted(
        order("1", "abc", quantity=3),
        refunded("1", "a", 1, quantity=3),
        refunded("1", "b", 2),
        refunded("1", "b", 3),
        refunded("1", "b", 3),
        refunded("1", "x", 4),
    )
    assert baskets(history) == ["bc"]
    assert history.quantity.tolist() == [1, 3]
    assert history.products == ("b", "c")


def test_an_order_of_which_everything_came_back_is_none() -> None:
    returns = [refunded("1", "a", 1), refunded("1", "b", 1, quantity=5)]
    assert baskets(counted(*returns, order("1", "ab"), order("2", "b"))) == ["b"]


def test_a_return_of_an_order_nobody_told_changes_nothing() -> None:
    assert baskets(counted(order("1", "ab"), refunded("2", "a", 1))) == ["ab"]


def test_a_click_on_a_recommendation_is_a_view_unless_the_page_it_led_to_was_told_that_day() -> None:
    day = int(moment(0).timestamp())
    both = counted(clicked("a"), view("a", 0.01), clicked("b"), clicked("a", 0.02, "another"), clicked("a", 1))
    assert both.kind.tolist() == [VIEW] * 4
    assert sorted((both.products[row], at - day) for row, at in zip(both.product, both.time_s, strict=True)) == [
        ("a", 864), ("a", 1728), ("a", 86_400), ("b", 0),
    ]  # fmt: skip


def test_an_order_without_a_positive_quantity_is_no_order() -> None:
    assert baskets(counted(order("1", "ab", quantity=0), order("2", "c"))) == ["c"]


def test_an_order_told_twice_under_two_event_ids_counts_once() -> None:
    again = msgspec.structs.replace(order("1", "ab"), event_id=EventId("another"))
    assert baskets(counted(order("1", "ab"), again)) == ["ab"]


def test_of_two_tellings_that_nothing_else_tells_apart_the_one_with_the_first_products_counts() -> None:
    tellings = [order("1", "cd"), order("1", "ab"), order("1", "bc")]
    assert baskets(counted(*tellings)) == baskets(counted(*reversed(tellings))) == ["ab"]


def test_an_event_told_twice_counts_once() -> None:
    assert counted(view("a"), view("a"), view("a", 1)).kind.tolist() == [VIEW, VIEW]


def test_an_erased_subject_leaves_nothing_behind() -> None:
    history = counted(order("1", "ab", subject="ann"), view("c", subject="ann"), order("2", "d"), erased("ann", 3))
    assert history.products == ("d",)
    assert history.kind.tolist() == [ORDER]


def test_a_visitor_who_turned_out_to_be_a_customer_is_one_person() -> None:
    history = counted(
        view("a", 0, "visitor"), view("b", 1, "ann"), view("c", 2, "bob"), identified("visitor", "ann", 3)
    )
    assert history.person[history.subject].tolist() == [0, 0, 2]


def left_out(*events: Event) -> list[int]:
    """Subjects by the order in which they first did something."""
    return counted(*events).left_out.tolist()


@pytest.mark.parametrize("purpose", ["analytics", "personalization"])
def test_who_refuses_is_left_out_until_they_agree_again(purpose: str) -> None:
    shopping = [view("a", 0, "ann"), order("1", "b", 1, "bob")]
    no, yes = (consented("bob", day, **{purpose: agreed}) for day, agreed in ((2, False), (3, True)))
    assert left_out(*shopping, no) == [1]
    assert left_out(*shopping, yes, no) == []
    assert left_out(*shopping, consented("bob", 2, email=False)) == []
    assert left_out(*shopping, no, consented("bob", 3, email=True)) == [1]


def test_a_refusal_on_one_device_is_a_persons() -> None:
    shopping = [view("a", 0, "phone"), view("b", 1, "ann"), view("c", 2, "bob")]
    assert left_out(*shopping, consented("tablet", 0, analytics=False), identified("tablet", "ann", 3)) == [1]
    assert left_out(*shopping, consented("phone", 0, analytics=False), identified("phone", "ann", 3)) == [0, 1]


def test_who_looks_at_more_products_in_a_day_than_a_person_could_is_left_out() -> None:
    crawl = [view(f"p{number}", 0.01 + number / 10_000, "crawler") for number in range(VIEWED_OF_A_DAY_MAX + 1)]
    again = [view("p0", 0.1 + number / 10_000, "ann") for number in range(VIEWED_OF_A_DAY_MAX + 1)]
    assert left_out(view("a", 0, "bob"), *crawl[:-1], *again) == []
    assert left_out(view("a", 0, "bob"), *reversed(crawl), *again) == [1]
    two_days = [view(f"p{number}", number % 2, "ann") for number in range(2 * VIEWED_OF_A_DAY_MAX)]
    assert left_out(*two_days) == []
    bought = order("1", "a", 0.2, "firm")
    lines = tuple(Line(product_id=ProductId(f"p{number}")) for number in range(VIEWED_OF_A_DAY_MAX + 1))
    assert left_out(msgspec.structs.replace(bought, lines=lines)) == []


def test_those_left_out_are_counted_and_not_learned_from() -> None:
    facts = [order("1", "ab", subject="ann"), order("2", "ac", 1, "bob"), view("d", 2, "ann")]
    history = counted(*facts, consented("ann", analytics=False))
    assert baskets(history) == ["ab", "ac"]
    rest = learnable(history)
    assert [rest.products[row] for row in rest.product] == ["a", "c"]
    assert rest.orders.products.tolist() == [0, 2]
    assert learnable(counted(*facts)).product.tolist() == counted(*facts).product.tolist()


def test_interactions_are_in_order_of_time_whatever_the_order_of_arrival() -> None:
    history = counted(view("b", 2), order("1", "a", 1), view("c", 0))
    assert [history.products[row] for row in history.product] == ["c", "a", "b"]
    assert (np.diff(history.time_s) > 0).all()


def test_the_catalogue_is_as_last_stated() -> None:
    dear = PriceChanged(
        event_id=EventId("p"), occurred_at=moment(2), received_at=moment(2), product_id=ProductId("a"), price=None
    )
    gone = ProductDeleted(
        event_id=EventId("g"), occurred_at=moment(1), received_at=moment(1), product_id=ProductId("b")
    )
    history = counted(
        gone, dear, upserted(titled("a", "Cup", price="2.50")), upserted(titled("b", "Mug")), order("1", "b")
    )
    assert history.products == ("a", "b")
    assert history.catalogue[0] is not None
    assert history.catalogue[0].price is None
    assert history.catalogue[1] is None


@pytest.mark.parametrize("days", [0, 1, 400])
def test_the_reference_is_the_newest_moment_known(days: int) -> None:
    assert counted(order("1", "a"), view("a", days)).reference_s == int(moment(days).timestamp())
