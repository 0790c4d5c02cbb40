"""Housekeeping: visitors whom nobody knows and who have long been away are no longer remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from ingest.vocabulary.events import VisitorExpired
from ingest.vocabulary.ids import Subject
from ingest.vocabulary.ports import EventLog, StateStore
from personalization.customer.idle import expiry
from personalization.customer.projection import ProfileProjection

_FACTS_AT_ONCE = 500  # appended together: below a second of work for whoever folds them


def expire_idle_visitors(
    store: StateStore, log: EventLog, is_customer: Callable[[Subject], bool], *, idle_days: int, now: datetime
) -> int:
    """Append a `VisitorExpired` for everybody who was last seen more than `idle_days` ago and is no customer.

    Whoever comes back before the fact is folded is kept. Asked again, it appends nothing twice. Once a day is enough.

    Cost: reads every profile; some 10 µs each.

    Returns:
        how many visitors expired.

    Raises:
        Unavailable: the store or the log did not answer; what was appended stays, the rest is for the next time.
    """
    expired = 0
    facts = _expiries(store, is_customer, seen_before=now - timedelta(days=idle_days), now=now)
    while batch := list(islice(facts, _FACTS_AT_ONCE)):
        expired += sum(position is not None for position in log.append(batch))
    return expired


def _expiries(
    store: StateStore, is_customer: Callable[[Subject], bool], *, seen_before: datetime, now: datetime
) -> Iterator[VisitorExpired]:
    profiles = ProfileProjection()
    for key, stored in store.scan(profiles.name):
        subject = Subject(key)
        found = expiry(subject, profiles.decode(stored), seen_before=seen_before, now=now)
        if found is not None and not is_customer(subject):
            yield found
