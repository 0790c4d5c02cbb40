"""The one way in for facts: times, identity, consent, sealing, then the log.

A dialect turns what others send into `Incoming`; the collector decides whose fact it is, seals what identifies the
person, and appends. The answer says of each fact whether it was accepted, repeated or refused, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from ingest.privacy import Alias, Keyring, Personal
from ingest.vocabulary.clock import Clock
from ingest.vocabulary.errors import DangolError, MalformedEvent
from ingest.vocabulary.events import (
    CatalogueEvent,
    ConsentChanged,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    Event,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
)
from ingest.vocabulary.ids import AnonymousId, CustomerId, OrderId, Subject, new_subject, order_event_id
from ingest.vocabulary.ports import EventLog

FUTURE_MAX = timedelta(minutes=5)  # clocks of phones are off by less; more is a mistake worth telling

ORDER_EVENTS = (OrderCompleted, OrderRefunded, OrderCancelled)
KEPT_WITHOUT_CONSENT = (*ORDER_EVENTS, CustomerIdentified, ConsentChanged, CustomerErased)

Status = Literal["accepted", "repeated", "refused"]
Consents = Callable[[Collection[Subject]], Mapping[Subject, Mapping[str, bool]]]  # by purpose; absent: never asked


class Incoming(NamedTuple):
    """A fact as a dialect reads it: whose it is by the shop's ids, and what of it is personal.

    The subject of `event` is empty; the collector fills it in.
    """

    event: Event
    customer_id: CustomerId | None = None
    anonymous_id: AnonymousId | None = None
    personal: Personal | None = None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one fact."""

    event_id: str | None
    status: Status
    code: str | None = None
    detail: str | None = None
    pointer: str | None = None


