"""The one composition root: the only place that chooses backends and reads the environment.

What only answering or training needs is imported when first asked for: most commands need neither, and it costs more to
load than they take.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing.util
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.catalog import CatalogueProjection, CatalogueView
from ingest.click_tokens import ClickTokens
from ingest.collector import Collector
from ingest.dead_letters import DeadLetter
from ingest.embedded import SqliteFile
from ingest.erasure import Erasure, Forgotten
from ingest.importer import ImportTargets
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.ledgers.sqlite import LEDGER_SCHEMA, SqliteImportLedger
from ingest.letters.sqlite import DEAD_LETTERS_SCHEMA, SqliteDeadLetters
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.projector import EmbeddedProjector, Poison, read_batches
from ingest.replay import Progress, Replayed, rebuild
from ingest.replay import verify as compare
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.clock import Clock, SystemClock, epoch_ms
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.errors import DangolError
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import FROM_THE_START, CustomerId, Subject
from personalization.customer.projection import ProfileProjection
from recommender.segments import TailProjection, is_within
from recommender.snapshot import SnapshotStore
from serving.access import AccessKeys
from serving.configuration import Configuration, load_configuration
from serving.folder import CONFIGURATION_FILE, make_folder, require_folder, server_lock, training_lock
from serving.metrics import Metrics
from serving.people import People

if TYPE_CHECKING:
    from flask import Flask

    from recommender.training import Trained
    from serving.answers import Answers
    from serving.recommendations import Recommendations

FOLDER_VARIABLE = "DANGOL_DATA"
CONFIGURATION_VARIABLE = "DANGOL_CONFIG"
FILE_VERSION = 1
MAIN_FILE = "dangol.sqlite3"
KEYRING_FILE = "keyring.sqlite3"

# One BLAS thread and one kernel: the same log must give the same bytes whatever the machine has.
DETERMINISTIC_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


class Engine:
    """Everything that lives in one data folder, wired for the embedded deployment."""

    def __init__(self, folder: Path, configuration: Configuration, clock: Clock) -> None:
        self.folder, self.configuration, self.clock = folder, configuration, clock
        self.configuration_id = configuration.configuration_id
        self.metrics = Metrics()
        self.keys = AccessKeys(folder)
        self._keyring_file = SqliteFile(folder / KEYRING_FILE, schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
        schema = ";".join((LOG_SCHEMA, STATES_SCHEMA, DEAD_LETTERS_SCHEMA, LEDGER_SCHEMA))
        self.file = SqliteFile(folder / MAIN_FILE, schema=schema, version=FILE_VERSION)
        self.keyring = SqliteKeyring(self._keyring_file)
        self.tokens = ClickTokens(self.keyring.secret("click-tokens"))
        self.log = SqliteEventLog(self.file)
        self.store = SqliteStateStore(self.file)
        self.dead_letters = SqliteDeadLetters(self.file, self.keyring)
        self.ledger = SqliteImportLedger(self.file)
        self.projections = (CatalogueProjection(), ProfileProjection(), TailProjection())
        if self.store.positions() != self.log.ends():  # a replay was cut off: finish it
            rebuild(self.log, self.store, self.projections)
        self.projector = EmbeddedProjector(self.log, self.store, self.projections, set_aside=self._set_aside)
        self.projector.on_others.append(self.keyring.forget_cached)
        self.file.before_group.append(self.projector.begin)
        self.file.before_commit.append(self.projector.fold_within)
        self.file.after_group.append(self.projector.finish)
        self.collector = Collector(self.log, self.keyring, clock, self.consents_of)
        self.erasure = Erasure(self.log, self.keyring, self.dead_letters, clock)
        self.people = People(self.log, self.keyring, self.projector)
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

    def close(self) -> None:
        """Write what is queued and let go of the files."""
        if self._answers is not None:
            self._answers.close()
        self.file.close()
        self._keyring_file.close()

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
        """Erase a customer and leave no byte in the write-ahead log of the main file either."""
        forgotten = self.erasure.forget(customer_id)
        self.file.checkpoint()
        return forgotten

    def batches(self, cut: Sequence[int]) -> Iterator[list[Recorded]]:
        """The facts up to a cut, partition by partition."""
        for partition, upto in enumerate(cut):
            yield from read_batches(self.log, partition, after=-1, upto=upto)

    def events(self, cut: Sequence[int], until: datetime | None) -> Iterator[Event]:
        """The facts up to a cut; only what was known at `until`, if that is given."""
        for batch in self.batches(cut):
            for recorded in batch:
                if until is None or recorded.event.known_at <= until:
                    yield recorded.event

    def train(
        self, *, until: datetime | None = None, progress: Callable[[str, float], None] = lambda _, __: None
    ) -> Trained:
        """Make a snapshot of everything in the log and publish it; one of the past is kept and not put into use."""
        from recommender.training import train

        lock = training_lock(self.folder)
        try:
            cut = self.store.positions()
            trained = train(self.events(cut, until), self.configuration.models, self.snapshots, progress)
            if until is None:
                self.snapshots.publish(trained.snapshot_id, cut, trained.reference_time)
                self.drop_unneeded_segments()
            else:
                self.snapshots.note(trained.snapshot_id, cut, trained.reference_time, known_until=until)
        finally:
            lock.release()
        return trained

    def recommendations_at(self, moment: datetime | None) -> Recommendations:
        """Rows as they would have been answered at a moment, or as they are now."""
        from serving.time_travel import recommendations_at

        return self.recommendations if moment is None else recommendations_at(self, moment)

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
        try:
            self.store.positions()
        except DangolError as error:
            for name in ("log", "profiles"):
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
        """Whether a state must still be there: the tail's are dropped once every kept snapshot contains them."""
        return projection != TailProjection.name or not is_within(key, self._oldest_cut())

    def _oldest_cut(self) -> tuple[int, ...]:
        cuts = [publication.cut for publication in self.snapshots.kept()]
        return tuple(min(offsets) for offsets in zip(*cuts, strict=True)) if cuts else FROM_THE_START

    def replay(self, *, verify: bool, progress: Progress) -> Replayed:
        """Rebuild every state, or compare them with what the log comes to."""
        if verify:
            return compare(self.log, self.store, self.projections, needed=self.is_needed, progress=progress)
        lock = server_lock(self.folder)
        try:
            self.store.clear()
            return rebuild(self.log, self.store, self.projections, progress)
        finally:
            lock.release()

    def _set_aside(self, connection: sqlite3.Connection, poison: Sequence[Poison]) -> None:
        letters = [
            DeadLetter(
                source=f"fold:{each.projection}",
                code="unfoldable",
                detail=each.reason,
                place=f"partition {each.recorded.position.partition}, offset {each.recorded.position.offset}",
                payload=encode_event(each.recorded.event).hex(),
            )
            for each in poison
        ]
        self.dead_letters.add_within(connection, letters, at_ms=epoch_ms(self.clock.now()))


