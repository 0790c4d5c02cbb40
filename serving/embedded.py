"""The embedded deployment: everything in two SQLite files of the data folder."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.embedded import SqliteFile
from ingest.folding.embedded import EmbeddedProjector
from ingest.folding.fold import Poison
from ingest.folding.repeats import EVERY_FACT
from ingest.folding.replay import rebuild
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.ledgers.sqlite import LEDGER_SCHEMA, SqliteImportLedger
from ingest.letters.sqlite import DEAD_LETTERS_SCHEMA, SqliteDeadLetters
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import AnyProjection
from serving.engine import Backend
from serving.unfolded import letters_of

_SCHEMA = ";".join((LOG_SCHEMA, STATES_SCHEMA, DEAD_LETTERS_SCHEMA, LEDGER_SCHEMA))
FILE_VERSION = 1
MAIN_FILE = "dangol.sqlite3"
KEYRING_FILE = "keyring.sqlite3"


class EmbeddedShop(NamedTuple):
    """What a data folder holds that cannot be made again."""

    log: SqliteEventLog
    keyring: SqliteKeyring
    dead_letters: SqliteDeadLetters
    ledger: SqliteImportLedger


@contextlib.contextmanager
def embedded_shop(folder: Path) -> Iterator[EmbeddedShop]:
    """What is in a data folder, to be moved elsewhere; nothing is folded.

    Raises:
        ConfigurationError: the folder holds no embedded shop.
    """
    for name in (KEYRING_FILE, MAIN_FILE):
        if not (folder / name).is_file():
            raise ConfigurationError(f"{folder} is not the data folder of an embedded shop: there is no {name} in it")
    with (
        contextlib.closing(_keyring_file(folder)) as keyring_file,
        contextlib.closing(_main_file(folder)) as file,
    ):
        keyring = SqliteKeyring(keyring_file)
        yield EmbeddedShop(SqliteEventLog(file), keyring, SqliteDeadLetters(file, keyring), SqliteImportLedger(file))


def embedded_backend(folder: Path, projections: Sequence[AnyProjection], clock: Clock) -> Backend:
    """Open the files of a data folder; a replay that was cut off is finished first."""
    keyring_file, file = _keyring_file(folder), _main_file(folder)
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
    return Backend(
        log=log,
        store=store,
        keyring=keyring,
        dead_letters=dead_letters,
        ledger=SqliteImportLedger(file),
        states=projector,
        repeats=EVERY_FACT,
        is_complete=lambda: len(store.positions()) == PARTITIONS,
        start_over=store.clear,
        purge=file.checkpoint,
        close=close,
    )


def _keyring_file(folder: Path) -> SqliteFile:
    return SqliteFile(folder / KEYRING_FILE, schema=KEYRING_SCHEMA, version=KEYRING_VERSION)


def _main_file(folder: Path) -> SqliteFile:
    return SqliteFile(folder / MAIN_FILE, schema=_SCHEMA, version=FILE_VERSION)