class Collector:
    """Takes facts in. Any thread may call; callers at the same time share an fsync."""

    def __init__(self, log: EventLog, keyring: Keyring, clock: Clock, consents: Consents) -> None:
        self._log, self._keyring, self._clock, self._consents = log, keyring, clock, consents

    def collect(self, facts: Sequence[Incoming], *, echo: Sequence[str | None] | None = None) -> list[Outcome]:
        """Take facts in, in order; the outcomes are in the same order.

        Args:
            facts: what dialects made of what was sent.
            echo: the sender's own event ids, to be answered with.

        Raises:
            Unavailable: the log did not acknowledge; none of a run between two identifications was kept.
        """
        outcomes: list[Outcome] = []
        names = echo if echo is not None else [fact.event.event_id for fact in facts]
        start = 0
        for index, fact in enumerate(facts):
            if isinstance(fact.event, CustomerIdentified):
                outcomes += self._collect_run(facts[start:index], names[start:index])
                outcomes.append(self._identify(fact, names[index]))
                start = index + 1
        return outcomes + self._collect_run(facts[start:], names[start:])

    def _collect_run(self, facts: Sequence[Incoming], names: Sequence[str | None]) -> list[Outcome]:
        aliases = [_alias(fact) for fact in facts]
        subjects = self._keyring.resolve(alias for alias in aliases if alias is not None)
        events: list[Event] = []
        orderers: dict[OrderId, Subject] = {}
        unwilling = self._unwilling(set(subjects.values()))  # what this run says of consent counts from the next on
        refused: dict[int, Outcome] = {}
        for index, fact in enumerate(facts):
            try:
                event = self._prepare(fact, aliases[index], subjects, orderers, unwilling)
            except MalformedEvent as error:
                refused[index] = refusal(names[index], error)
            else:
                events.append(event)
                if isinstance(event, OrderCompleted):
                    orderers.setdefault(event.order_id, event.subject)
        written = self._log.append(events)
        if not refused:
            return [
                Outcome(name, "repeated" if position is None else "accepted")
                for name, position in zip(names, written, strict=True)
            ]
        positions = iter(written)
        return [
            refused.get(index) or Outcome(name, "repeated" if next(positions) is None else "accepted")
            for index, name in enumerate(names)
        ]

    def _prepare(
        self,
        fact: Incoming,
        alias: Alias | None,
        subjects: Mapping[Alias, Subject],
        orderers: Mapping[OrderId, Subject],
        unwilling: Collection[Subject],
    ) -> Event:
        event = _at_a_credible_time(fact.event)
        if not isinstance(event, CustomerEvent):
            assert isinstance(event, CatalogueEvent)
            return event
        if alias is not None:
            subject = subjects[alias]
            if subject in unwilling and not isinstance(event, KEPT_WITHOUT_CONSENT):
                raise MalformedEvent("the person has not agreed to analytics", code="consent_denied")
        elif isinstance(event, ORDER_EVENTS):
            subject = self._orderer(event, orderers) or new_subject()
        else:
            raise MalformedEvent("customer_id or anonymous_id is needed", code="identity_missing")
        sealed = self._keyring.seal(subject, fact.personal) if fact.personal and alias else None
        return replace(event, subject=subject, personal=sealed)

    def _unwilling(self, subjects: Collection[Subject]) -> set[Subject]:
        """Those who refuse to be followed."""
        return {subject for subject, consent in self._consents(subjects).items() if consent.get("analytics") is False}

    def _orderer(
        self, event: OrderCompleted | OrderRefunded | OrderCancelled, orderers: Mapping[OrderId, Subject]
    ) -> Subject | None:
        """Who placed the order that comes back, before or in this run; shops often send nothing but its id."""
        if isinstance(event, OrderCompleted):
            return None
        order = self._log.find(order_event_id(event.order_id))
        return order.subject if isinstance(order, OrderCompleted) else orderers.get(event.order_id)

    def _identify(self, fact: Incoming, name: str | None) -> Outcome:
        """Append first, link second: a crash in between is mended by the sender's retry, which links again."""
        try:
            if fact.customer_id is None:
                raise MalformedEvent("customer_id is needed", pointer="/customer_id", code="identity_missing")
            event = _at_a_credible_time(fact.event)
        except MalformedEvent as error:
            return refusal(name, error)
        known_alias = Alias("customer", fact.customer_id)
        known = self._keyring.resolve((known_alias,))[known_alias]
        visitor_alias = None if fact.anonymous_id is None else Alias("anonymous", fact.anonymous_id)
        visitor = None if visitor_alias is None else self._keyring.find(visitor_alias)
        if visitor is None or self._keyring.is_customer(visitor):
            visitor = known
        sealed = self._keyring.seal(visitor, fact.personal) if fact.personal else None
        event = replace(event, subject=visitor, known=known, personal=sealed)
        (position,) = self._log.append([event])
        if visitor_alias is not None:
            self._keyring.link(visitor_alias, known)
        return Outcome(name, "repeated" if position is None else "accepted")


def received(clock: Clock, occurred_at: datetime | None) -> tuple[datetime, datetime]:
    """(occurred_at, received_at) of a live fact: a fact without a time occurred now."""
    now = clock.now()
    return (now if occurred_at is None else occurred_at), now


def refusal(name: str | None, error: DangolError) -> Outcome:
    """The outcome of a fact that was not taken."""
    return Outcome(name, "refused", error.code, error.message, error.pointer)


def count_by_status(outcomes: Iterable[Outcome]) -> dict[Status, int]:
    """How many of each."""
    counts: dict[Status, int] = {"accepted": 0, "repeated": 0, "refused": 0}
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts


def _alias(fact: Incoming) -> Alias | None:
    if fact.customer_id is not None:
        return Alias("customer", fact.customer_id)
    if fact.anonymous_id is not None:
        return Alias("anonymous", fact.anonymous_id)
    return None


def _at_a_credible_time(event: Event) -> Event:
    if event.occurred_at <= event.received_at:
        return event
    if event.occurred_at > event.received_at + FUTURE_MAX:
        raise MalformedEvent(
            f"occurred_at is {event.occurred_at - event.received_at} in the future",
            pointer="/occurred_at",
            code="future_dated",
        )
    return replace(event, occurred_at=event.received_at)
