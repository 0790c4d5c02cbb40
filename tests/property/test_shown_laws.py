"""Laws of gathering shown lists: neither order nor repetition nor the room for them changes what is kept."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.events import Event, ProductViewed, RankingClicked, RankingShown
from recommender.columns.gathering import gathered
from recommender.interactions import interactions_of
from recommender.shown import Showings, ShownLists
from tests.support.build import NOON, fact

SUBJECTS, PRODUCTS = ("s", "t"), "abcde"
KNOWN: list[Event] = [
    fact(ProductViewed, event_id=f"{subject} {product}", product_id=product, subject=subject)
    for subject in SUBJECTS
    for product in PRODUCTS
]


@st.composite
def lists_and_clicks(draw: st.DrawFn) -> list[Event]:
    """Some lists, each with some clicks by one of two people; times often tie."""
    events: list[Event] = []
    for number in range(draw(st.integers(0, 8))):
        moment = NOON + timedelta(minutes=draw(st.integers(0, 3)))
        told = {"occurred_at": moment, "received_at": moment, "request_id": f"r{number}"}
        events.append(
            fact(
                RankingShown,
                event_id=f"r{number}",
                subject=draw(st.sampled_from(SUBJECTS)),
                product_ids=tuple(draw(st.lists(st.sampled_from(PRODUCTS), unique=True))),
                impersonal=draw(st.booleans()),
                **told,
            )
        )
        for product in draw(st.lists(st.sampled_from(PRODUCTS), max_size=2)):
            subject = draw(st.sampled_from(SUBJECTS))
            events.append(fact(RankingClicked, subject=subject, product_id=product, **told))
    return events


def same(one: ShownLists | None, other: ShownLists | None) -> bool:
    if one is None or other is None:
        return one is other
    parts = [(getattr(one, part.name), getattr(other, part.name)) for part in fields(ShownLists)]
    return all(np.array_equal(left, right) for left, right in parts)


@given(lists_and_clicks(), st.randoms(use_true_random=False), st.integers(0, 20))
def test_order_and_repetition_change_nothing(events: list[Event], random: np.random.Generator, again: int) -> None:
    told = [*events, *events[:again]]
    random.shuffle(told)  # type: ignore[arg-type]
    once, other = (interactions_of([*KNOWN, *each]).shown for each in (events, told))
    assert same(once, other)
    if once is not None:
        assert len(once.product) == len(once.clicked) == once.start[-1]
        assert (np.diff(once.time_s) >= 0).all()


@given(lists_and_clicks(), st.integers(1, 4))
def test_little_room_keeps_the_newest_in_any_order(events: list[Event], most: int) -> None:
    kept = []
    for told in (events, events[::-1], [*events, *events]):
        columns = gathered(told)
        each = {name: columns[f"lists.{name}"] for name in Showings._fields[:6]}
        newest = Showings(**each, product=columns["list_products.product"], placements=()).newest(most)
        assert len(newest.product) == newest.products.sum()
        kept.append(newest.time_s.tolist())
    every = sorted(int(event.occurred_at.timestamp()) for event in events if isinstance(event, RankingShown))
    assert kept == [every[-most:]] * 3
