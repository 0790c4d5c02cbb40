"""What could not be read or folded, kept with its reason until somebody mends it or throws it away.

Payload and reason may name people: they are sealed under a secret of the keyring, and erasing a customer removes the
letters that mention one of its ids or its contact data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.privacy import Keyring, open_bytes, seal_bytes
from ingest.vocabulary.clock import from_epoch_ms
from ingest.vocabulary.errors import Unavailable

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


class DeadLetters(Protocol):
    """The letters, numbered in the order in which they came.

    Guarantees: what `add` took is durable; a number is never given twice; nothing of payload and reason is stored in
    clear. Any thread may call, and every method may raise `Unavailable`.
    Not guaranteed: numbers without gaps.
    """

    def add(self, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """Keep letters durably.

        Raises:
            Unavailable: there are too many already; look at them and replay or drop them first.
        """
        ...

    def count(self) -> int:
        """How many letters there are."""
        ...

    def all(self, *, limit: int = DEAD_LETTERS_MAX) -> Iterable[DeadLetter]:
        """The letters, oldest first."""
        ...

    def places(self, source: str) -> set[str]:
        """Where the letters of a source stood."""
        ...

    def get(self, letter: int) -> DeadLetter:
        """One letter.

        Raises:
            NotFound: there is none of that number.
        """
        ...

    def remove(self, letters: Iterable[int]) -> None:
        """Throw letters away."""
        ...

    def forget(self, mentions: Iterable[str]) -> int:
        """Remove the letters that mention any of these ids or addresses; how many there were."""
        ...


class _Contents(msgspec.Struct):
    payload: str
    detail: str
    options: dict[str, str]


class LetterSeal:
    """Seals what in a letter may name people, under a secret of the installation."""

    def __init__(self, keyring: Keyring) -> None:
        self._cipher = AESGCM(keyring.secret("dead-letters"))

    def seal(self, letter: DeadLetter) -> bytes:
        """Payload, reason (cut to its limit) and options, sealed."""
        contents = _Contents(letter.payload, letter.detail[:DETAIL_LENGTH_MAX], letter.options)
        return seal_bytes(self._cipher, msgspec.msgpack.encode(contents), None)

    def open(self, letter: int, at_ms: int, source: str, code: str, place: str, sealed: bytes) -> DeadLetter:
        """The letter as it was kept."""
        contents = msgspec.msgpack.decode(open_bytes(self._cipher, sealed, None), type=_Contents)
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


def refuse_too_many(count: int) -> None:
    """Check how many letters there would be.

    Raises:
        Unavailable: more than the limit.
    """
    if count > DEAD_LETTERS_MAX:
        raise Unavailable(
            f"there are {DEAD_LETTERS_MAX} dead letters already: look at `dangol dead-letters list`, mend the "
            "sender, then replay or drop them",
            code="dead_letters_full",
        )


def mentioning(letters: Iterable[DeadLetter], mentions: Iterable[str]) -> list[int]:
    """The numbers of the letters that name a person by any of these ids or addresses."""
    wanted = [mention for mention in mentions if mention]
    return [letter.letter for letter in letters if any(_mentions(letter, each) for each in wanted)]


def _mentions(letter: DeadLetter, mention: str) -> bool:
    """Whether a letter names a person: in its payload, however JSON may spell it there, or in its reason."""
    texts = (letter.payload, _ESCAPE.sub(_character, letter.payload), letter.detail)
    if len(mention) < MENTION_LENGTH_MIN:
        return any(f"{quote}{mention}{quote}" in text for text in texts for quote in "\"'")
    return any(mention in text for text in texts)


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]
