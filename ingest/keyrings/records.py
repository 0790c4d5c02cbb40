"""How subjects, ids and secrets are written down in the keyring's topic and in its cache: nothing of it in clear.

partition 0, secrets          name \\0 nonce       -> secret            the first of a name counts
partition 1, people           s <subject>          -> PersonRecord
                              a <keyed hash of id> -> AliasRecord
"""

from __future__ import annotations

import hashlib
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.compacted import Record
from ingest.privacy import Alias, AliasKind, open_bytes, seal_bytes
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.ids import Subject

SECRETS, PEOPLE = 0, 1  # partitions of the topic
PERSON, ALIAS = b"s", b"a"  # what the key of a record begins with
MAC_BYTES = 16
_KINDS: dict[bytes, AliasKind] = {b"c": "customer", b"n": "anonymous"}
_MARKS = {kind: mark for mark, kind in _KINDS.items()}


class PersonRecord(msgspec.Struct, frozen=True, array_like=True):
    """A subject: its key, wrapped under a secret of the installation; whose earlier subject it is."""

    wrapped: bytes
    linked_to: Subject | None = None
    erasing: bool = False


class AliasRecord(msgspec.Struct, frozen=True, array_like=True):
    """Where an id leads; the id itself is sealed under the subject's key."""

    subject: Subject
    named: bytes


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """What an id shall lead to, before it is acknowledged. Whoever finds it may complete it: the records are the same.

    Attributes:
        wrapped: the subject's key, if the subject is new; empty if it exists.
        prior: the subject the visitor had before and its wrapped key, if it becomes an earlier one of this subject.
    """

    mac: bytes
    subject: Subject
    wrapped: bytes
    named: bytes
    prior: Subject | None = None
    prior_wrapped: bytes = b""

    def records(self) -> list[Record]:
        """Its records; the id comes last, so that what leads nowhere is never written."""
        alias = Record(ALIAS + self.mac, msgspec.msgpack.encode(AliasRecord(self.subject, self.named)))
        records = [alias]
        if self.wrapped:
            records.insert(0, person_record(self.subject, PersonRecord(self.wrapped)))
        if self.prior is not None:
            records.insert(0, person_record(self.prior, PersonRecord(self.prior_wrapped, self.subject)))
        return records


def person_record(subject: Subject, person: PersonRecord | None) -> Record:
    """A subject's record; without a person, the one that forgets it."""
    return Record(PERSON + subject.encode(), None if person is None else msgspec.msgpack.encode(person))


def alias_tombstone(mac: bytes) -> Record:
    """The record that forgets an id."""
    return Record(ALIAS + mac, None)


def secret_record(name: str, value: bytes) -> Record:
    """A secret's record, under a key that no other record has."""
    return Record(f"{name}\0{os.urandom(8).hex()}".encode(), value)


class Names:
    """Writes ids and keys so that only the installation's secrets can read them.

    Args:
        ids: what ids are hashed with, since an id alone could be found by trying.
        keys: what the subjects' keys are wrapped under, so that a copy of Redis opens nothing.
    """

    def __init__(self, *, ids: bytes, keys: bytes) -> None:
        self._ids, self._keys = ids, AESGCM(keys)

    def mac(self, alias: Alias) -> bytes:
        """The keyed hash (BLAKE2b, 128 bits) an id is found by. Cost: 1 µs."""
        return hashlib.blake2b(f"{alias.kind}\0{alias.value}".encode(), key=self._ids, digest_size=MAC_BYTES).digest()

    def wrap(self, subject: Subject, key: bytes) -> bytes:
        """A subject's key as it is stored."""
        return seal_bytes(self._keys, key, subject.encode())

    def unwrap(self, subject: Subject, wrapped: bytes) -> bytes:
        """The inverse of `wrap`.

        Raises:
            Corrupt: it was not wrapped for this subject by this installation.
        """
        try:
            return open_bytes(self._keys, wrapped, subject.encode())
        except InvalidTag as error:
            raise Corrupt(f"the key of subject {subject} cannot be opened: is it of another installation?") from error


def seal_alias(cipher: AESGCM, alias: Alias, mac: bytes) -> bytes:
    """An id under the key of its subject; its kind stays readable."""
    return _MARKS[alias.kind] + seal_bytes(cipher, alias.value.encode(), mac)


def open_alias(cipher: AESGCM, named: bytes, mac: bytes) -> Alias:
    """The inverse of `seal_alias`.

    Raises:
        Corrupt: it is not sealed for this subject.
    """
    try:
        return Alias(_KINDS[named[:1]], open_bytes(cipher, named[1:], mac).decode())
    except (InvalidTag, KeyError) as error:
        raise Corrupt("an id in the keyring cannot be opened") from error


def is_customers(named: bytes) -> bool:
    """Whether a sealed id is a shop's customer id."""
    return _KINDS.get(named[:1]) == "customer"
