"""The projection of profiles: one state a subject, folded from the facts about it."""

from __future__ import annotations

from msgspec.structs import replace

from ingest.vocabulary.events import (
    CustomerEvent,
    CustomerIdentified,
    DecisionsMerged,
    Event,
    ProfileMerged,
    Recorded,
    Shown,
)
from ingest.vocabulary.ids import content_id, partition_of
from personalization.customer.profile import EMPTY, Profile, decode_profile, encode_profile
from personalization.customer.reducer import evolve

SOURCE = "dangol"


class ProfileProjection:
    """Profiles by subject; a `Projection`.

    When a visitor turns out to be a known customer, the visitor's state becomes a pointer and one `ProfileMerged`
    carries the history over. Its event id comes from the place of the identification, so history moves once.
    """

    name = "profile"

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The subject of a fact about a person; what was shown says nothing about them."""
        event = recorded.event
        if isinstance(event, CustomerEvent) and not isinstance(event, Shown | DecisionsMerged):
            return (event.subject,)
        return ()

    def partition_of_key(self, key: str) -> int:
        """The partition of the facts about the subject."""
        return partition_of(key)

    def evolve(self, state: Profile | None, recorded: Recorded) -> Profile | None:
        """The profile after the fact."""
        return evolve(state, recorded.event)

    def derived(self, _: Profile | None, __: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

    def consequences(self, state: Profile | None, recorded: Recorded) -> tuple[Event, ...]:
        """The move of a visitor's history to the customer they turned out to be, if there is any to move."""
        event, position = recorded.event, recorded.position
        if not isinstance(event, CustomerIdentified) or event.known == event.subject:
            return ()
        if state is None or replace(state, merged_into=None) == EMPTY:
            return ()
        place = (str(position.generation), str(position.partition), str(position.offset))
        return (
            ProfileMerged(
                event_id=content_id("merged", *place),
                occurred_at=event.occurred_at,
                received_at=event.received_at,
                source=SOURCE,
                imported=event.imported,
                subject=event.known,
                absorbed=event.subject,
                profile=encode_profile(state),
            ),
        )

    def encode(self, state: Profile) -> bytes:
        """The state as bounded bytes."""
        return encode_profile(state)

    def decode(self, stored: bytes) -> Profile:
        """The inverse of `encode`."""
        return decode_profile(stored)
