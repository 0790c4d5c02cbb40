"""What was known at moments of the past, walked through from the oldest to the newest: profiles, catalogue, models.

Each answer is as `serving/time_travel.py` would give it, for one scan of the log for all of them together. Two things
differ. No snapshot is trained for each moment: a decision uses the one that made it, else the newest of its time, else
the one in use, which then knows what came later. And facts that were told out of order reach tail and catalogue when
the log had got to them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ingest.catalog import CatalogueView
from ingest.vocabulary.events import CatalogueEvent, CustomerEvent, OrderCompleted, Recorded
from ingest.vocabulary.ids import FROM_THE_START, PARTITIONS, SnapshotId, Subject
from personalization.customer.profile import Profile
from personalization.customer.projection import ProfileProjection
from personalization.page.shelf import Models
from recommender.live import LiveModels
from recommender.segments import says_something
from recommender.snapshot import Publication, newest_known
from recommender.tail import Tail
from serving.counterfactual.occasions import Gathered, Occasion, Source
from serving.moment import ModelsOnShelf, TailFollower, ordered_products
from serving.time_travel import is_in

if TYPE_CHECKING:
    from serving.engine import Engine

Facts = Mapping[Subject, list[Recorded]]
_Later = tuple[datetime, int, Recorded]


class Known(NamedTuple):
    """What was known when somebody asked; `hindsight` if the models know what came later."""

    profile: Profile | None
    models: Models
    hindsight: bool


class Past:
    """The shop as it was at the moments of some occasions, which are asked for oldest first.

    Attributes:
        shelf: the catalogue as of the last moment asked for; today's where occasions are imagined, because a history
            that was imported seldom says what the shop looked like.
        facts: everything about the people of the occasions, in the order it became known.

    Cost: a scan of the log; memory for the facts about these people, and for what tail and catalogue learned between
    the first occasion and the last.
    """

    def __init__(
        self,
        engine: Engine,
        gathered: Gathered,
        batches: Iterable[list[Recorded]],
        progress: Callable[[int], object],
    ) -> None:
        self._gathered = gathered
        self.shelf = CatalogueView()
        self._follows_catalogue = gathered.source == "shown"
        if not self._follows_catalogue:
            self.shelf.load(engine.store)
        publications = _Publications(engine)
        self._publications = [publications.of(each, gathered.source) for each in gathered.occasions]
        chosen = {_name(publication): publication for publication in self._publications}
        self._models = {name: _Models(engine, publication, self.shelf) for name, publication in chosen.items()}
        self._profiles: dict[Subject, _Unfolding] = {}
        self.facts, self._later = self._read(batches, progress)
        for models in self._models.values():
            models.make_ready(self.shelf)

    def walk(self) -> Iterator[tuple[Occasion, Known]]:
        """Each occasion with what was known at it; use it before asking for the next."""
        learned = 0
        for occasion, publication in zip(self._gathered.occasions, self._publications, strict=True):
            due = bisect_right(self._later, occasion.at, lo=learned, key=lambda entry: entry[0])
            self._learn([recorded for _, _, recorded in self._later[learned:due]])
            learned = due
            hindsight = publication is not None and publication.known_until > occasion.at
            models = self._models[_name(publication)].live
            yield occasion, Known(self._profile(occasion.subject, occasion.at), models, hindsight)

    def snapshot_of(self, at: int) -> SnapshotId | None:
        """The snapshot that an occasion is decided upon with; None for the tail alone."""
        publication = self._publications[at]
        return None if publication is None else publication.snapshot_id

    def _read(self, batches: Iterable[list[Recorded]], progress: Callable[[int], object]) -> tuple[Facts, list[_Later]]:
        """What is about these people, and what is learned between the first occasion and the last.

        What was known at the first is learned at once. A partition is learned in its order, as tails need it.
        """
        people, touched = _people(self._gathered), ProfileProjection().keys
        begin, end = self._gathered.occasions[0].at, self._gathered.occasions[-1].at
        facts: dict[Subject, list[Recorded]] = {}
        later: list[_Later] = []
        reached = [begin] * PARTITIONS
        for batch in batches:
            early = []
            for recorded in batch:
                event, partition = recorded.event, recorded.position.partition
                if isinstance(event, CustomerEvent) and event.subject in people and touched(recorded):
                    facts.setdefault(event.subject, []).append(recorded)
                if not (isinstance(event, CatalogueEvent) or says_something(event)) or event.known_at > end:
                    continue
                reached[partition] = max(reached[partition], event.known_at)
                if reached[partition] == begin:
                    early.append(recorded)
                else:
                    later.append((reached[partition], len(later), recorded))
            self._learn(early)
            progress(len(batch))
        for found in facts.values():
            found.sort(key=_known_at)
        later.sort(key=lambda entry: entry[:2])
        return facts, later

    def _learn(self, facts: list[Recorded]) -> None:
        """Let the catalogue, if it is not today's, and every tail know of some facts."""
        told = facts if self._follows_catalogue else [each for each in facts if isinstance(each.event, OrderCompleted)]
        self.shelf.follow(told)
        for models in self._models.values():
            models.follow(facts)

    def _profile(self, subject: Subject, moment: datetime) -> Profile | None:
        """What was known of somebody; of a visitor who had turned out to be a customer, of the customer."""
        profile = self._unfolded(subject, moment)
        if profile is not None and profile.merged_into is not None:
            return self._unfolded(profile.merged_into, moment) or profile
        return profile

    def _unfolded(self, subject: Subject, moment: datetime) -> Profile | None:
        if subject not in self._profiles:
            self._profiles[subject] = _Unfolding(self.facts.get(subject, []))
        return self._profiles[subject].until(moment)


