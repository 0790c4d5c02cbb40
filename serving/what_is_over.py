"""Housekeeping: what somebody was shown, and what was counted of it, goes once nothing can come of it any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.ports import StateStore
from personalization.experiments.attributing import AttributionProjection
from personalization.experiments.attribution import EMPTY, pruned
from personalization.experiments.counting import LearnedProjection, is_over

GRACE = timedelta(days=1)  # facts are folded within seconds; clocks of servers differ by less
_DROPPED_AT_ONCE = 500


class Dropping(StateStore, Protocol):
    """A store that lets go of states."""

    def drop(self, projection: str, keys: Collection[str]) -> None:
        """Remove states that nothing needs any more."""
        ...


def drop_what_is_over(store: Dropping, now: datetime) -> int:
    """Drop what no fact to come can change, and nobody reads: a fold without it comes to the same.

    Cost: reads every such state; some 10 µs each.

    Returns:
        how many states went.
    """
    return sum(_dropped(store, name, keys) for name, keys in _over(store, now))


def is_kept(projection: str, key: str, now: datetime) -> bool:
    """Whether a state must still be there, as far as its key tells."""
    if projection == LearnedProjection.name:
        return not is_over(key, now.timestamp())
    return projection != AttributionProjection.name


def _over(store: Dropping, now: datetime) -> Iterator[tuple[str, Iterator[str]]]:
    decode, then_ms = AttributionProjection().decode, epoch_ms(now - GRACE)
    shown = store.scan(AttributionProjection.name)
    yield AttributionProjection.name, (key for key, stored in shown if pruned(decode(stored), then_ms) == EMPTY)
    yield (
        LearnedProjection.name,
        (key for key, _ in store.scan(LearnedProjection.name) if is_over(key, now.timestamp())),
    )


def _dropped(store: Dropping, projection: str, keys: Iterable[str]) -> int:
    dropped, rest = 0, iter(keys)
    while batch := list(islice(rest, _DROPPED_AT_ONCE)):
        store.drop(projection, batch)
        dropped += len(batch)
    return dropped
