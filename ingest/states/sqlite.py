"""Folded states on SQLite, in the same file as the log, so that append, fold and position share a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping

from ingest.embedded import SqliteFile
from ingest.vocabulary.errors import PositionConflict
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import StateChanges

STATES_SCHEMA = """
CREATE TABLE states (projection TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (projection, key)) WITHOUT ROWID;
CREATE TABLE positions (partition INTEGER PRIMARY KEY, folded INTEGER NOT NULL)
"""
_KEYS_MAX = 500  # SQLite's limit of variables in a statement is 32,766; smaller statements stay in its cache


class SqliteStateStore:
    """A `StateStore` in the embedded file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def positions(self) -> tuple[int, ...]:
        """The offset each partition is folded up to, -1 for none."""
        return tuple(self.positions_within(self._file.reader()))

    def load(self, projection: str, keys: Collection[str]) -> dict[str, bytes]:
        """The states of some keys; absent ones are absent."""
        return self.load_within(self._file.reader(), projection, keys)

    def scan(self, projection: str) -> Iterator[tuple[str, bytes]]:
        """All states of a projection, in order of their keys."""
        yield from self._file.reader().execute(
            "SELECT key, value FROM states WHERE projection = ? ORDER BY key", (projection,)
        )

    def count(self, projection: str) -> int:
        """How many states a projection has."""
        query = "SELECT count(*) FROM states WHERE projection = ?"
        count: int = self._file.reader().execute(query, (projection,)).fetchone()[0]
        return count

    def commit(self, changes: StateChanges, *, partition: int, before: int, after: int) -> None:
        """Keep `changes` (None removes) and move the partition's position from `before` to `after`.

        Raises:
            PositionConflict: the stored position is not `before`.
        """

        def work(connection: sqlite3.Connection) -> None:
            if self.positions_within(connection)[partition] != before:
                raise PositionConflict(f"partition {partition} is not folded up to {before}")
            self.keep_within(connection, changes, {partition: after})

        self._file.write(work)

    def clear(self) -> None:
        """Forget every state and position, for a replay from zero."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM states")
            connection.execute("DELETE FROM positions")

        self._file.write(work)

    def drop(self, projection: str, keys: Iterable[str]) -> None:
        """Remove states that nothing needs any more."""
        self._file.write(
            lambda connection: connection.executemany(
                "DELETE FROM states WHERE projection = ? AND key = ?", [(projection, key) for key in keys]
            )
        )

    def positions_within(self, connection: sqlite3.Connection) -> list[int]:
        """The positions as a transaction sees them."""
        positions = [-1] * PARTITIONS
        for partition, folded in connection.execute("SELECT partition, folded FROM positions"):
            positions[partition] = folded
        return positions

    def load_within(self, connection: sqlite3.Connection, projection: str, keys: Collection[str]) -> dict[str, bytes]:
        """The states of some keys as a transaction sees them."""
        found: dict[str, bytes] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _KEYS_MAX):
            part = wanted[start : start + _KEYS_MAX]
            marks = ",".join("?" * len(part))
            rows = connection.execute(
                f"SELECT key, value FROM states WHERE projection = ? AND key IN ({marks})",  # noqa: S608
                (projection, *part),
            )
            found.update(rows.fetchall())
        return found

    def keep_within(self, connection: sqlite3.Connection, changes: StateChanges, positions: Mapping[int, int]) -> None:
        """Write states and positions inside a transaction."""
        connection.executemany(
            "INSERT OR REPLACE INTO states VALUES (?, ?, ?)",
            [(projection, key, value) for (projection, key), value in changes.items() if value is not None],
        )
        connection.executemany(
            "DELETE FROM states WHERE projection = ? AND key = ?",
            [place for place, value in changes.items() if value is None],
        )
        connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items())
