"""What counts, and what does not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ingest.vocabulary.events import Event, PriceChanged, ProductDeleted
from ingest.vocabulary.ids import EventId, ProductId
from recommender.interactions import ORDER, VIEW, Interactions, interactions_of
from tests.support.histories import cancelled, erased, identified, moment, order, refunded, titled, upserted, view


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


def test_cancelled_and_fully_refunded_orders_are_out_and_partly_refunded_ones_stay() -> None:
    history = counted(
        order("1", "ab"),
        order("2", "bc"),
        order("3", "cd"),
        cancelled("1", 1),
        refunded("2", day=1),
        refunded("3", "c", 1),
    )
    assert baskets(history) == ["cd"]
    assert history.products == ("c", "d")


def test_an_order_without_a_positive_quantity_is_no_order() -> None:
    assert baskets(counted(order("1", "ab", quantity=0), order("2", "c"))) == ["c"]


def test_an_order_told_twice_under_two_event_ids_counts_once() -> None:
    again = msgspec.structs.replace(order("1", "ab"), event_id=EventId("another"))
    assert baskets(counted(order("1", "ab"), again)) == ["ab"]


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
