"""Housekeeping forgets idle visitors, in the log, so that a replay comes to the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.folding.replay import rebuild, verify
from ingest.privacy import Alias
from ingest.vocabulary.events import CustomerIdentified, ProductViewed
from personalization.customer.projection import ProfileProjection
from recommender.segments import TailProjection
from serving.idle_visitors import expire_idle_visitors
from tests.support.build import incoming
from tests.support.embedded import Embedded, embedded, states_of, temporary_folder

PROJECTIONS = (ProfileProjection(), TailProjection())
IDLE_DAYS = 30


@pytest.fixture
def dangol() -> Iterator[Embedded]:
    with temporary_folder() as folder, embedded(folder, PROJECTIONS) as made:
        yield made


def view(dangol: Embedded, *, customer: str | None = None, anonymous: str | None = None) -> None:
    now = dangol.clock.now()
    event = incoming(ProductViewed, customer=customer, anonymous=anonymous, occurred_at=now, received_at=now)
    dangol.collector.collect([event])


def expire(dangol: Embedded) -> int:
    return expire_idle_visitors(
        dangol.store, dangol.log, dangol.keyring.is_customer, idle_days=IDLE_DAYS, now=dangol.clock.now()
    )


def is_remembered(dangol: Embedded, anonymous: str) -> bool:
    subject = dangol.keyring.find(Alias("anonymous", anonymous))
    assert subject is not None
    return dangol.projector.state("profile", subject) is not None


def test_idle_visitors_are_forgotten_and_customers_are_not(dangol: Embedded) -> None:
    for number in range(700):
        view(dangol, anonymous=f"early-{number}")
    view(dangol, customer="mary")
    view(dangol, anonymous="johns-phone")
    dangol.collector.collect([incoming(CustomerIdentified, customer="john", anonymous="johns-phone")])
    dangol.clock.forward(days=20)
    view(dangol, anonymous="early-7")
    view(dangol, anonymous="late")
    dangol.clock.forward(days=15)
    before = dangol.store.count("profile")
    assert expire(dangol) == 699
    assert dangol.store.count("profile") == before - 699
    assert not is_remembered(dangol, "early-1")
    assert is_remembered(dangol, "early-7")
    assert is_remembered(dangol, "late")
    assert is_remembered(dangol, "johns-phone"), "a way to who they are is kept"
    assert expire(dangol) == 0


def test_a_replay_forgets_the_same_visitors(dangol: Embedded) -> None:
    for day in range(0, 120, 10):
        view(dangol, anonymous="now-and-then")
        view(dangol, anonymous=f"once-{day}")
        dangol.clock.forward(days=10 if day != 50 else 45)
        expire(dangol)
    assert verify(dangol.log, dangol.store, PROJECTIONS).difference is None
    kept = states_of(dangol.store, PROJECTIONS)
    dangol.store.clear()
    rebuild(dangol.log, dangol.store, PROJECTIONS)
    assert states_of(dangol.store, PROJECTIONS) == kept
    subject = dangol.keyring.find(Alias("anonymous", "now-and-then"))
    assert subject is not None
    assert dangol.projector.state("profile", subject).views == 6, "counted anew after they had been away"
