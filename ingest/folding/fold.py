"""The fold that every deployment shares: prefetch the states a batch touches, evolve them, note what follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import structlog

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ports import AnyProjection, EventLog

BATCH_MAX = 2_000  # facts in one transaction of a catch-up: a second of work at most

_log = structlog.get_logger(__name__)

Place = tuple[str, str]
Loader = Callable[[str, Collection[str]], dict[str, bytes]]


class Poison(NamedTuple):
    """A fact that a fold could not take: it is set aside with its place, and its partition goes on."""

    recorded: Recorded
    projection: str
    reason: str


class Folded(NamedTuple):
    """What folding a batch comes to: changed states, facts that follow, facts that could not be folded."""

    states: dict[Place, Any]
    consequences: list[Event]
    poison: list[Poison]


def fold(
    projections: Sequence[AnyProjection],
    batch: Sequence[Recorded],
    load: Loader,
    cached: Callable[[Place], Any] = lambda _: None,
) -> Folded:
    """Fold a batch, facts of a partition in log order.

    Args:
        projections: the folds; what one derives from a fact is folded by those after it.
        batch: facts and their places.
        load: fetches the bytes of states that are not `cached`.
        cached: states already decoded.
    """
    folded = Folded({}, [], [])
    facts = batch
    for projection in projections:
        keys = projection.keys
        touched = [(key, recorded) for recorded in facts for key in keys(recorded)]
        if touched:
            before = _prefetch(projection, dict.fromkeys(key for key, _ in touched), load, cached)
            states = before.copy()
            derived = _evolve(projection, touched, states, folded)
            if derived:
                facts = [*facts, *derived]
            name = projection.name
            folded.states.update(
                {(name, key): state for key, state in states.items() if state is not None or before[key] is not None}
            )
    return folded


def _evolve(
    projection: AnyProjection, touched: Sequence[tuple[str, Recorded]], states: dict[str, Any], folded: Folded
) -> list[Recorded]:
    """Fold each fact into its state, in place; what follows and what cannot be folded goes to `folded`.

    Returns:
        what is derived from the facts, at their places.
    """
    consequences, evolve, derive = projection.consequences, projection.evolve, projection.derived
    derived: list[Recorded] = []
    for key, recorded in touched:
        state = states[key]
        try:
            follows = consequences(state, recorded)
            means = derive(state, recorded)
            states[key] = evolve(state, recorded)
        except Exception as error:  # noqa: BLE001 - one unfoldable fact must not stop its partition
            _log.exception("a fact cannot be folded", projection=projection.name, place=recorded.position)
            folded.poison.append(Poison(recorded, projection.name, f"{type(error).__name__}: {error}"))
        else:
            if follows:
                folded.consequences.extend(follows)
            if means:
                derived.extend(Recorded(recorded.position, event) for event in means)
    return derived


def _prefetch(
    projection: AnyProjection, keys: Iterable[str], load: Loader, cached: Callable[[Place], Any]
) -> dict[str, Any]:
    name = projection.name
    states = {key: cached((name, key)) for key in keys}
    missing = [key for key, state in states.items() if state is None]
    if missing:
        states.update((key, projection.decode(stored)) for key, stored in load(name, missing).items())
    return states


def encode_states(projections: Sequence[AnyProjection], states: dict[Place, Any]) -> dict[Place, bytes | None]:
    """The bytes to commit for folded states."""
    encoders = {projection.name: projection.encode for projection in projections}
    return {place: None if state is None else encoders[place[0]](state) for place, state in states.items()}


def last_offsets(batch: Iterable[Recorded]) -> dict[int, int]:
    """The last offset in a batch, by partition."""
    return {position.partition: position.offset for position in [recorded.position for recorded in batch]}


def read_batches(log: EventLog, partition: int, *, after: int, upto: int) -> Iterable[list[Recorded]]:
    """The facts of a partition behind `after`, up to and including `upto`, a batch at a time.

    Raises:
        Corrupt: the log ends before `upto`.
    """
    while after < upto:
        read = log.read(partition, after=after, limit=min(BATCH_MAX, upto - after))
        batch = [recorded for recorded in read if recorded.position.offset <= upto]
        if not batch:
            end = log.ends()[partition]
            if end < upto:
                raise Corrupt(f"partition {partition} ends at {end}, not at {upto}")
            return  # its last records are no facts
        yield batch
        after = batch[-1].position.offset
