"""Facts become lessons: which decisions were made, and what each of them earned.

People are kept by their subject, and as one once a visitor turns out to be a known customer, so that an order at the
checkout finds the homepage that was shown before signing in. Facts have to come in the order of their reception; the
same facts in that order always teach the same. Local to whoever folds, which is why it may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.events import (
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    Event,
    HomepageShown,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
)
from ingest.vocabulary.ids import RequestId, Subject
from personalization.customer.orders import order_lines
from personalization.experiments.attribution import (
    EMPTY,
    Attribution,
    Change,
    Decision,
    evolve_added,
    evolve_called_off,
    evolve_clicked,
    evolve_decided,
    evolve_ordered,
    merged,
)

TEACHING = (  # the kinds of facts that say anything about decisions
    HomepageShown,
    RankingClicked,
    ProductViewed,
    ProductAdded,
    OrderCompleted,
    OrderCancelled,
    OrderRefunded,
    CustomerIdentified,
    CustomerErased,
)
links_max = 100_000  # visitors who turned out to be somebody; facts under the visitor's name end within minutes
rows_max = 800  # of a person: forty decisions of twenty rows


class _Person:
    """What somebody was shown and did; `decision_of` has the decisions by the rows of their pages."""

    __slots__ = ("attribution", "decision_of")

    def __init__(self) -> None:
        self.attribution: Attribution = EMPTY
        self.decision_of: dict[RequestId, str] = {}


class Lessons:
    """What decisions under a name earned, from facts in the order of their reception.

    Args:
        learner: the name; decisions under any other teach nothing here.
        window_ms: a decision earns what happens so long after it.
    """

    def __init__(self, learner: str, window_ms: int) -> None:
        self._learner, self._window_ms = learner, window_ms
        self._people: dict[Subject, _Person] = {}
        self._links: dict[Subject, Subject] = {}

    def __len__(self) -> int:
        return len(self._people)

    def learn(self, event: Event) -> tuple[Change, ...]:
        """What a fact changes. Cost: 10 µs for a page that was shown, 15 to 30 for what follows it, 1.5 for others."""
        if not isinstance(event, CustomerEvent):
            return ()
        subject = self._links.get(event.subject, event.subject)
        match event:
            case HomepageShown():
                return self._shown(subject, event) if event.learner == self._learner else ()
            case CustomerIdentified(known=known) if known != event.subject:
                self._identified(subject, known)
                return ()
            case CustomerErased():
                self._people.pop(subject, None)
                return ()
        person = self._people.get(subject)
        return () if person is None else self._did(person, event)

    def forget_before(self, at_ms: int) -> None:
        """Let go of people who were last shown something two windows before a moment: nothing they do counts."""
        oldest_ms = at_ms - 2 * self._window_ms
        gone = [subject for subject, person in self._people.items() if _newest_ms(person) < oldest_ms]
        for subject in gone:
            del self._people[subject]

    def _shown(self, subject: Subject, event: HomepageShown) -> tuple[Change, ...]:
        person = self._people.setdefault(subject, _Person())
        decision = Decision(event.request_id, self._learner, event.variant, epoch_ms(event.occurred_at), event.features)
        person.attribution, changes = evolve_decided(person.attribution, decision)
        person.decision_of.update(dict.fromkeys(event.rows, event.request_id))
        while len(person.decision_of) > rows_max:
            del person.decision_of[next(iter(person.decision_of))]
        return changes

    def _did(self, person: _Person, event: CustomerEvent) -> tuple[Change, ...]:
        """What something that somebody did earns."""
        state, at_ms = person.attribution, epoch_ms(event.occurred_at)
        match event:
            case RankingClicked() | ProductViewed():
                row = event.request_id
                decision = None if row is None else person.decision_of.get(row)
                if decision is None:
                    return ()
                evolved = evolve_clicked(state, decision, at_ms, self._window_ms)
            case ProductAdded():
                evolved = evolve_added(state, at_ms, self._window_ms)
            case OrderCompleted(order_id=order_id, lines=lines):
                evolved = evolve_ordered(state, order_id, order_lines(lines)[1], at_ms, self._window_ms)
            case OrderCancelled(order_id=order_id) | OrderRefunded(order_id=order_id, lines=()):
                credit = state.orders.get(order_id)
                if credit is None or at_ms - credit.at_ms > self._window_ms:
                    return ()
                evolved = evolve_called_off(state, order_id)
            case _:
                return ()
        person.attribution, changes = evolved
        return changes

    def _identified(self, visitor: Subject, known: Subject) -> None:
        known = self._links.get(known, known)
        if known == visitor:
            return
        self._links[visitor] = known
        while len(self._links) > links_max:
            del self._links[next(iter(self._links))]
        absorbed = self._people.pop(visitor, None)
        if absorbed is None:
            return
        person = self._people.setdefault(known, _Person())
        person.attribution = merged(person.attribution, absorbed.attribution)
        person.decision_of = {**absorbed.decision_of, **person.decision_of}


def in_order_of_reception(events: Sequence[Event]) -> Iterator[Event]:
    """Facts by when they were received, of equal moments by their ids: an order that every reading of a log has."""
    return iter(sorted(events, key=lambda event: (event.received_at, event.event_id)))


def _newest_ms(person: _Person) -> int:
    pending = person.attribution.pending
    return pending[-1].decision.at_ms if pending else 0
