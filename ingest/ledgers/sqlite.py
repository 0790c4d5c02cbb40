"""The import ledger of the embedded deployment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from ingest.embedded import SqliteFile
from ingest.ledger import Entry
from ingest.vocabulary.clock import epoch_ms, from_epoch_ms

LEDGER_SCHEMA = """
CREATE TABLE imports (import BLOB PRIMARY KEY, finished_ms INTEGER NOT NULL, report BLOB NOT NULL) WITHOUT ROWID
"""


class SqliteImportLedger:
    """The finished imports, in the embedded file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def find(self, key: bytes) -> Entry | None:
        """The finished import of this key, if there is one."""
        row = self._file.reader().execute("SELECT finished_ms, report FROM imports WHERE import = ?", (key,)).fetchone()
        return None if row is None else Entry(from_epoch_ms(row[0]), row[1])

    def all(self) -> Iterator[tuple[bytes, Entry]]:
        """Every finished import with its key."""
        for key, finished_ms, report in self._file.reader().execute("SELECT * FROM imports"):
            yield bytes(key), Entry(from_epoch_ms(finished_ms), report)

    def finish(self, key: bytes, finished_at: datetime, report: bytes) -> None:
        """Note that an import came to its end."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO imports VALUES (?, ?, ?)", (key, epoch_ms(finished_at), report))

        self._file.write(work)
