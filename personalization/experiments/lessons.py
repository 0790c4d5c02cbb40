"""What decisions of many people earned, from all facts in the order of their reception: for reports and estimates.

People are kept by their subject, and as one once a visitor turns out to be a known customer, so that an order at the
checkout finds the homepage that was shown before signing in. What counts is what the learner counts (`attributing.py`);
here every person's facts are at hand, and somebody else may say what a decision is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ingest.vocabulary.events import CustomerErased, CustomerEvent, CustomerIdentified, DecisionsMerged, Event, Shown
from ingest.vocabulary.ids import Subject
from personalization.experiments.attributing import evolve_all, evolve_did
from personalization.experiments.attribution import EMPTY, Attribution, Change, Decision, merged

links_max = 100_000  # visitors who turned out to be somebody; facts under the visitor's name end within minutes


class Lessons:
    """What decisions earned, from facts in the order of their reception; the same facts always teach the same.

    Args:
        decisions: what a fact says was decided, whoever decided it and by which policies.
    """

    def __init__(self, decisions: Callable[[Event], Sequence[Decision]]) -> None:
        self._decisions = decisions
        self._people: dict[Subject, Attribution] = {}
        self._links: dict[Subject, Subject] = {}

    def learn(self, event: Event) -> tuple[Change, ...]:
        """What a fact changes. Cost: 10 µs for a page that was shown, 15 to 30 for what follows it, 1.5 for others."""
        if not isinstance(event, CustomerEvent):
            return ()
        subject = self._links.get(event.subject, event.subject)
        match event:
            case CustomerIdentified(known=known):
                self._identified(subject, known)
                return ()
            case CustomerErased():
                self._people.pop(subject, None)
                return ()
            case DecisionsMerged():  # it moves what is known here already
                return ()
        decisions = self._decisions(event)
        state = self._people.get(subject)
        changes: tuple[Change, ...] = ()
        if decisions:
            state, changes = evolve_all(EMPTY if state is None else state, decisions)
        if state is not None and not isinstance(event, Shown):
            state, more = evolve_did(state, event)
            changes += more
        if state is not None:
            self._people[subject] = state
        return changes

    def same_person(self, visitor: Subject, known: Subject) -> None:
        """Somebody goes by two names: what was shown under one is told of by the other, as by a click."""
        self._identified(self._links.get(visitor, visitor), known)

    def _identified(self, visitor: Subject, known: Subject) -> None:
        known = self._links.get(known, known)
        if known == visitor:
            return
        self._links[visitor] = known
        while len(self._links) > links_max:
            del self._links[next(iter(self._links))]
        absorbed = self._people.pop(visitor, None)
        if absorbed is not None:
            self._people[known] = merged(self._people.get(known, EMPTY), absorbed)


def in_order_of_reception(events: Sequence[Event]) -> Iterator[Event]:
    """Facts by when they were received, of equal moments by their ids: an order that every reading of a log has."""
    return iter(sorted(events, key=lambda event: (event.received_at, event.event_id)))
