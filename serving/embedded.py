"""The embedded deployment: everything in two SQLite files of the data folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ingest.dead_letters import DeadLetter
from ingest.embedded import SqliteFile
from ingest.folding.embedded import EmbeddedProjector
from ingest.folding.fold import Poison
from ingest.folding.replay import rebuild
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.ledgers.sqlite import LEDGER_SCHEMA, SqliteImportLedger
from ingest.letters.sqlite import DEAD_LETTERS_SCHEMA, SqliteDeadLetters
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.ports import AnyProjection
from serving.engine import Backend

FILE_VERSION = 1
MAIN_FILE = "dangol.sqlite3"
KEYRING_FILE = "keyring.sqlite3"


def embedded_backend(folder: Path, projections: Sequence[AnyProjection], clock: Clock) -> Backend:
    """Open the files of a data folder; a replay that was cut off is finished first."""
    keyring_file = SqliteFile(folder / KEYRING_FILE, schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
    schema = ";".join((LOG_SCHEMA, STATES_SCHEMA, DEAD_LETTERS_SCHEMA, LEDGER_SCHEMA))
    file = SqliteFile(folder / MAIN_FILE, schema=schema, version=FILE_VERSION)
    keyring = SqliteKeyring(keyring_file)
    log, store = SqliteEventLog(file), SqliteStateStore(file)
    dead_letters = SqliteDeadLetters(file, keyring)
    if store.positions() != log.ends():
        rebuild(log, store, projections)

    def set_aside(connection: sqlite3.Connection, poison: Sequence[Poison]) -> None:
        dead_letters.add_within(connection, letters_of(poison), at_ms=epoch_ms(clock.now()))

    def close() -> None:
        file.close()
        keyring_file.close()

    projector = EmbeddedProjector(log, store, projections, set_aside=set_aside)
    projector.on_others.append(keyring.forget_cached)
    file.before_group.append(projector.begin)
    file.before_commit.append(projector.fold_within)
    file.after_group.append(projector.finish)
    return Backend(log, store, keyring, dead_letters, SqliteImportLedger(file), projector, file.checkpoint, close)


def letters_of(poison: Sequence[Poison]) -> list[DeadLetter]:
    """What could not be folded, as letters."""
    return [
        DeadLetter(
            source=f"fold:{each.projection}",
            code="unfoldable",
            detail=each.reason,
            place=f"partition {each.recorded.position.partition}, offset {each.recorded.position.offset}",
            payload=encode_event(each.recorded.event).hex(),
        )
        for each in poison
    ]
