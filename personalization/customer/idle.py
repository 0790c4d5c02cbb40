"""Visitors who stay away: the fact that one of them is no longer remembered."""

from __future__ import annotations

from datetime import datetime

from ingest.vocabulary.clock import epoch_ms, from_epoch_ms
from ingest.vocabulary.events import VisitorExpired
from ingest.vocabulary.ids import Subject, content_id
from personalization.customer.profile import Profile

SOURCE = "dangol"


def expiry(subject: Subject, profile: Profile, *, seen_before: datetime, now: datetime) -> VisitorExpired | None:
    """The fact that a visitor was idle for too long; None for one who was seen at or after `seen_before`, or never.

    The event id is made of subject and visit, so that deciding it again is no second fact.
    """
    last_ms = profile.last_seen_ms
    if last_ms is None or last_ms >= epoch_ms(seen_before):
        return None
    return VisitorExpired(
        event_id=content_id("expired", subject, str(last_ms)),
        occurred_at=now,
        received_at=now,
        source=SOURCE,
        subject=subject,
        last_seen_at=from_epoch_ms(last_ms),
    )
