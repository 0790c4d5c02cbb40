"""Visitors who stay away are forgotten, by a fact; whoever came back is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingest.vocabulary.events import ConsentChanged, CustomerIdentified, ProductViewed, VisitorExpired
from personalization.customer.idle import expiry
from personalization.customer.profile import Profile
from personalization.customer.reducer import evolve
from tests.support.build import NOON, fact

LATER = NOON + timedelta(days=31)
MONTH_AGO = LATER - timedelta(days=30)


def seen(*more: object) -> Profile:
    """A visitor who viewed a product at noon, and what happened after."""
    profile = None
    for event in (fact(ProductViewed), *more):
        profile = evolve(profile, event)
    assert profile is not None
    return profile


def expired(profile: Profile) -> VisitorExpired:
    found = expiry("subject-1", profile, seen_before=MONTH_AGO, now=LATER)
    assert found is not None
    return found


def test_an_idle_visitor_leaves_nothing() -> None:
    assert evolve(seen(), expired(seen())) is None


def test_who_was_never_there_stays_nobody() -> None:
    assert evolve(None, fact(VisitorExpired)) is None


def test_who_came_back_before_the_fact_is_remembered() -> None:
    fact_of_before = expired(seen())
    back = seen(fact(ProductViewed, product_id="p-2", occurred_at=NOON + timedelta(seconds=1)))
    assert evolve(back, fact_of_before) == back


def test_a_refusal_outlives_the_history_and_an_agreement_does_not() -> None:
    asked = seen(fact(ConsentChanged, purposes={"ads": True, "personalization": False}))
    assert evolve(asked, expired(asked)) == Profile(consent={"personalization": False})
    agreed = seen(fact(ConsentChanged, purposes={"ads": True}))
    assert evolve(agreed, expired(agreed)) is None


def test_the_way_to_who_they_turned_out_to_be_outlives_the_history() -> None:
    pointer = seen(fact(CustomerIdentified, known="mary"), fact(ProductViewed, occurred_at=NOON + timedelta(seconds=1)))
    assert evolve(pointer, expired(pointer)) == Profile(merged_into="mary")


@pytest.mark.parametrize("profile", [Profile(), Profile(consent={"ads": False}), Profile(merged_into="mary")])
def test_who_was_never_seen_does_not_expire(profile: Profile) -> None:
    assert expiry("subject-1", profile, seen_before=MONTH_AGO, now=LATER) is None
    assert evolve(profile, fact(VisitorExpired)) == profile


def test_only_who_was_away_for_the_whole_time_expires() -> None:
    assert expiry("subject-1", seen(), seen_before=NOON, now=LATER) is None
    assert expiry("subject-1", seen(), seen_before=NOON + timedelta(milliseconds=1), now=LATER) is not None


def test_deciding_the_same_again_is_the_same_fact() -> None:
    again = expiry("subject-1", seen(), seen_before=MONTH_AGO, now=LATER + timedelta(days=1))
    assert again is not None
    assert again.event_id == expired(seen()).event_id
    other = expiry("subject-2", seen(), seen_before=MONTH_AGO, now=LATER)
    assert other is not None
    assert other.event_id != again.event_id
