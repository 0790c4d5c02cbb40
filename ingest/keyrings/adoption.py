"""A whole keyring taken over by another: what is written when a shop moves from one deployment to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.compacted import CompactedTopic, Record
from ingest.keyrings.records import (
    ALIAS,
    PEOPLE,
    PERSON,
    SECRETS,
    AliasRecord,
    Names,
    PersonRecord,
    person_record,
    seal_alias,
    secret_record,
)
from ingest.privacy import Exported

RECORDS_AT_ONCE_MAX = 1_000  # of an append: acknowledged within a second by a broker that is well


def adopt_secrets(topic: CompactedTopic, secrets: Mapping[str, bytes]) -> None:
    """Let these secrets count, in place of those of the same names.

    They are written in the order given, so whoever finds the last of them finds all. Processes that have read an older
    one must start again.
    """
    there: dict[str, dict[bytes, bytes]] = {}
    for key, value in live_records(topic, SECRETS).items():
        there.setdefault(secret_name(key), {})[key] = value
    for name, value in secrets.items():
        present = there.get(name, {})
        if next(iter(present.values()), None) != value:
            records = [secret_record(name, value), *(Record(key, None) for key in present)]
            topic.append(records, partition=SECRETS)


def adopt_people(
    topic: CompactedTopic,
    names: Names,
    people: Iterable[Exported],
    *,
    before_writing: Callable[[], None],
    progress: Callable[[int], None],
) -> bool:
    """Let the topic hold these people and nobody else; only what differs is written. Whether anything was.

    Cost: 30 µs for each person, and the memory of the topic's live records, about 300 bytes for each.

    Raises:
        Unavailable: the broker does not acknowledge; some are written. Do it again.
        Corrupt: the topic is of another installation.
    """
    there = live_records(topic, PEOPLE)
    changes: list[Record] = []
    changed = False

    def write(least: int) -> None:
        nonlocal changes, changed
        if len(changes) >= least:
            if not changed:
                before_writing()
            topic.append(changes, partition=PEOPLE)
            changes, changed = [], True

    for person in people:
        changes += _changes_of(person, names, there)
        progress(1)
        write(RECORDS_AT_ONCE_MAX)
    for key in there:
        changes.append(Record(key, None))
        write(RECORDS_AT_ONCE_MAX)
    write(1)
    return changed


def live_records(topic: CompactedTopic, partition: int) -> dict[bytes, bytes]:
    """The last value under each key of a partition that was not forgotten, in the order in which keys first came."""
    live: dict[bytes, bytes] = {}
    for _, records in topic.read(partition):
        for key, value, _ in records:
            if value is None:
                live.pop(key, None)
            else:
                live[key] = value
    return live


def secret_name(key: bytes) -> str:
    """The name of the secret whose record has this key."""
    return key.rpartition(b"\0")[0].decode()


def _changes_of(person: Exported, names: Names, there: dict[bytes, bytes]) -> list[Record]:
    """The records of a person that the topic lacks; those it has are taken out of `there`."""
    record = person_record(person.subject, PersonRecord(b"", person.linked_to, person.erasing))
    changes = []
    stored = there.pop(record.key, None)
    if stored is None or not _is_same(person, names, stored):
        wrapped = names.wrap(person.subject, person.key)
        changes.append(person_record(person.subject, PersonRecord(wrapped, person.linked_to, person.erasing)))
    cipher = AESGCM(person.key)
    for alias in person.aliases:
        mac = names.mac(alias)
        stored = there.pop(ALIAS + mac, None)
        if stored is None or msgspec.msgpack.decode(stored, type=AliasRecord).subject != person.subject:
            named = AliasRecord(person.subject, seal_alias(cipher, alias, mac))
            changes.append(Record(ALIAS + mac, msgspec.msgpack.encode(named)))
    return changes


def _is_same(person: Exported, names: Names, stored: bytes) -> bool:
    found = msgspec.msgpack.decode(stored, type=PersonRecord)
    return (found.linked_to, found.erasing) == (person.linked_to, person.erasing) and (
        names.unwrap(person.subject, found.wrapped) == person.key
    )


def holds_people(topic: CompactedTopic) -> bool:
    """Whether any subject is known."""
    return any(key.startswith(PERSON) for key in live_records(topic, PEOPLE))
