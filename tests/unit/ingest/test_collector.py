"""The one way in: times, identity, consent and sealing, on literal histories."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest

from ingest.collector import (
    FUTURE_MAX,
    Collector,
    Incoming,
    Outcome,
    count_by_status,
    received,
    refusal,
)
from ingest.privacy import Alias
from ingest.vocabulary import events as facts
from ingest.vocabulary.errors import MalformedEvent, Unavailable
from ingest.vocabulary.events import CustomerEvent, Event
from ingest.vocabulary.ids import Subject
from tests.support.build import NOON, HandClock, incoming, product
from tests.support.embedded import Embedded, embedded, read_all, temporary_folder

VISITOR = Alias("anonymous", "a-7")
MARY = Alias("customer", "mary")
JOHN = Alias("customer", "john")


@pytest.fixture
def dangol() -> Iterator[Embedded]:
    with temporary_folder() as folder, embedded(folder) as opened:
        yield opened


def kept(dangol: Embedded) -> list[Any]:
    """The facts in the log, by their event ids."""
    return sorted((recorded.event for recorded in read_all(dangol.log)), key=lambda event: event.event_id)


def only(dangol: Embedded, kind: type[Event] = CustomerEvent) -> Any:
    (event,) = [event for event in kept(dangol) if isinstance(event, kind)]
    return event


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def viewed(event_id: str, **fields: Any) -> Incoming:
    return incoming(facts.ProductViewed, event_id=event_id, **{"anonymous": "a-7"} | fields)


def identified(event_id: str, *, customer: str = "mary", anonymous: str | None = "a-7", **fields: Any) -> Incoming:
    return incoming(facts.CustomerIdentified, event_id=event_id, customer=customer, anonymous=anonymous, **fields)


def test_outcomes_come_in_the_order_of_the_facts(dangol: Embedded) -> None:
    facts_ = [
        viewed("e-1"),
        viewed("e-2", anonymous=None),
        viewed("e-1"),
        identified("e-3"),
        viewed("e-4"),
        viewed("e-5", anonymous=None),
    ]
    outcomes = dangol.collector.collect(facts_)
    assert [outcome.event_id for outcome in outcomes] == ["e-1", "e-2", "e-1", "e-3", "e-4", "e-5"]
    assert statuses(outcomes) == ["accepted", "refused", "repeated", "accepted", "accepted", "refused"]


def test_outcomes_carry_the_senders_own_names(dangol: Embedded) -> None:
    facts_ = [viewed("e-1"), identified("e-2"), viewed("e-3", anonymous=None), viewed("e-4")]
    outcomes = dangol.collector.collect(facts_, echo=["one", None, "three", "four"])
    assert [outcome.event_id for outcome in outcomes] == ["one", None, "three", "four"]
    assert statuses(outcomes) == ["accepted", "accepted", "refused", "accepted"]


def test_nothing_collected_is_nothing_answered(dangol: Embedded) -> None:
    assert dangol.collector.collect([]) == []


def test_a_fact_is_of_the_subject_behind_its_id(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1"), viewed("e-2", customer="mary", anonymous=None)])
    first, second = kept(dangol)
    assert first.subject == dangol.keyring.find(VISITOR)
    assert second.subject == dangol.keyring.find(MARY)


def test_a_fact_with_both_ids_is_the_customers_and_links_nothing(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1")])
    visitor = dangol.keyring.find(VISITOR)
    order = incoming(facts.OrderCompleted, customer="mary", anonymous="a-7", order_id="o-9")
    assert statuses(dangol.collector.collect([order])) == ["accepted"]
    assert only(dangol, facts.OrderCompleted).subject == dangol.keyring.find(MARY)
    assert dangol.keyring.find(VISITOR) == visitor != dangol.keyring.find(MARY)


def test_a_fact_about_nobody_is_refused(dangol: Embedded) -> None:
    (outcome,) = dangol.collector.collect([viewed("e-1", anonymous=None)])
    assert outcome == Outcome("e-1", "refused", "identity_missing", "customer_id or anonymous_id is needed")
    assert kept(dangol) == []


def test_what_is_personal_is_sealed_for_its_subject(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1", personal={"ip": "192.0.2.1"})])
    event = only(dangol)
    assert b"192.0.2.1" not in event.personal
    assert dangol.keyring.open(event.subject, event.personal) == {"ip": "192.0.2.1"}


@pytest.mark.parametrize("personal", [None, {}])
def test_nothing_personal_is_kept_as_nothing(dangol: Embedded, personal: dict[str, Any] | None) -> None:
    dangol.collector.collect([viewed("e-1", personal=personal)])
    assert only(dangol).personal is None


def test_a_fact_about_a_product_needs_nobody(dangol: Embedded) -> None:
    stated = product("p-1", title="One")
    assert statuses(dangol.collector.collect([Incoming(stated)])) == ["accepted"]
    assert kept(dangol) == [stated]


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=1), FUTURE_MAX])
def test_a_clock_that_is_a_little_fast_is_set_right(dangol: Embedded, ahead: timedelta) -> None:
    (outcome,) = dangol.collector.collect([viewed("e-1", occurred_at=NOON + ahead, received_at=NOON)])
    assert outcome.status == "accepted"
    assert only(dangol).occurred_at == NOON


def test_the_past_is_kept_as_it_was(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1", occurred_at=NOON - timedelta(days=900), received_at=NOON)])
    assert only(dangol).occurred_at == NOON - timedelta(days=900)


def test_a_fact_of_the_far_future_is_refused(dangol: Embedded) -> None:
    too_far = FUTURE_MAX + timedelta(seconds=1)
    for fact in (
        viewed("e-1", occurred_at=NOON + too_far, received_at=NOON),
        identified("e-2", occurred_at=NOON + too_far, received_at=NOON),
        Incoming(
            facts.StockChanged(event_id="e-3", product_id="p", stock=1, occurred_at=NOON + too_far, received_at=NOON)
        ),
    ):
        (outcome,) = dangol.collector.collect([fact])
        assert (outcome.status, outcome.code, outcome.pointer) == ("refused", "future_dated", "/occurred_at")
        assert outcome.detail == "occurred_at is 0:05:01 in the future"
    assert kept(dangol) == []


def test_five_minutes_are_the_most_a_clock_may_be_ahead() -> None:
    assert timedelta(minutes=5) == FUTURE_MAX


def test_each_guest_order_has_a_subject_of_its_own(dangol: Embedded) -> None:
    orders = [
        incoming(facts.OrderCompleted, order_id=f"o-{number}", personal={"email": "guest@example.org"})
        for number in range(3)
    ]
    assert statuses(dangol.collector.collect(orders)) == ["accepted"] * 3
    assert len({event.subject for event in kept(dangol)} - {""}) == 3
    assert {event.personal for event in kept(dangol)} == {None}, "nobody could ever ask for it to be forgotten"


def test_a_guest_order_told_twice_counts_once(dangol: Embedded) -> None:
    order = incoming(facts.OrderCompleted, order_id="o-1")
    assert statuses(dangol.collector.collect([order])) == ["accepted"]
    assert statuses(dangol.collector.collect([order])) == ["repeated"]


@pytest.mark.parametrize("kind", [facts.OrderCancelled, facts.OrderRefunded])
def test_what_comes_back_without_ids_goes_to_the_orderer(dangol: Embedded, kind: type[Event]) -> None:
    dangol.collector.collect([incoming(facts.OrderCompleted, customer="mary", order_id="o-1")])
    (outcome,) = dangol.collector.collect([incoming(kind, order_id="o-1")])
    assert outcome.status == "accepted"
    assert only(dangol, kind).subject == dangol.keyring.find(MARY)


def test_what_comes_back_with_its_order_in_one_batch_goes_to_the_orderer(dangol: Embedded) -> None:
    dangol.collector.collect(
        [
            incoming(facts.OrderCompleted, customer="mary", order_id="o-1"),
            incoming(facts.OrderCompleted, order_id="o-2"),
            incoming(facts.OrderCancelled, event_id="c-1", order_id="o-1"),
            incoming(facts.OrderCancelled, event_id="c-2", order_id="o-2"),
        ]
    )
    by_order: dict[str, set[str]] = {}
    for event in kept(dangol):
        by_order.setdefault(event.order_id, set()).add(event.subject)
    assert by_order["o-1"] == {dangol.keyring.find(MARY)}
    assert len(by_order["o-2"]) == 1


def test_what_comes_back_of_an_unknown_order_is_kept_as_somebodys(dangol: Embedded) -> None:
    (outcome,) = dangol.collector.collect([incoming(facts.OrderCancelled, order_id="unheard-of")])
    assert outcome.status == "accepted"
    assert len(only(dangol).subject) == 22


def test_what_comes_back_with_an_id_is_that_customers(dangol: Embedded) -> None:
    dangol.collector.collect([incoming(facts.OrderCompleted, customer="mary", order_id="o-1")])
    dangol.collector.collect([incoming(facts.OrderRefunded, customer="john", order_id="o-1")])
    assert only(dangol, facts.OrderRefunded).subject == dangol.keyring.find(JOHN)


def test_who_refused_analytics_is_not_watched(dangol: Embedded) -> None:
    dangol.consents[dangol.keyring.resolve([VISITOR])[VISITOR]] = {"analytics": False}
    (outcome,) = dangol.collector.collect([viewed("e-1")])
    assert outcome == Outcome("e-1", "refused", "consent_denied", "the person has not agreed to analytics")
    assert kept(dangol) == []


@pytest.mark.parametrize("consent", [{}, {"analytics": True}, {"ads": False}])
def test_who_did_not_refuse_analytics_is_remembered(dangol: Embedded, consent: dict[str, bool]) -> None:
    dangol.consents[dangol.keyring.resolve([VISITOR])[VISITOR]] = consent
    assert statuses(dangol.collector.collect([viewed("e-1")])) == ["accepted"]


@pytest.mark.parametrize(
    "kind",
    [
        facts.OrderCompleted,
        facts.OrderRefunded,
        facts.OrderCancelled,
        facts.ConsentChanged,
        facts.CustomerIdentified,
        facts.CustomerErased,
    ],
)
def test_what_the_shop_must_know_is_kept_without_consent(dangol: Embedded, kind: type[Event]) -> None:
    dangol.consents[dangol.keyring.resolve([MARY])[MARY]] = {"analytics": False}
    assert statuses(dangol.collector.collect([incoming(kind, customer="mary")])) == ["accepted"]


def test_identifying_an_unknown_visitor_makes_one_person(dangol: Embedded) -> None:
    assert statuses(dangol.collector.collect([identified("e-1")])) == ["accepted"]
    mary = dangol.keyring.find(MARY)
    assert dangol.keyring.find(VISITOR) == mary
    assert (only(dangol).subject, only(dangol).known) == (mary, mary)


def test_identifying_a_visitor_tells_the_visitors_own_subject(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1")])
    visitor = dangol.keyring.find(VISITOR)
    dangol.collector.collect([identified("e-2", personal={"email": "mary@example.org"})])
    event = only(dangol, facts.CustomerIdentified)
    mary = dangol.keyring.find(MARY)
    assert (event.subject, event.known) == (visitor, mary)
    assert visitor != mary
    assert dangol.keyring.find(VISITOR) == mary
    assert dangol.keyring.linked(mary) == [mary, visitor]
    assert dangol.keyring.open(visitor, event.personal) == {"email": "mary@example.org"}
    assert only(dangol, facts.ProfileMerged).subject == mary, "the history moved"


def test_facts_around_an_identification_are_before_and_after_it(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1"), identified("e-2"), viewed("e-3")])
    by_id = {event.event_id: event for event in kept(dangol)}
    assert by_id["e-1"].subject == by_id["e-2"].subject
    assert by_id["e-3"].subject == by_id["e-2"].known == dangol.keyring.find(MARY)


def test_identifying_without_a_visitor_keeps_the_traits(dangol: Embedded) -> None:
    dangol.collector.collect([identified("e-1", anonymous=None, personal={"email": "m"})])
    event = only(dangol)
    assert event.subject == event.known == dangol.keyring.find(MARY)
    assert dangol.keyring.open(event.subject, event.personal) == {"email": "m"}
    assert dangol.keyring.aliases(event.subject) == [MARY]


def test_identifying_without_personal_data_seals_nothing(dangol: Embedded) -> None:
    dangol.collector.collect([identified("e-1")])
    assert only(dangol).personal is None


def test_a_browser_that_changes_hands_merges_no_customers(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1"), identified("e-2")])
    mary = dangol.keyring.find(MARY)
    dangol.collector.collect([identified("e-3", customer="john"), viewed("e-4")])
    john = dangol.keyring.find(JOHN)
    by_id = {event.event_id: event for event in kept(dangol)}
    assert by_id["e-3"].subject == by_id["e-3"].known == john
    assert by_id["e-4"].subject == john
    assert mary is not None
    assert john is not None
    assert mary not in dangol.keyring.linked(john)
    assert john not in dangol.keyring.linked(mary)


def test_identifying_again_changes_nothing(dangol: Embedded) -> None:
    dangol.collector.collect([viewed("e-1"), identified("e-2")])
    before = kept(dangol)
    assert statuses(dangol.collector.collect([identified("e-2")])) == ["repeated"]
    assert kept(dangol) == before


def test_a_crash_between_append_and_link_is_mended_by_the_retry(
    dangol: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    dangol.collector.collect([viewed("e-1")])
    visitor = dangol.keyring.find(VISITOR)

    def crash(*_: object) -> None:
        raise Unavailable("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(dangol.keyring, "link", crash)
        with pytest.raises(Unavailable):
            dangol.collector.collect([identified("e-2")])
    assert dangol.keyring.find(VISITOR) == visitor
    assert statuses(dangol.collector.collect([identified("e-2")])) == ["repeated"]
    mary = dangol.keyring.find(MARY)
    assert dangol.keyring.find(VISITOR) == mary
    assert only(dangol, facts.CustomerIdentified).subject == visitor
    assert len([event for event in kept(dangol) if isinstance(event, facts.ProfileMerged)]) == 1


def test_identifying_as_nobody_is_refused(dangol: Embedded) -> None:
    (outcome,) = dangol.collector.collect([incoming(facts.CustomerIdentified, event_id="e-1", anonymous="a-7")])
    assert outcome == Outcome("e-1", "refused", "identity_missing", "customer_id is needed", "/customer_id")
    assert kept(dangol) == []


def test_a_log_that_is_down_refuses_the_whole_batch(dangol: Embedded) -> None:
    dangol.file.close()
    with pytest.raises(Unavailable):
        dangol.collector.collect([viewed("e-1")])


def test_a_fact_without_a_time_occurred_now() -> None:
    clock = HandClock()
    assert received(clock, None) == (NOON, NOON)
    assert received(clock, NOON - timedelta(1)) == (NOON - timedelta(1), NOON)


def test_a_refusal_says_what_where_and_why() -> None:
    error = MalformedEvent("no", pointer="/a", code="c")
    assert refusal("e", error) == Outcome("e", "refused", "c", "no", "/a")


def test_outcomes_are_counted_by_status() -> None:
    assert count_by_status([]) == {"accepted": 0, "repeated": 0, "refused": 0}
    several = [Outcome("1", "accepted"), Outcome("2", "refused"), Outcome("3", "accepted"), Outcome("4", "repeated")]
    assert count_by_status(several) == {"accepted": 2, "repeated": 1, "refused": 1}


def test_a_collector_asks_for_consent_by_subject(dangol: Embedded) -> None:
    asked: list[str] = []

    def consents(subjects: Collection[str]) -> dict[Subject, dict[str, bool]]:
        asked.extend(subjects)
        return {}

    Collector(dangol.log, dangol.keyring, dangol.clock, consents).collect([viewed("e-1")])
    assert asked == [dangol.keyring.find(VISITOR)]