@contextmanager
def open_engine(folder: Path, configuration_path: Path | None, *, create: bool = False) -> Iterator[Engine]:
    """The engine of a data folder, for a command; closed in any case.

    Raises:
        ConfigurationError: there is no such folder or configuration, or they cannot be used.
    """
    make_folder(folder) if create else require_folder(folder)
    path = configuration_path or folder / CONFIGURATION_FILE
    configuration = load_configuration(path, required=configuration_path is not None)
    engine = Engine(folder, configuration, SystemClock())
    try:
        yield engine
    finally:
        engine.close()


def open_keys(folder: Path) -> tuple[AccessKeys, Clock]:
    """The API keys of a folder."""
    return AccessKeys(make_folder(folder)), SystemClock()


def with_deterministic_arithmetic() -> None:
    """Start this process over with one BLAS thread and a fixed kernel, unless it has them: training needs them."""
    if any(os.environ.get(name) != value for name, value in DETERMINISTIC_ENVIRONMENT.items()):
        os.environ.update(DETERMINISTIC_ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-m", "serving", *sys.argv[1:]])  # noqa: S606 - ourselves


def tell_workers(folder: Path, configuration_path: Path | None) -> None:
    """Leave word for the worker process, which is started with nothing but this environment."""
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    os.environ.pop(CONFIGURATION_VARIABLE, None)
    if configuration_path is not None:
        os.environ[CONFIGURATION_VARIABLE] = str(configuration_path.resolve())


def served_application() -> Flask:
    """The application of a server's worker process, with its background threads."""
    from serving.app import create_app
    from serving.background import Worker

    _die_with_the_parent()
    folder = Path(os.environ[FOLDER_VARIABLE])
    written = os.environ.get(CONFIGURATION_VARIABLE)
    path = Path(written) if written else folder / CONFIGURATION_FILE
    engine = Engine(folder, load_configuration(path, required=written is not None), SystemClock())
    arguments = ["--data", str(folder), *(["--config", written] if written else [])]
    worker = Worker(engine, arguments, {**os.environ, **DETERMINISTIC_ENVIRONMENT})
    multiprocessing.util.Finalize(None, worker.close, exitpriority=100)
    return create_app(engine)


def _die_with_the_parent() -> None:
    """Linux ends this process when its parent is killed, so that a killed server frees its port and folder."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
