"""The keyring of the embedded deployment: a SQLite file of its own."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from ingest.embedded import SqliteFile
from ingest.privacy import CACHED_ALIASES_MAX, KEY_BYTES, Alias, AliasKind, Exported, Personal, Seals
from ingest.vocabulary.ids import Subject, new_subject

KEYRING_SCHEMA = """
CREATE TABLE subjects (subject TEXT PRIMARY KEY, key BLOB NOT NULL, linked_to TEXT, erasing INTEGER NOT NULL DEFAULT 0)
    WITHOUT ROWID;
CREATE INDEX subjects_by_link ON subjects (linked_to) WHERE linked_to IS NOT NULL;
CREATE TABLE aliases (kind TEXT, value TEXT, subject TEXT NOT NULL, PRIMARY KEY (kind, value)) WITHOUT ROWID;
CREATE INDEX aliases_by_subject ON aliases (subject);
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID
"""
KEYRING_VERSION = 1
_ALIASES_AT_ONCE = 250  # in one statement: small enough to stay in SQLite's cache


class SqliteKeyring:
    """Subjects, their keys and the ids that lead to them, in a SQLite file of its own.

    Guarantees: a subject returned by `resolve` is on disk before it is used; after `destroy` no byte of key or id is
    left in the file or beside it. What another process changes is noticed before the next write of this one.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._subjects: dict[Alias, Subject] = {}
        self._seals = Seals(self._find_key)
        self._lock = threading.Lock()
        file.before_group.append(self._begin)

    def resolve(self, aliases: Iterable[Alias]) -> dict[Alias, Subject]:
        """The subjects behind ids, made durably where an id is new."""
        wanted = dict.fromkeys(aliases)
        found = {alias: subject for alias in wanted if (subject := self._subjects.get(alias)) is not None}
        missing = [alias for alias in wanted if alias not in found]
        if missing:
            known = _find_many(self._file.reader(), missing)
            unknown = [alias for alias in missing if alias not in known]
            if unknown:
                known.update(self._file.write(lambda connection: _make(connection, unknown)))
            self._remember(known)
            found.update(known)
        return found

    def find(self, alias: Alias) -> Subject | None:
        """The subject behind an id, if the id is known."""
        subject = self._subjects.get(alias)
        if subject is None:
            row = (
                self._file.reader()
                .execute("SELECT subject FROM aliases WHERE kind = ? AND value = ?", alias)
                .fetchone()
            )
            if row is not None:
                subject = Subject(row[0])
                self._remember({alias: subject})
        return subject

    def link(self, visitor: Alias, known: Subject) -> None:
        """From now on the visitor's id leads to the known customer; the visitor's own subject is remembered."""

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT subject FROM aliases WHERE kind = ? AND value = ?", visitor).fetchone()
            if row is not None and row[0] != known and not _has_customer(connection, row[0]):
                connection.execute("UPDATE subjects SET linked_to = ? WHERE subject = ?", (known, row[0]))
            connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (*visitor, known))

        self._file.write(work)
        self._remember({visitor: known})

    def is_customer(self, subject: Subject) -> bool:
        """Whether a shop's customer id leads to this subject."""
        return _has_customer(self._file.reader(), subject)

    def aliases(self, subject: Subject) -> list[Alias]:
        """Every id that leads to a subject."""
        rows = self._file.reader().execute(
            "SELECT kind, value FROM aliases WHERE subject = ? ORDER BY kind, value", (subject,)
        )
        return [Alias(kind, value) for kind, value in rows]

    def linked(self, subject: Subject) -> list[Subject]:
        """The subject and every earlier subject of the same person."""
        return _linked(self._file.reader(), subject)

    def seal(self, subject: Subject, personal: Personal) -> bytes | None:
        """Personal data under the subject's key; None for nothing, and for a subject whose key was destroyed."""
        return self._seals.seal(subject, personal)

    def open(self, subject: Subject, sealed: bytes) -> Personal | None:
        """Personal data in clear; None if the key was destroyed.

        Raises:
            Corrupt: the bytes were not sealed for this subject.
        """
        return self._seals.open(subject, sealed)

    def secret(self, name: str) -> bytes:
        """A secret of the installation, made when first asked for: 32 random bytes."""

        def work(connection: sqlite3.Connection) -> bytes:
            connection.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, os.urandom(KEY_BYTES)))
            value: bytes = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0]
            return value

        row = self._file.reader().execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return self._file.write(work) if row is None else bytes(row[0])

    def secrets(self) -> dict[str, bytes]:
        """Every secret of the installation, by name."""
        return dict(self._file.reader().execute("SELECT name, value FROM secrets ORDER BY name").fetchall())

    def count(self) -> int:
        """How many subjects there are."""
        count: int = self._file.reader().execute("SELECT count(*) FROM subjects").fetchone()[0]
        return count

    def export(self) -> Iterator[Exported]:
        """Every subject with its key and the ids that lead to it, for another keyring; an id without subject is none.

        Cost: 5 µs for each; the memory of one.
        """
        rows = self._file.reader().execute(
            "SELECT subject, key, linked_to, erasing, kind, value FROM subjects LEFT JOIN aliases USING (subject) "
            "ORDER BY subject, kind, value"
        )
        for (subject, key, linked_to, erasing), same in itertools.groupby(rows, key=itemgetter(slice(4))):
            aliases = tuple(Alias(kind, value) for *_, kind, value in same if kind is not None)
            yield Exported(subject, key, linked_to, bool(erasing), aliases)

    def begin_erasure(self, subject: Subject) -> tuple[list[Subject], list[Alias]]:
        """Mark a person's subjects and remove the ids that lead to them; both are returned."""

        def work(connection: sqlite3.Connection) -> tuple[list[Subject], list[Alias]]:
            subjects = _linked(connection, subject)
            aliases: list[Alias] = []
            for each in subjects:
                rows = connection.execute("SELECT kind, value FROM aliases WHERE subject = ?", (each,))
                aliases += [Alias(*row) for row in rows]
                connection.execute("DELETE FROM aliases WHERE subject = ?", (each,))
                connection.execute("UPDATE subjects SET erasing = 1 WHERE subject = ?", (each,))
            return subjects, aliases

        erased = self._file.write(work)
        self.forget_cached()
        return erased

    def erasing(self) -> list[Subject]:
        """Subjects whose erasure was begun and not finished."""
        rows = self._file.reader().execute("SELECT subject FROM subjects WHERE erasing ORDER BY subject")
        return [Subject(row[0]) for row in rows]

    def destroy(self, subjects: Sequence[Subject]) -> None:
        """Destroy the keys, in the file and in its write-ahead log."""
        self._file.write(
            lambda connection: connection.executemany(
                "DELETE FROM subjects WHERE subject = ?", [(subject,) for subject in subjects]
            )
        )
        self._file.checkpoint()
        self.forget_cached()

    def forget_cached(self) -> None:
        """Drop what is remembered in memory: the file has changed."""
        with self._lock:
            self._subjects = {}
        self._seals.forget()

    def _begin(self, _: sqlite3.Connection, changed: bool) -> None:
        if changed:
            self.forget_cached()

    def _remember(self, found: dict[Alias, Subject]) -> None:
        with self._lock:
            if len(self._subjects) > CACHED_ALIASES_MAX:
                self._subjects = {}
            self._subjects.update(found)

    def _find_key(self, subject: Subject) -> bytes | None:
        row = self._file.reader().execute("SELECT key FROM subjects WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else row[0]


def _find_many(connection: sqlite3.Connection, aliases: Sequence[Alias]) -> dict[Alias, Subject]:
    """The subjects of those ids that are known."""
    found: dict[Alias, Subject] = {}
    of_kind: dict[AliasKind, list[str]] = {}
    for kind, value in aliases:
        of_kind.setdefault(kind, []).append(value)
    for kind, values in of_kind.items():
        for start in range(0, len(values), _ALIASES_AT_ONCE):
            part = values[start : start + _ALIASES_AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = connection.execute(
                f"SELECT value, subject FROM aliases WHERE kind = ? AND value IN ({marks})",  # noqa: S608
                (kind, *part),
            ).fetchall()
            found.update((Alias(kind, value), Subject(subject)) for value, subject in rows)
    return found


def _make(connection: sqlite3.Connection, aliases: Sequence[Alias]) -> dict[Alias, Subject]:
    """A new subject for each id, unless another process was faster."""
    made = {alias: new_subject() for alias in aliases}
    made.update(_find_many(connection, aliases))
    taken = [(*alias, subject) for alias, subject in made.items()]
    connection.executemany("INSERT OR IGNORE INTO aliases VALUES (?, ?, ?)", taken)
    connection.executemany(
        "INSERT OR IGNORE INTO subjects (subject, key) VALUES (?, ?)",
        [(subject, os.urandom(KEY_BYTES)) for _, _, subject in taken],
    )
    return made


def _has_customer(connection: sqlite3.Connection, subject: str) -> bool:
    query = "SELECT 1 FROM aliases WHERE subject = ? AND kind = 'customer' LIMIT 1"
    return connection.execute(query, (subject,)).fetchone() is not None


def _linked(connection: sqlite3.Connection, subject: Subject) -> list[Subject]:
    """The subject, then those linked to it, breadth first."""
    found = [subject]
    for each in found:
        rows = connection.execute("SELECT subject FROM subjects WHERE linked_to = ? ORDER BY subject", (each,))
        found += [Subject(row[0]) for row in rows if row[0] not in found]
    return found
