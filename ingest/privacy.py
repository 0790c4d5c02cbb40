"""Who a subject is: what a keyring promises, and the sealing of personal data.

The keyring is the only link between the shop's ids and the random subjects of the log. Whatever else identifies a
person is sealed (AES-256-GCM) under the subject's own key, so that destroying the key destroys the data wherever
copies of the log may be. Erasure is resumable: subjects are first marked and their ids removed, then
`CustomerErased` is appended, then the keys are destroyed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.ids import Subject

KEY_BYTES = 32
NONCE_BYTES = 12
CACHED_ALIASES_MAX = 500_000  # about 150 MB

AliasKind = Literal["customer", "anonymous"]
Personal = dict[str, Any]


class Alias(NamedTuple):
    """A shop's name for a person."""

    kind: AliasKind
    value: str


class Exported(NamedTuple):
    """All that a keyring knows of a subject, in clear: for another keyring, never to be written down like this.

    Attributes:
        linked_to: whose earlier subject it is.
        aliases: the ids that lead to it, in order.
    """

    subject: Subject
    key: bytes
    linked_to: Subject | None
    erasing: bool
    aliases: tuple[Alias, ...]


class Keyring(Protocol):
    """Subjects, their keys and the ids that lead to them.

    Guarantees: an id always leads to one subject, whoever asks; a subject returned by `resolve` is durable before it
    is used, and so is a link; ids and keys are gone for every reader when `destroy` returns. Any thread may call.
    Not guaranteed: that a process notices at once what another one links or forgets (each backend says how soon).

    Every method may raise `Unavailable`: the store did not answer, or the same call may succeed later.
    """

    def resolve(self, aliases: Iterable[Alias]) -> dict[Alias, Subject]:
        """The subjects behind ids, made durably where an id is new."""
        ...

    def find(self, alias: Alias) -> Subject | None:
        """The subject behind an id, if the id is known."""
        ...

    def link(self, visitor: Alias, known: Subject) -> None:
        """From now on the visitor's id leads to the known customer; the visitor's own subject is remembered."""
        ...

    def is_customer(self, subject: Subject) -> bool:
        """Whether a shop's customer id leads to this subject."""
        ...

    def aliases(self, subject: Subject) -> list[Alias]:
        """Every id that leads to a subject, in order."""
        ...

    def linked(self, subject: Subject) -> list[Subject]:
        """The subject and every earlier subject of the same person."""
        ...

    def seal(self, subject: Subject, personal: Personal) -> bytes | None:
        """Personal data under the subject's key; None for nothing, and for a subject whose key was destroyed."""
        ...

    def open(self, subject: Subject, sealed: bytes) -> Personal | None:
        """Personal data in clear; None if the key was destroyed.

        Raises:
            Corrupt: the bytes were not sealed for this subject.
        """
        ...

    def secret(self, name: str) -> bytes:
        """A secret of the installation, made when first asked for: 32 random bytes."""
        ...

    def begin_erasure(self, subject: Subject) -> tuple[list[Subject], list[Alias]]:
        """Mark a person's subjects and remove the ids that lead to them; both are returned."""
        ...

    def erasing(self) -> list[Subject]:
        """Subjects whose erasure was begun and not finished, in order."""
        ...

    def destroy(self, subjects: Sequence[Subject]) -> None:
        """Destroy the keys; what was sealed under them cannot be opened any more."""
        ...


def seal_bytes(cipher: AESGCM, clear: bytes, bound_to: bytes | None) -> bytes:
    """A new nonce, then the sealed bytes; they open only together with what they are bound to. Cost: 3 µs."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, bound_to)


def open_bytes(cipher: AESGCM, sealed: bytes, bound_to: bytes | None) -> bytes:
    """The inverse of `seal_bytes`.

    Raises:
        InvalidTag: the bytes were sealed under another key, bound to something else, or changed since.
    """
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


class Seals:
    """Seals and opens personal data under subjects' keys, whichever keyring keeps those; recent keys are remembered."""

    def __init__(self, find_key: Callable[[Subject], bytes | None]) -> None:
        self._find_key = find_key
        self._ciphers: dict[Subject, AESGCM] = {}
        self._forgotten = 0
        self._lock = threading.Lock()

    def seal(self, subject: Subject, personal: Personal) -> bytes | None:
        """Personal data under the subject's key; None for nothing. Cost: about 4 µs.

        The subject must have been resolved; if its key was destroyed meanwhile, what would identify the person is not
        kept, and None is returned.
        """
        if not personal:
            return None
        cipher = self.cipher(subject)
        return None if cipher is None else seal_bytes(cipher, msgspec.json.encode(personal), subject.encode())

    def open(self, subject: Subject, sealed: bytes) -> Personal | None:
        """Personal data in clear; None if the key was destroyed.

        Raises:
            Corrupt: the bytes were not sealed for this subject.
        """
        cipher = self.cipher(subject)
        if cipher is None:
            return None
        try:
            opened = open_bytes(cipher, sealed, subject.encode())
        except InvalidTag as error:
            raise Corrupt(f"personal data of subject {subject} cannot be opened") from error
        return msgspec.json.decode(opened, type=dict[str, Any])

    def cipher(self, subject: Subject) -> AESGCM | None:
        """The subject's cipher; None if its key was destroyed."""
        cipher = self._ciphers.get(subject)
        if cipher is None:
            forgotten = self._forgotten
            key = self._find_key(subject)
            if key is None:
                return None
            cipher = AESGCM(key)
            with self._lock:
                if forgotten == self._forgotten:  # else the key may have been destroyed while it was looked for
                    if len(self._ciphers) > CACHED_ALIASES_MAX:
                        self._ciphers = {}
                    self._ciphers[subject] = cipher
        return cipher

    def forget(self, subjects: Collection[Subject] | None = None) -> None:
        """Drop the keys of some subjects, or all of them, from memory."""
        with self._lock:
            self._forgotten += 1
            if subjects is None:
                self._ciphers = {}
            else:
                for subject in subjects:
                    self._ciphers.pop(subject, None)
