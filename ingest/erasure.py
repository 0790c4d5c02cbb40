"""A person's rights: everything that is kept about a customer, in clear; and forgetting it everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.dead_letters import DeadLetters
from ingest.folding.fold import BATCH_MAX
from ingest.privacy import Alias, Keyring, Personal
from ingest.vocabulary.clock import Clock
from ingest.vocabulary.errors import NotFound
from ingest.vocabulary.events import CustomerErased, CustomerEvent, Recorded
from ingest.vocabulary.ids import CustomerId, Subject, content_id, partition_of
from ingest.vocabulary.ports import EventLog


class Forgotten(msgspec.Struct, frozen=True):
    """What an erasure reached."""

    subjects: int
    dead_letters: int


class Erasure:
    """Forgets customers. Every step may be repeated, so an erasure that was cut off is finished at the next start."""

    def __init__(self, log: EventLog, keyring: Keyring, dead_letters: DeadLetters, clock: Clock) -> None:
        self._log, self._keyring, self._dead_letters, self._clock = log, keyring, dead_letters, clock

    def forget(self, customer_id: CustomerId) -> Forgotten:
        """Erase a customer: ids first, so that no new fact can join, then the facts, then the keys.

        Raises:
            NotFound: no such customer is known (any more).
        """
        subject = self._keyring.find(Alias("customer", customer_id))
        if subject is None:
            raise NotFound(f"there is no customer {customer_id!r}")
        contacts = contact_data(facts_about(self._log, self._keyring, subject), self._keyring)
        subjects, aliases = self._keyring.begin_erasure(subject)
        letters = self._dead_letters.forget({alias.value for alias in aliases} | contacts)
        self._finish(subjects)
        return Forgotten(len(subjects), letters)

    def resume(self) -> int:
        """Finish erasures that a crash interrupted; how many subjects that were."""
        subjects = self._keyring.erasing()
        if subjects:
            self._finish(subjects)
        return len(subjects)

    def _finish(self, subjects: list[Subject]) -> None:
        now = self._clock.now()
        self._log.append(
            [
                CustomerErased(
                    event_id=content_id("erased", subject),
                    occurred_at=now,
                    received_at=now,
                    source="dangol",
                    subject=subject,
                )
                for subject in subjects
            ]
        )
        self._keyring.destroy(subjects)


def facts_about(log: EventLog, keyring: Keyring, subject: Subject) -> Iterator[Recorded]:
    """Every fact about a person, under any of its subjects. Cost: a scan of one partition for each subject."""
    for each in keyring.linked(subject):
        partition, after = partition_of(each), -1
        while batch := log.read(partition, after=after, limit=BATCH_MAX):
            after = batch[-1].position.offset
            yield from (recorded for recorded in batch if recorded.event.key == each)


def in_clear(recorded: Recorded, keyring: Keyring) -> dict[str, Any]:
    """A fact as plain values, with its personal data opened."""
    plain: dict[str, Any] = msgspec.to_builtins(recorded.event)
    event = recorded.event
    if isinstance(event, CustomerEvent) and event.personal is not None:
        plain["personal"] = keyring.open(event.subject, event.personal)
    plain.pop("profile", None)  # the encoded profile of a merge: its content is in the profile of the export
    return plain


def contact_data(facts: Iterator[Recorded], keyring: Keyring) -> set[str]:
    """Addresses and numbers that lead to the person, to be searched for where facts were set aside unread."""
    found: set[str] = set()
    for recorded in facts:
        event = recorded.event
        if isinstance(event, CustomerEvent) and event.personal is not None:
            found |= _contacts(keyring.open(event.subject, event.personal) or {})
    return found


def _contacts(personal: Personal) -> set[str]:
    traits = personal.get("traits")
    values = (personal | traits if isinstance(traits, dict) else personal).items()
    return {value for name, value in values if name in ("email", "phone") and isinstance(value, str)}
