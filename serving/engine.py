"""One shop's Dangol: what collects, folds, trains and answers, over backends that somebody else chose.

What only answering or training needs is imported when first asked for: most commands need neither, and it costs more to
load than they take.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ingest.catalog import CatalogueView
from ingest.click_tokens import ClickTokens
from ingest.collector import Collector
from ingest.dead_letters import DeadLetters
from ingest.erasure import Erasure, Forgotten
from ingest.folding.fold import read_batches
from ingest.folding.followers import FoldedStates
from ingest.folding.repeats import Repeats
from ingest.folding.replay import Progress, Replayed, rebuild
from ingest.folding.replay import verify as compare
from ingest.importer import ImportTargets
from ingest.ledger import ImportLedger
from ingest.privacy import Keyring
from ingest.vocabulary.clock import Clock
from ingest.vocabulary.errors import ConfigurationError, Corrupt, DangolError, NotFound
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import FROM_THE_START, CustomerId, Subject
from ingest.vocabulary.ports import AnyProjection, EventLog
from personalization.customer.projection import ProfileProjection
from recommender.segments import TailProjection, is_within
from recommender.snapshot import SnapshotStore
from serving.access import AccessKeys
from serving.columns import LogColumns
from serving.configuration import Configuration
from serving.folder import server_lock, training_lock
from serving.idle_visitors import expire_idle_visitors
from serving.metrics import Metrics
from serving.people import People
from serving.what_is_over import drop_what_is_over, is_kept

if TYPE_CHECKING:
    from ingest.archive.archivist import Archivist
    from ingest.folding.group import GroupProjector
    from ingest.states.redis import RedisStateStore
    from ingest.states.sqlite import SqliteStateStore
    from recommender.interactions import Interactions
    from recommender.training import GoingOn, Trained
    from serving.answers import Answers
    from serving.home.homepages import Homepages
    from serving.recommendations import Recommendations


class Backend(NamedTuple):
    """Where facts and what follows from them are kept.

    Attributes:
        states: the folded states as answers read them.
        repeats: tells which facts of the log count.
        is_complete: whether the states are those of everything that was ever folded; False while lost ones come back.
        start_over: forgets every state, for a replay from zero.
        purge: leaves no byte of what was erased in places that are only emptied later.
        close: writes what is queued and lets go.
        project: a projector of the group that folds; None where folding is part of appending, in one process.
        archivist: keeps what the log will forget; None where it forgets nothing.
        advice: what an operator could do better, in sentences.
    """

    log: EventLog
    store: SqliteStateStore | RedisStateStore
    keyring: Keyring
    dead_letters: DeadLetters
    ledger: ImportLedger
    states: FoldedStates
    repeats: Repeats
    is_complete: Callable[[], bool]
    start_over: Callable[[], None]
    purge: Callable[[], None]
    close: Callable[[], None]
    project: Callable[[], GroupProjector] | None = None
    archivist: Archivist | None = None
    advice: tuple[str, ...] = ()


class Engine:
    """Everything that answers, collects and trains for one shop, whatever its backends are."""

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        clock: Clock,
        projections: Sequence[AnyProjection],
        backend: Backend,
        weather_key: str | None = None,
    ) -> None:
        self.weather_key = weather_key
        self.folder, self.configuration, self.clock = folder, configuration, clock
        self.configuration_id = configuration.configuration_id
        self.projections, self._backend = tuple(projections), backend
        self.advice = backend.advice
        self.log, self.store, self.projector = backend.log, backend.store, backend.states
        self.keyring, self.dead_letters, self.ledger = backend.keyring, backend.dead_letters, backend.ledger
        self.metrics = Metrics()
        self.keys = AccessKeys(folder)
        self.tokens = ClickTokens(self.keyring.secret("click-tokens"))
        self.collector = Collector(self.log, self.keyring, clock, self.consents_of)
        self.erasure = Erasure(self.log, self.keyring, self.dead_letters, clock)
        self.people = People(self.log, self.keyring, self.projector)
        self.columns = LogColumns(folder, self.log, backend.repeats)
        self.snapshots = SnapshotStore(folder / "snapshots")
        self._answers: Answers | None = None
        self.erasure.resume()

    @property
    def answers(self) -> Answers:
        """What answering needs, loaded when first asked for."""
        if self._answers is None:
            from serving.answers import Answers

            self._answers = Answers(self)
        return self._answers

    @property
    def catalogue(self) -> CatalogueView:
        """The catalogue as it is now."""
        return self.answers.catalogue

    @property
    def recommendations(self) -> Recommendations:
        """Rows as they are answered now."""
        return self.answers.recommendations

    @property
    def homepages(self) -> Homepages:
        """Homepages as they are answered now."""
        return self.answers.home.homepages

    def close(self) -> None:
        """Write what is queued and let go of the files."""
        if self._answers is not None:
            self._answers.close()
        self._backend.close()

    def consents_of(self, subjects: Collection[Subject]) -> Mapping[Subject, Mapping[str, bool]]:
        """What people agreed to, by purpose; who said nothing is absent."""
        profiles = self.projector.states(ProfileProjection.name, subjects)
        return {Subject(subject): profile.consent for subject, profile in profiles.items() if profile.consent}

    def import_targets(self) -> ImportTargets:
        """Where an import goes; it asks the catalogue which products are known."""
        catalogue = CatalogueView()
        catalogue.load(self.store)
        return ImportTargets(self.collector, self.ledger, self.dead_letters, catalogue.knows, self.clock)

    def forget(self, customer_id: CustomerId) -> Forgotten:
        """Erase a customer and leave no byte where the backend only meant to remove it later."""
        forgotten = self.erasure.forget(customer_id)
        self._backend.purge()
        return forgotten

    def batches(self, cut: Sequence[int]) -> Iterator[list[Recorded]]:
        """The facts up to a cut, partition by partition."""
        for partition, upto in enumerate(cut):
            for batch in read_batches(self.log, partition, after=-1, upto=upto):
                yield list(self._backend.repeats.without(batch))

    def events(self, cut: Sequence[int], until: datetime | None) -> Iterator[Event]:
        """The facts up to a cut; only what was known at `until`, if that is given. Training reads `columns`."""
        for batch in self.batches(cut):
            for recorded in batch:
                if until is None or recorded.event.known_at <= until:
                    yield recorded.event

    def train(
        self,
        *,
        until: datetime | None = None,
        progress: Callable[[str, float], None] = lambda _, __: None,
        force: bool = False,
        from_last: bool = False,
    ) -> Trained:
        """Make a snapshot of everything in the log and publish it; one of the past is kept and not put into use.

        Args:
            until: only what was known then.
            progress: told the step that begins and the share that is done.
            force: publish it whatever the guard says.
            from_last: keep what the last full search chose, while the shop has changed little.

        Raises:
            SnapshotRefused: it is much smaller or worse than the one in use, and not forced; nothing has changed.
        """
        from recommender import buyers
        from recommender.checkpoints import Checkpoints
        from recommender.interactions import assembled
        from recommender.training import train

        lock = training_lock(self.folder)
        try:
            cut = self.store.positions()
            check = self._guard if until is None and not force else lambda arrays: None

            more: dict[str, Any] = {}

            def history() -> Interactions:
                self.columns.extend(cut)
                columns = self.columns.read(cut)
                more.update(buyers.arrays_of(buyers.thresholds_of(columns, until)))
                return assembled(columns, until)

            going_on = self._last() if from_last else None
            finished = Checkpoints(self.folder / "training")
            models = self.configuration.models
            trained = train(history, models, self.snapshots, progress, check, going_on, finished, more)
            if until is None:
                self.snapshots.publish(trained.snapshot_id, cut, trained.reference_time)
                self.drop_unneeded_segments()
            else:
                self.snapshots.note(trained.snapshot_id, cut, trained.reference_time, known_until=until)
            finished.clear()
        finally:
            lock.release()
        return trained

    def _last(self) -> GoingOn | None:
        """The snapshot in use, to go on from; None where there is none, or its bytes are not those of its name."""
        from recommender.ranker.keeping import SearchBounds
        from recommender.training import GoingOn

        schedule = self.configuration.training
        with contextlib.suppress(Corrupt, NotFound):
            publication = self.snapshots.current()
            if publication is not None:
                self.snapshots.verify(publication.snapshot_id)
                bounds = SearchBounds(schedule.search_every_days, schedule.search_after_share)
                return GoingOn(self.snapshots.open(publication.snapshot_id), bounds)
        return None

    def _guard(self, arrays: Mapping[str, Any]) -> None:
        """Compare a new snapshot with the one in use, as far as that can be read."""
        from recommender.guard import Margins, judge

        schedule = self.configuration.training
        with contextlib.suppress(Corrupt, NotFound):
            publication = self.snapshots.current()
            if publication is not None:
                last = self.snapshots.open(publication.snapshot_id)
                judge(arrays, last, Margins(schedule.smaller_max, schedule.worse_max))

    def recommendations_at(self, moment: datetime | None) -> Recommendations:
        """Rows as they would have been answered at a moment, or as they are now."""
        if moment is None:
            return self.recommendations
        from serving.time_travel import recommendations_at

        return recommendations_at(self, moment)

    def measure(self) -> None:
        """Bring the gauges up to date."""
        ends, positions = self.log.ends(), self.store.positions()
        self.metrics.log_facts.set(sum(end + 1 for end in ends))
        self.metrics.projector_lag.set(sum(ends) - sum(positions))
        self.metrics.dead_letters.set(self.dead_letters.count())
        self.metrics.products.set(len(self.catalogue))
        publication = self.snapshots.current()
        if publication is not None:
            self.metrics.snapshot_timestamp.set(publication.reference_time.timestamp())

    def checks(self) -> dict[str, dict[str, str]]:
        """What the service depends on, each `pass`, `warn` (answers are degraded) or `fail`."""
        checks = {name: {"status": "pass"} for name in ("log", "profiles", "catalogue", "snapshot", "tail")}
        for name, works in (("log", self.log.ends), ("profiles", self._backend.is_complete)):
            try:
                if works() is False:
                    checks[name] = {"status": "warn", "detail": "states were lost and are being folded again"}
            except DangolError as error:
                checks[name] = {"status": "warn", "detail": error.message}
        for name in self.answers.moment.now().degraded:
            checks[name] = {"status": "warn", "detail": "there is no trained snapshot yet: `dangol train`"}
        return checks

    def drop_unneeded_segments(self) -> None:
        """Remove the tail's segments that every kept snapshot contains."""
        oldest = self._oldest_cut()
        keys = [key for key, _ in self.store.scan(TailProjection.name) if is_within(key, oldest)]
        self.store.drop(TailProjection.name, keys)

    def is_needed(self, projection: str, key: str) -> bool:
        """Whether a state must still be there: some are dropped once nothing reads or changes them any more."""
        if projection == TailProjection.name:
            return not is_within(key, self._oldest_cut())
        return is_kept(projection, key, self.clock.now())

    def _oldest_cut(self) -> tuple[int, ...]:
        cuts = [publication.cut for publication in self.snapshots.kept()]
        return tuple(min(offsets) for offsets in zip(*cuts, strict=True)) if cuts else FROM_THE_START

    def replay(self, *, verify: bool, progress: Progress) -> Replayed:
        """Rebuild every state and the columns, or compare them with what the log comes to."""
        repeats = self._backend.repeats
        if verify:
            needed = self.is_needed
            found = compare(self.log, self.store, self.projections, needed=needed, progress=progress, repeats=repeats)
            return found if found.difference else msgspec.structs.replace(found, difference=self.columns.difference())
        with contextlib.ExitStack() as held:
            if self._backend.project is None:
                held.callback(server_lock(self.folder).release)
            self._backend.start_over()
            replayed = rebuild(self.log, self.store, self.projections, progress, repeats)
        self.columns.rebuild(self.store.positions())
        return replayed

    def projector_of_the_group(self) -> GroupProjector:
        """One more projector.

        Raises:
            ConfigurationError: in this deployment, folding is part of appending.
        """
        if self._backend.project is None:
            raise ConfigurationError("without [distributed] in dangol.toml the server folds by itself: `dangol serve`")
        return self._backend.project()

    def keep_house(self) -> None:
        """What is due once in a while: archive what the log will forget, let go of visitors who stay away."""
        if self._backend.archivist is not None:
            self._backend.archivist.catch_up()
            self._backend.archivist.compact()
        drop_what_is_over(self.store, self.clock.now())
        idle_days = self.configuration.privacy.idle_visitor_days
        if idle_days:
            now, is_customer = self.clock.now(), self.keyring.is_customer
            expire_idle_visitors(self.store, self.log, is_customer, idle_days=idle_days, now=now)

    @property
    def is_complete(self) -> bool:
        """Whether the states are those of everything that was ever folded; False while lost ones come back."""
        return self._backend.is_complete()

    @property
    def is_distributed(self) -> bool:
        """Whether others collect, fold, train and answer beside this process."""
        return self._backend.project is not None
