"""Which files were imported to their end: a file that comes again is recognised by its content and changes nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime
from typing import NamedTuple

from ingest.embedded import SqliteFile
from ingest.vocabulary.clock import epoch_ms, from_epoch_ms

LEDGER_SCHEMA = """
CREATE TABLE imports (import BLOB PRIMARY KEY, finished_ms INTEGER NOT NULL, report BLOB NOT NULL) WITHOUT ROWID
"""


class Entry(NamedTuple):
    """A finished import: when, and its report as it was then."""

    finished_at: datetime
    report: bytes


class ImportLedger:
    """The finished imports, in the embedded file.

    It saves the work of a second reading; that nothing is taken twice is the event ids' doing.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def find(self, key: bytes) -> Entry | None:
        """The finished import of this key, if there is one."""
        row = self._file.reader().execute("SELECT finished_ms, report FROM imports WHERE import = ?", (key,)).fetchone()
        return None if row is None else Entry(from_epoch_ms(row[0]), row[1])

    def finish(self, key: bytes, finished_at: datetime, report: bytes) -> None:
        """Note that an import came to its end."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO imports VALUES (?, ?, ?)", (key, epoch_ms(finished_at), report))

        self._file.write(work)


def import_key(content: bytes, dialect: str, options: bytes) -> bytes:
    """What makes two imports the same: the content of the file, the dialect and how the file was read."""
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update(dialect.encode() + b"\0" + options)
    return digest.digest()
