"""The dead letters of the embedded deployment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ingest.dead_letters import DEAD_LETTERS_MAX, DeadLetter, LetterSeal, mentioning, refuse_too_many
from ingest.embedded import SqliteFile
from ingest.privacy import Keyring
from ingest.vocabulary.errors import NotFound

DEAD_LETTERS_SCHEMA = """
CREATE TABLE dead_letters (letter INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, source TEXT NOT NULL,
    code TEXT NOT NULL, place TEXT NOT NULL, sealed BLOB NOT NULL)
"""


class SqliteDeadLetters:
    """The letters, in the embedded file."""

    def __init__(self, file: SqliteFile, keyring: Keyring) -> None:
        self._file = file
        self._seal = LetterSeal(keyring)

    def add(self, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """Keep letters durably.

        Raises:
            Unavailable: there are too many already; look at them and replay or drop them first.
        """
        if letters:
            self._file.write(lambda connection: self.add_within(connection, letters, at_ms=at_ms))

    def add_within(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """The same inside a transaction."""
        refuse_too_many(count_within(connection) + len(letters))
        connection.executemany(
            "INSERT INTO dead_letters (at_ms, source, code, place, sealed) VALUES (?, ?, ?, ?, ?)",
            [(at_ms, letter.source, letter.code, letter.place, self._seal.seal(letter)) for letter in letters],
        )

    def count(self) -> int:
        """How many letters there are."""
        return count_within(self._file.reader())

    def all(self, *, limit: int = DEAD_LETTERS_MAX) -> Iterable[DeadLetter]:
        """The letters, oldest first."""
        rows = self._file.reader().execute(
            "SELECT letter, at_ms, source, code, place, sealed FROM dead_letters ORDER BY letter LIMIT ?",
            (limit,),
        )
        return [self._seal.open(*row) for row in rows.fetchall()]

    def places(self, source: str) -> set[str]:
        """Where the letters of a source stood."""
        rows = self._file.reader().execute("SELECT place FROM dead_letters WHERE source = ?", (source,))
        return {place for (place,) in rows}

    def get(self, letter: int) -> DeadLetter:
        """One letter.

        Raises:
            NotFound: there is none of that number.
        """
        row = (
            self._file.reader()
            .execute(
                "SELECT letter, at_ms, source, code, place, sealed FROM dead_letters WHERE letter = ?",
                (letter,),
            )
            .fetchone()
        )
        if row is None:
            raise NotFound(f"there is no dead letter {letter}")
        return self._seal.open(*row)

    def remove(self, letters: Iterable[int]) -> None:
        """Throw letters away."""
        self._file.write(
            lambda connection: connection.executemany(
                "DELETE FROM dead_letters WHERE letter = ?", [(letter,) for letter in letters]
            )
        )

    def forget(self, mentions: Iterable[str]) -> int:
        """Remove the letters that mention any of these ids or addresses; how many there were."""
        found = mentioning(self.all(), mentions)
        if found:
            self.remove(found)
            self._file.checkpoint()  # nor may the write-ahead log still hold them
        return len(found)


def count_within(connection: sqlite3.Connection) -> int:
    """How many letters a transaction sees."""
    count: int = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    return count
