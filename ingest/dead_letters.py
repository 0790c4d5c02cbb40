"""What could not be read or folded, kept with its reason until somebody mends it or throws it away.

Payload and reason may name people: they are sealed under a secret of the keyring, and erasing a customer removes the
letters that mention one of its ids or its contact data.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.embedded import SqliteFile
from ingest.privacy import NONCE_BYTES, Keyring
from ingest.vocabulary.clock import from_epoch_ms
from ingest.vocabulary.errors import NotFound, Unavailable

DEAD_LETTERS_SCHEMA = """
CREATE TABLE dead_letters (letter INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, source TEXT NOT NULL,
    code TEXT NOT NULL, place TEXT NOT NULL, sealed BLOB NOT NULL)
"""
DEAD_LETTERS_MAX = 100_000  # beyond it something is wrong with the sender, and more letters help nobody
DETAIL_LENGTH_MAX = 500
MENTION_LENGTH_MIN = 3  # shorter ids match too much by chance; they are matched as whole values only
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"\\/]))")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that could not be read: `payload` is what came, `options` how to read it, `place` where it stood."""

    source: str
    code: str
    detail: str
    place: str
    payload: str
    options: dict[str, str] = {}
    letter: int = 0
    at: datetime | None = None


class _Contents(msgspec.Struct):
    payload: str
    detail: str
    options: dict[str, str]


class DeadLetters:
    """The letters, in the embedded file."""

    def __init__(self, file: SqliteFile, keyring: Keyring) -> None:
        self._file = file
        self._cipher = AESGCM(keyring.secret("dead-letters"))

    def add(self, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """Keep letters durably.

        Raises:
            Unavailable: there are too many already; look at them and replay or drop them first.
        """
        if letters:
            self._file.write(lambda connection: self.add_within(connection, letters, at_ms=at_ms))

    def add_within(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """The same inside a transaction."""
        if count_within(connection) + len(letters) > DEAD_LETTERS_MAX:
            raise Unavailable(
                f"there are {DEAD_LETTERS_MAX} dead letters already: look at `dangol dead-letters list`, mend the "
                "sender, then replay or drop them",
                code="dead_letters_full",
            )
        connection.executemany(
            "INSERT INTO dead_letters (at_ms, source, code, place, sealed) VALUES (?, ?, ?, ?, ?)",
            [(at_ms, letter.source, letter.code, letter.place, self._seal(letter)) for letter in letters],
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
        return [self._open(row) for row in rows.fetchall()]

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
        return self._open(row)

    def remove(self, letters: Iterable[int]) -> None:
        """Throw letters away."""
        self._file.write(
            lambda connection: connection.executemany(
                "DELETE FROM dead_letters WHERE letter = ?", [(letter,) for letter in letters]
            )
        )

    def forget(self, mentions: Iterable[str]) -> int:
        """Remove the letters that mention any of these ids or addresses; how many there were."""
        wanted = [mention for mention in mentions if mention]
        found = [letter.letter for letter in self.all() if any(_mentions(letter, each) for each in wanted)]
        if found:
            self.remove(found)
            self._file.checkpoint()  # nor may the write-ahead log still hold them
        return len(found)

    def _seal(self, letter: DeadLetter) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        contents = msgspec.msgpack.encode(_Contents(letter.payload, letter.detail[:DETAIL_LENGTH_MAX], letter.options))
        return nonce + self._cipher.encrypt(nonce, contents, None)

    def _open(self, row: tuple[int, int, str, str, str, bytes]) -> DeadLetter:
        letter, at_ms, source, code, place, sealed = row
        opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        contents = msgspec.msgpack.decode(opened, type=_Contents)
        return DeadLetter(
            letter=letter,
            at=from_epoch_ms(at_ms),
            source=source,
            code=code,
            detail=contents.detail,
            place=place,
            payload=contents.payload,
            options=contents.options,
        )


def count_within(connection: sqlite3.Connection) -> int:
    """How many letters a transaction sees."""
    count: int = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    return count


def _mentions(letter: DeadLetter, mention: str) -> bool:
    """Whether a letter names a person: in its payload, however JSON may spell it there, or in its reason."""
    texts = (letter.payload, _ESCAPE.sub(_character, letter.payload), letter.detail)
    if len(mention) < MENTION_LENGTH_MIN:
        return any(f"{quote}{mention}{quote}" in text for text in texts for quote in "\"'")
    return any(mention in text for text in texts)


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]
