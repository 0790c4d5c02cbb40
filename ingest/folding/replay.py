"""Replaying the log: rebuild every state from zero, or fold again and name the first difference."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec

from ingest.folding.fold import BATCH_MAX, Place, encode_states, fold, read_batches
from ingest.folding.repeats import EVERY_FACT, Repeats
from ingest.vocabulary.errors import PositionConflict
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import AnyProjection, EventLog, StateStore

Progress = Callable[[int], None]


class Replayed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a replay came to: facts read, states compared or written, facts that could not be folded."""

    facts: int
    states: int
    unfoldable: int
    difference: str | None = None


def rebuild(
    log: EventLog,
    store: StateStore,
    projections: Sequence[AnyProjection],
    progress: Progress = lambda _: None,
    repeats: Repeats = EVERY_FACT,
) -> Replayed:
    """Fold whatever the states lack, a batch and its position in one transaction; what follows from facts is there.

    Cut off, it goes on where it stopped. To start from zero, `store.clear()` first.
    """
    facts = states = unfoldable = 0
    for partition in range(PARTITIONS):
        for before, batch in _unfolded(log, store, partition):
            result = fold(projections, repeats.without(batch), store.load)
            changes = encode_states(projections, result.states)
            after = batch[-1].position.offset
            with contextlib.suppress(PositionConflict):  # another process has folded it: go on behind that
                store.commit(changes, partition=partition, before=before, after=after)
                facts, states = facts + len(batch), states + len(changes)
                unfoldable += len(result.poison)
                progress(len(batch))
    return Replayed(facts, states, unfoldable)


def _unfolded(log: EventLog, store: StateStore, partition: int) -> Iterator[tuple[int, list[Recorded]]]:
    """What the states of a partition lack, a batch at a time, from wherever they are by then: (that, the batch)."""
    while batch := log.read(partition, after=(before := store.positions()[partition]), limit=BATCH_MAX):
        yield before, batch


def verify(
    log: EventLog,
    store: StateStore,
    projections: Sequence[AnyProjection],
    *,
    needed: Callable[[str, str], bool] = lambda _, __: True,
    progress: Progress = lambda _: None,
    repeats: Repeats = EVERY_FACT,
) -> Replayed:
    """Fold the log again in memory, up to where the states are, and compare byte for byte.

    Args:
        log, store, projections: what to compare.
        needed: whether a state (projection, key) must still be there; some are dropped when nothing reads them.
        progress: told how many facts were read.
        repeats: tells which facts count.
    """
    states: dict[Place, Any] = {}
    facts = unfoldable = 0

    def nothing(_: str, __: Collection[str]) -> dict[str, bytes]:
        return {}

    for partition, upto in enumerate(store.positions()):
        for batch in read_batches(log, partition, after=-1, upto=upto):
            result = fold(projections, repeats.without(batch), nothing, states.get)
            states.update(result.states)
            facts, unfoldable = facts + len(batch), unfoldable + len(result.poison)
            progress(len(batch))
    expected = {place: stored for place, stored in encode_states(projections, states).items() if stored is not None}
    difference = _first_difference(expected, store, projections, needed)
    return Replayed(facts, len(expected), unfoldable, difference)


def _first_difference(
    expected: dict[Place, bytes],
    store: StateStore,
    projections: Sequence[AnyProjection],
    needed: Callable[[str, str], bool],
) -> str | None:
    for projection in projections:
        kept = dict(store.scan(projection.name))
        names = {key for name, key in expected if name == projection.name}
        for key in sorted(names | kept.keys()):
            stored, wanted = kept.get(key), expected.get((projection.name, key))
            if stored == wanted:
                continue
            if wanted is None:
                return f"{projection.name} {key!r} is kept, but does not follow from the log"
            if stored is not None:
                return f"{projection.name} {key!r} differs from what the log comes to"
            if needed(projection.name, key):
                return f"{projection.name} {key!r} is missing"
    return None
