"""The one composition root: the only place that chooses backends and reads the environment."""

from __future__ import annotations

import ctypes
import multiprocessing.util
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from flask import Flask

from ingest.catalog import CatalogueProjection, CatalogueView
from ingest.click_tokens import ClickTokens
from ingest.collector import Collector
from ingest.dead_letters import DEAD_LETTERS_SCHEMA, DeadLetter, DeadLetters
from ingest.embedded import SqliteFile
from ingest.erasure import Erasure, Forgotten
from ingest.importer import ImportTargets
from ingest.ledger import LEDGER_SCHEMA, ImportLedger
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.privacy import KEYRING_SCHEMA, KEYRING_VERSION, Keyring
from ingest.projector import EmbeddedProjector, Poison, read_batches
from ingest.replay import Progress, Replayed, rebuild, verify
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.clock import Clock, SystemClock, epoch_ms
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import CustomerId, Subject
from personalization.customer.projection import ProfileProjection
from recommender.snapshot import SnapshotStore
from recommender.tail import TailProjection
from serving.access import AccessKeys
from serving.configuration import Configuration, load_configuration
from serving.folder import CONFIGURATION_FILE, ServerLock, make_folder, require_folder
from serving.metrics import Metrics
from serving.people import People

FOLDER_VARIABLE = "DANGOL_DATA"
CONFIGURATION_VARIABLE = "DANGOL_CONFIG"
FILE_VERSION = 1
MAIN_FILE = "dangol.sqlite3"
KEYRING_FILE = "keyring.sqlite3"

_log = structlog.get_logger(__name__)


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
        self.keyring = Keyring(self._keyring_file)
        self.tokens = ClickTokens(self.keyring.secret("click-tokens"))
        self.log = SqliteEventLog(self.file)
        self.store = SqliteStateStore(self.file)
        self.dead_letters = DeadLetters(self.file, self.keyring)
        self.ledger = ImportLedger(self.file)
        self.projections = (CatalogueProjection(), ProfileProjection(), TailProjection())
        if self.store.positions() != self.log.ends():  # a replay was cut off: finish it
            rebuild(self.file, self.log, self.store, self.projections)
        self.projector = EmbeddedProjector(self.log, self.store, self.projections, set_aside=self._set_aside)
        self.file.before_group.append(self.projector.begin)
        self.file.before_commit.append(self.projector.fold_within)
        self.file.after_group.append(self.projector.finish)
        self.collector = Collector(self.log, self.keyring, clock, self.consent_of)
        self.erasure = Erasure(self.log, self.keyring, self.dead_letters, clock)
        self.people = People(self.log, self.keyring, self.projector)
        self.snapshots = SnapshotStore(folder / "snapshots")
        self.erasure.resume()

    def close(self) -> None:
        """Write what is queued and let go of the files."""
        self.file.close()
        self._keyring_file.close()

    def consent_of(self, subject: Subject) -> Mapping[str, bool]:
        """What a person agreed to, by purpose."""
        profile = self.projector.state(ProfileProjection.name, subject)
        return {} if profile is None else profile.consent

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

    def events(self, cut: Sequence[int], *, until: datetime | None = None) -> Iterator[Event]:
        """The facts up to a cut, partition by partition; only what was known at `until`, if that is given."""
        for partition, upto in enumerate(cut):
            for batch in read_batches(self.log, partition, after=-1, upto=upto):
                for recorded in batch:
                    if until is None or recorded.event.known_at <= until:
                        yield recorded.event

    def replay(self, *, verify: bool, progress: Progress) -> Replayed:
        """Rebuild every state, or compare them with what the log comes to."""
        if verify:
            return _verify(self, progress)
        lock = ServerLock(self.folder)
        try:
            self.store.clear()
            return rebuild(self.file, self.log, self.store, self.projections, progress)
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


def _verify(engine: Engine, progress: Progress) -> Replayed:
    return verify(engine.log, engine.store, engine.projections, progress=progress)


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