class _Unfolding:
    """The profile of one subject, at one moment after the other."""

    def __init__(self, facts: list[Recorded]) -> None:
        self._facts, self._folded = facts, 0
        self._profile: Profile | None = None

    def until(self, moment: datetime) -> Profile | None:
        """What was known at a moment that is not before the last one asked for."""
        evolve = ProfileProjection().evolve
        while self._folded < len(self._facts) and self._facts[self._folded].event.known_at <= moment:
            self._profile = evolve(self._profile, self._facts[self._folded])
            self._folded += 1
        return self._profile


class _Models:
    """A snapshot, or none, with a tail of what it does not know."""

    def __init__(self, engine: Engine, publication: Publication | None, shelf: CatalogueView) -> None:
        self._publication = publication
        self._snapshot = None if publication is None else engine.snapshots.open(publication.snapshot_id)
        self._tail = Tail(shelf.index, self._snapshot, FROM_THE_START, engine.configuration.models)
        self._follower = TailFollower(self._tail)
        self._live: ModelsOnShelf | None = None

    @property
    def live(self) -> ModelsOnShelf:
        """What answers, once it is ready."""
        assert self._live is not None, "make_ready() comes first"
        return self._live

    def make_ready(self, shelf: CatalogueView) -> None:
        """Answer from now on; the tail goes on learning."""
        shelf.hear_of(ordered_products(self._snapshot))
        self._live = ModelsOnShelf(LiveModels(self._snapshot, self._tail, shelf.index, shelf.product), shelf)

    def follow(self, facts: Sequence[Recorded]) -> None:
        """Count what the snapshot does not know."""
        publication = self._publication
        self._follower.follow([each for each in facts if publication is None or not is_in(publication, each)])


class _Publications:
    """Which snapshot a decision is made with."""

    def __init__(self, engine: Engine) -> None:
        self._kept, self._current = engine.snapshots.kept(), engine.snapshots.current()
        self._by_id = {each.snapshot_id: each for each in self._kept}

    def of(self, occasion: Occasion, source: Source) -> Publication | None:
        """That which answered, if it is kept; else the newest of that time, else the one in use."""
        if source == "shown" and occasion.snapshot is None:
            return None  # the tail alone answered
        answered = None if occasion.snapshot is None else self._by_id.get(occasion.snapshot)
        return answered or newest_known(self._kept, occasion.at) or self._current


def _people(gathered: Gathered) -> set[Subject]:
    """Whoever asked, and whoever they turned out to be."""
    people = {occasion.subject for occasion in gathered.occasions}
    return people | {gathered.known[subject] for subject in people if subject in gathered.known}


def _known_at(recorded: Recorded) -> datetime:
    return recorded.event.known_at


def _name(publication: Publication | None) -> str:
    return "" if publication is None else publication.snapshot_id
