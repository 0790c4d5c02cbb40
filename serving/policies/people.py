"""Who was shown something, and what they did: the facts about them, in the order of their reception."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ingest.vocabulary.events import CustomerErased, CustomerIdentified, Event, HomepageShown, RankingShown, Shown
from ingest.vocabulary.ids import Subject
from personalization.experiments.attributing import TEACHING
from personalization.experiments.lessons import in_order_of_reception

if TYPE_CHECKING:
    from serving.engine import Engine

Progress = Callable[[str, int, int], None]


class ShownTo(NamedTuple):
    """What was shown, oldest first, and everything the people it was shown to did.

    Attributes:
        known: who a visitor turned out to be, by subject.
        facts: in the order of their reception, what was shown included.
        is_whole: whether nothing older was shown, beyond the limit.
    """

    shown: tuple[Shown, ...]
    known: Mapping[Subject, Subject]
    facts: tuple[Event, ...]
    is_whole: bool

    def person(self, subject: Subject) -> Subject:
        """The name a person is counted by: that of the known customer."""
        for _ in range(len(self.known)):
            if subject not in self.known:
                break
            subject = self.known[subject]
        return subject


def shown_to(engine: Engine, wanted: Callable[[Shown], bool], limit: int, progress: Progress) -> ShownTo:
    """The newest `limit` homepages or rows of some kind, without those of people who were forgotten.

    Cost: two scans of the log; memory for these, and for what their people ever did.
    """
    cut = engine.store.positions()
    total = sum(offset + 1 for offset in cut)
    newest = Newest(limit)
    known: dict[Subject, Subject] = {}
    erased: set[Subject] = set()
    for event in counted(engine.events(cut, None), "finding what was shown", total, progress):
        match event:
            case HomepageShown() | RankingShown() if wanted(event):
                newest.put(event)
            case CustomerIdentified() if event.known != event.subject:
                known[event.subject] = event.known
            case CustomerErased():
                erased.add(event.subject)
    shown = tuple(each for each in newest.sorted() if each.subject not in erased)
    people = with_their_names({each.subject for each in shown}, known)
    ids = {each.event_id for each in shown}
    facts = [
        event
        for event in counted(engine.events(cut, None), "reading what people did", total, progress)
        if isinstance(event, TEACHING)
        and event.subject in people
        and (not isinstance(event, Shown) or event.event_id in ids)
    ]
    return ShownTo(shown, known, tuple(in_order_of_reception(facts)), newest.is_whole)


class Newest:
    """The newest of what was shown."""

    def __init__(self, limit: int, is_whole: bool = True) -> None:
        self._limit, self.is_whole = limit, is_whole
        self._heap: list[tuple[datetime, str, Shown]] = []

    def put(self, event: Shown) -> None:
        """Keep it while it is one of the newest."""
        entry = (event.received_at, event.event_id, event)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)
            self.is_whole = False

    def sorted(self) -> Iterator[Shown]:
        """Those kept, oldest first."""
        return (event for _, _, event in sorted(self._heap, key=lambda entry: entry[:2]))


def with_their_names(people: set[Subject], known: Mapping[Subject, Subject]) -> set[Subject]:
    """People under every name they had: other visitors who turned out to be the same customer included."""
    heads = {known.get(subject, subject) for subject in people}
    return people | heads | {visitor for visitor, head in known.items() if head in heads}


def counted(events: Iterable[Event], step: str, total: int, progress: Progress) -> Iterator[Event]:
    """The same events; tells every thousand."""
    for number, event in enumerate(events):
        if number % 1_000 == 0:
            progress(step, number, total)
        yield event
    progress(step, total, total)
