"""The embedded deployment on a temporary folder, wired as the composition root wires it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.catalog import CatalogueProjection
from ingest.click_tokens import ClickTokens
from ingest.collector import Collector
from ingest.dead_letters import DeadLetter
from ingest.embedded import SqliteFile
from ingest.erasure import Erasure
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.letters.sqlite import DEAD_LETTERS_SCHEMA, SqliteDeadLetters
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.projector import EmbeddedProjector, Poison
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import PARTITIONS, Subject
from ingest.vocabulary.ports import AnyProjection, EventLog, StateStore
from tests.support.build import HandClock
from tests.support.projections import TrailProjection

SCHEMA = LOG_SCHEMA + ";" + STATES_SCHEMA + ";" + DEAD_LETTERS_SCHEMA
VERSION = 1
MAIN_FILE = "dangol.sqlite3"
KEYRING_FILE = "keyring.sqlite3"


class Embedded:
    """Everything of the embedded deployment that holds facts. Tests may set `consents` and `clock`."""

    def __init__(self, folder: Path, projections: Sequence[AnyProjection]) -> None:
        self.folder = folder
        self.projections = tuple(projections)
        self.clock = HandClock()
        self.consents: dict[Subject, dict[str, bool]] = {}
        self.keyring_file = SqliteFile(folder / KEYRING_FILE, schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
        self.keyring = SqliteKeyring(self.keyring_file)
        self.file = SqliteFile(folder / MAIN_FILE, schema=SCHEMA, version=VERSION)
        self.dead_letters = SqliteDeadLetters(self.file, self.keyring)
        self.log = SqliteEventLog(self.file)
        self.store = SqliteStateStore(self.file)
        self.projector = EmbeddedProjector(self.log, self.store, projections, set_aside=self._set_aside)
        self.file.before_group.append(self.projector.begin)
        self.file.before_commit.append(self.projector.fold_within)
        self.file.after_group.append(self.projector.finish)
        self.tokens = ClickTokens(self.keyring.secret("click-tokens"))
        self.collector = Collector(self.log, self.keyring, self.clock, lambda _: self.consents)
        self.erasure = Erasure(self.log, self.keyring, self.dead_letters, self.clock)

    def close(self) -> None:
        """Close both files."""
        self.file.close()
        self.keyring_file.close()

    def _set_aside(self, connection: sqlite3.Connection, poison: Sequence[Poison]) -> None:
        letters = [
            DeadLetter(
                source=f"projection {each.projection}",
                code="unfoldable",
                detail=each.reason,
                place=str(each.recorded.position),
                payload="",
            )
            for each in poison
        ]
        self.dead_letters.add_within(connection, letters, at_ms=0)


@contextlib.contextmanager
def embedded(folder: Path, projections: Sequence[AnyProjection] | None = None) -> Iterator[Embedded]:
    """The embedded deployment in a folder, closed at the end."""
    opened = Embedded(folder, (TrailProjection(), CatalogueProjection()) if projections is None else projections)
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in memory where there is one: laws need hundreds of folders, and none of them a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def read_all(log: EventLog) -> list[Recorded]:
    """Every fact of a log, partition by partition."""
    found: list[Recorded] = []
    for partition in range(PARTITIONS):
        after = -1
        while batch := log.read(partition, after=after, limit=7):
            found += batch
            after = batch[-1].position.offset
    return found


def states_of(store: StateStore, projections: Sequence[AnyProjection]) -> dict[tuple[str, str], bytes]:
    """Every state of some projections."""
    return {(each.name, key): stored for each in projections for key, stored in store.scan(each.name)}
