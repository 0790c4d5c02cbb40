"""Logs as Hypothesis draws them: few orders of few products, with all that may befall them; and their plain recount."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from hypothesis import strategies as st

from ingest.vocabulary.events import (
    CustomerErased,
    CustomerEvent,
    Event,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
)
from ingest.vocabulary.ids import OrderId, ProductId, Subject
from tests.support.histories import cancelled, clicked, consented, erased, order, refunded, view

PRODUCTS = "abcdefg"

numbers = st.integers(0, 30).map(str)
days = st.integers(0, 60)
baskets = st.sets(st.sampled_from(PRODUCTS), min_size=1, max_size=5).map(sorted).map("".join)
subjects = st.sampled_from(["ann", "bob", "cid", "dee"])
quantities = st.integers(1, 3)
orders = st.builds(order, numbers, baskets, days, subjects, quantities)
others = st.one_of(
    st.builds(view, st.sampled_from(PRODUCTS), days, subjects),
    st.builds(clicked, st.sampled_from(PRODUCTS), days, subjects),
    st.builds(cancelled, numbers, days),
    st.builds(lambda number, day: refunded(number, day=day), numbers, days),
    st.builds(refunded, numbers, baskets, days, quantities),
    st.builds(lambda subject, day, agreed: consented(subject, day, analytics=agreed), subjects, days, st.booleans()),
)


@st.composite
def logs_and_cuts(draw: st.DrawFn) -> tuple[list[Event], int]:
    """A log with cancellations and repeated facts, and a cut; who is erased has come after the cut."""
    facts: list[Event] = draw(st.lists(st.one_of(orders, orders, others), max_size=40))
    told: dict[str, Event] = {}
    log = [told.setdefault(fact.event_id, fact) for fact in facts]
    cut = draw(st.integers(0, len(log)))
    late = [msgspec.structs.replace(e, subject=Subject("zoe")) if draw(st.booleans()) else e for e in log[cut:]]
    known = {event.event_id for event in log[:cut]}
    tail = [e for e in late if isinstance(e, CustomerEvent) and (e.subject != "zoe" or e.event_id not in known)]
    if draw(st.booleans()):
        tail.insert(draw(st.integers(0, len(tail))), erased("zoe", draw(days)))
    return [*log[:cut], *_consistent(tail)], cut


def _consistent(tail: list[CustomerEvent]) -> list[Event]:
    """A repeated fact is the same fact."""
    told: dict[str, Event] = {}
    return [told.setdefault(event.event_id, event) for event in tail]


def standing_orders(events: list[Event]) -> list[set[ProductId]]:
    """The products that were kept of each order that stands, counted the plain way."""
    told = {event.event_id: event for event in events}.values()
    left = {each.order_id: {line.product_id: line.quantity for line in each.lines} for each in _orders(told)}
    gone = {each.subject for each in told if isinstance(each, CustomerErased)}
    void: set[OrderId] = {each.order_id for each in _orders(told) if each.subject in gone}
    for event in told:
        if isinstance(event, OrderCancelled) or (isinstance(event, OrderRefunded) and not event.lines):
            void.add(event.order_id)
        elif isinstance(event, OrderRefunded) and event.order_id in left:
            for line in event.lines:
                left[event.order_id][line.product_id] = left[event.order_id].get(line.product_id, 0) - line.quantity
    kept = [{product for product, quantity in left[each].items() if quantity > 0} for each in left.keys() - void]
    return [products for products in kept if products]


def _orders(events: Iterable[Event]) -> Iterator[OrderCompleted]:
    return (event for event in events if isinstance(event, OrderCompleted))
