"""Histories as Hypothesis draws them for training: everything that interactions are made of, told in every bad way.

Few names and few moments, so that facts meet: event ids and order ids come again with the same or other content, clocks
stand still, facts are told late, people turn out to be others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ingest.vocabulary.context import Context, Place, Weather
from ingest.vocabulary.events import (
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    Event,
    HomepageShown,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    PriceChanged,
    ProductAdded,
    ProductDeleted,
    ProductUpserted,
    ProductViewed,
    RankingClicked,
    RankingShown,
    StockChanged,
    WishlistAdded,
)
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product

BEGIN = datetime(2011, 3, 1, 23, 59, tzinfo=UTC)

product_ids = st.sampled_from(["a", "b", "ü", "B", "long name of a product"])
subjects = st.sampled_from(["ann", "bob", "cid", "dee", "eve", "fay", "gus", "visitor"])
order_ids = st.sampled_from(["1", "2", "3"])
seconds = st.sampled_from([0.0, 0.25, 1.0, 59.999999, 60.0, 61.0, 1_801.0, 86_400.0, 200_000.0])
contexts = st.none() | st.builds(
    Context,
    device=st.sampled_from([None, "mobile", "desktop"]),
    weather=st.none() | st.builds(Weather, condition=st.just("rain"), temperature_c=st.sampled_from([None, -3.0])),
    place=st.none() | st.builds(Place, country=st.sampled_from(["de", "KR"])),
)
lines = st.lists(st.builds(Line, product_ids, st.integers(-1, 4)), max_size=4).map(tuple)
prices = st.none() | st.sampled_from([Decimal("1.50"), Decimal(9)])

_OF_A_PERSON: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
    ProductViewed: {"product_id": product_ids},
    RankingClicked: {"product_id": product_ids, "request_id": st.just("r")},
    ProductAdded: {"product_id": product_ids, "quantity": st.sampled_from([-3, 0, 1, 2, 2**40])},
    WishlistAdded: {"product_id": product_ids},
    OrderCompleted: {"order_id": order_ids, "lines": lines},
    OrderRefunded: {"order_id": order_ids, "lines": lines},
    OrderCancelled: {"order_id": order_ids},
    CustomerErased: {},
    CustomerIdentified: {"known": subjects},
    ConsentChanged: {
        "purposes": st.dictionaries(st.sampled_from(["analytics", "personalization", "email"]), st.booleans())
    },
    HomepageShown: {
        "request_id": st.just("r"),
        "variant": st.just("v"),
        "facts": st.sampled_from([{}, {"weather": "snow"}, {"time": 600.0, "country": "de"}]),
    },
    RankingShown: {"request_id": st.just("r"), "placement": st.just("p"), "product_ids": st.just(())},
}
_OF_A_PRODUCT: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
    ProductDeleted: {},
    PriceChanged: {"price": prices, "sale_price": prices, "currency": st.sampled_from([None, "EUR", "KRW"])},
    StockChanged: {
        "availability": st.sampled_from([None, "in_stock", "out_of_stock"]),
        "stock": st.sampled_from([None, 0, 7]),
    },
}
_FREQUENT = (ProductViewed, RankingClicked, OrderCompleted, OrderCompleted, OrderRefunded)
EVERYTHING = (*_FREQUENT, *_OF_A_PERSON, *_OF_A_PRODUCT, ProductUpserted)
ORDERS = (OrderCompleted, OrderCompleted, OrderRefunded, OrderRefunded, OrderCancelled, CustomerErased)


@st.composite
def _told(draw: st.DrawFn, kinds: Sequence[Any], ids_max: int) -> Event:
    kind = draw(st.sampled_from(kinds))
    occurred = BEGIN + timedelta(seconds=draw(seconds))
    fields: dict[str, Any] = {
        "event_id": draw(st.integers(0, ids_max).map(str)),
        "occurred_at": occurred,
        "received_at": occurred + timedelta(seconds=draw(st.sampled_from([0.0, 0.0, -1.0, 0.5, 90_000.0]))),
        "imported": draw(st.booleans()),
    }
    if kind in _OF_A_PERSON:
        values = {**_OF_A_PERSON[kind], "subject": subjects, "context": contexts}
    else:
        values = {**_OF_A_PRODUCT.get(kind, {}), "product_id": product_ids}
    fields |= {name: draw(value) for name, value in values.items()}
    if kind is ProductUpserted:
        product = Product(product_id=ProductId(fields["product_id"]), title=draw(st.text(max_size=3)))
        fields["product"] = product
    event: Event = kind(**fields)
    return event


@st.composite
def told_histories(
    draw: st.DrawFn, most: int = 60, kinds: Sequence[Any] = EVERYTHING, ids_max: int = 100
) -> list[Event]:
    """Facts of some kinds in order of arrival, some of them more than once, under so many event ids."""
    facts: list[Event] = []
    for _ in range(draw(st.integers(0, most))):
        again = facts and draw(st.integers(0, 9)) == 0
        facts.append(draw(st.sampled_from(facts)) if again else draw(_told(kinds, ids_max)))
    return facts


moments = st.sampled_from([-1.0, 0.0, 0.5, 60.0, 1_801.0, 86_400.0, 10**7]).map(
    lambda seconds: BEGIN + timedelta(seconds=seconds)
)
