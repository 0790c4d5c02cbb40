"""What became of a person here: recognised, asked for consent, merged, forgotten."""

from __future__ import annotations

from datetime import datetime

from ingest.vocabulary.facts.envelope import CustomerEvent
from ingest.vocabulary.ids import Subject


class CustomerIdentified(CustomerEvent, frozen=True, kw_only=True):
    """The visitor turned out to be a known customer: `subject` is the visitor's, `known` the customer's.

    They are equal when there was nothing to link.
    """

    known: Subject


class ConsentChanged(CustomerEvent, frozen=True, kw_only=True):
    """What the person agreed to, by purpose; an absent purpose is unchanged."""

    purposes: dict[str, bool]


class ProfileMerged(CustomerEvent, frozen=True, kw_only=True):
    """The history of `absorbed` moved here, once, as the bounded profile it had become (its encoded bytes)."""

    absorbed: Subject
    profile: bytes


class DecisionsMerged(CustomerEvent, frozen=True, kw_only=True):
    """What `absorbed` was shown and may still earn something moved here (the encoded bytes of it)."""

    absorbed: Subject
    decisions: bytes


class CustomerErased(CustomerEvent, frozen=True, kw_only=True):
    """The person is to be forgotten: readers drop the subject, then its key is destroyed."""


class VisitorExpired(CustomerEvent, frozen=True, kw_only=True):
    """A visitor nobody knows was away for too long: what is remembered is dropped, unless they were seen again.

    It is a fact, so that replaying the log drops the same visitors at the same place, whatever the time is then.

    Attributes:
        last_seen_at: when they were last seen, as far as was known when it was decided.
    """

    last_seen_at: datetime
