"""A projection that notices everything: a fact lost, repeated or out of order changes its states."""

from __future__ import annotations

import hashlib

import msgspec

from ingest.vocabulary.events import (
    Custom,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    Event,
    ProfileMerged,
    Recorded,
)
from ingest.vocabulary.ids import content_id, partition_of


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """How many facts a subject has, and a digest that depends on each of them and on their order."""

    count: int = 0
    digest: bytes = b""


class TrailProjection:
    """The trail of every subject.

    Erasing ends a trail. Identifying sends it to the known subject. A custom event `echo` ends the trail and is
    followed by `echoed`, so that a consequence meets a state that was removed in the same transaction. A custom event
    `poison` cannot be folded.
    """

    name = "trail"

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The subject."""
        return (recorded.event.subject,) if isinstance(recorded.event, CustomerEvent) else ()

    def partition_of_key(self, key: str) -> int:
        """The partition of the facts about the subject."""
        return partition_of(key)

    def evolve(self, state: Trail | None, recorded: Recorded) -> Trail | None:
        """The trail after the fact."""
        event = recorded.event
        if isinstance(event, CustomerErased) or (isinstance(event, Custom) and event.name == "echo"):
            return None
        if isinstance(event, Custom) and event.name == "poison":
            raise ValueError("not to be folded")
        before = state or Trail()
        step = f"{recorded.position.partition} {recorded.position.offset} {event.event_id}".encode()
        return Trail(before.count + 1, hashlib.blake2b(before.digest + step, digest_size=8).digest())

    def derived(self, _: Trail | None, __: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

    def consequences(self, state: Trail | None, recorded: Recorded) -> tuple[Event, ...]:
        """A merge for an identification, an echo for an echo."""
        event = recorded.event
        envelope = {
            "event_id": content_id("follows", event.event_id),
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
        }
        match event:
            case CustomerIdentified(subject=subject, known=known) if known != subject:
                profile = b"" if state is None else state.digest
                return (ProfileMerged(**envelope, subject=known, absorbed=subject, profile=profile),)
            case Custom(subject=subject, name="echo"):
                return (Custom(**envelope, subject=subject, name="echoed"),)
        return ()

    def encode(self, state: Trail) -> bytes:
        """The trail as MessagePack."""
        return msgspec.msgpack.encode(state)

    def decode(self, stored: bytes) -> Trail:
        """The inverse of `encode`."""
        return msgspec.msgpack.decode(stored, type=Trail)


class NamedPartitions:
    """States whose keys may name their partition (`03:a`); the others lie in partition 0. For tests of stores."""

    def __init__(self, name: str) -> None:
        self.name = name

    def partition_of_key(self, key: str) -> int:
        """The partition that the key names."""
        return int(key[:2]) if key[2:3] == ":" and key[:2].isdigit() else 0
