"""The shell around the folds: read a batch, prefetch, fold, commit states and position together.

`fold` is the part that every deployment shares. `EmbeddedProjector` runs it inside the transaction that appends, so
that an acknowledged fact is already part of every state: a request made afterwards sees it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

from ingest.logs.sqlite import SqliteEventLog
from ingest.states.sqlite import SqliteStateStore
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import AnyProjection, EventLog

BATCH_MAX = 2_000  # facts in one transaction of a catch-up: a second of work at most
CACHED_STATES_MAX = 100_000  # about 400 MB of profiles at 4 KB each as Python objects

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


class Follower(Protocol):
    """Hears of committed facts, in the order of each partition, each once, possibly again after a restart."""

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Take a batch into account."""
        ...


class StateCache:
    """Decoded states in memory, the least recently used dropped first; readers and one writer share it.

    A reader that loaded bytes before a commit must not put them over the newer state: `put_if_unchanged` takes the
    count of commits it saw before it read.
    """

    def __init__(self, limit: int = CACHED_STATES_MAX) -> None:
        self._states: OrderedDict[Place, Any] = OrderedDict()
        self._limit = limit
        self._lock = threading.Lock()
        self.commits = 0

    def get(self, place: Place) -> Any:
        """The state, or None where it is not in memory."""
        with self._lock:
            state = self._states.get(place)
            if state is not None:
                self._states.move_to_end(place)
            return state

    def put_if_unchanged(self, place: Place, state: Any, commits: int) -> None:
        """Keep a state read from the store, unless anything was committed since `commits`."""
        with self._lock:
            if self.commits == commits:
                self._keep(place, state)

    def commit(self, states: dict[Place, Any]) -> None:
        """Take over the states of a commit; None removes."""
        with self._lock:
            self.commits += 1
            for place, state in states.items():
                if state is None:
                    self._states.pop(place, None)
                else:
                    self._keep(place, state)

    def clear(self) -> None:
        """Forget everything: somebody else has written."""
        with self._lock:
            self.commits += 1
            self._states.clear()

    def _keep(self, place: Place, state: Any) -> None:
        self._states[place] = state
        self._states.move_to_end(place)
        if len(self._states) > self._limit:
            self._states.popitem(last=False)


def fold(
    projections: Sequence[AnyProjection],
    batch: Sequence[Recorded],
    load: Loader,
    cached: Callable[[Place], Any] = lambda _: None,
) -> Folded:
    """Fold a batch, facts of a partition in log order.

    Args:
        projections: the folds, by name.
        batch: facts and their places.
        load: fetches the bytes of states that are not `cached`.
        cached: states already decoded.
    """
    folded = Folded({}, [], [])
    for projection in projections:
        keys = projection.keys
        touched = [(key, recorded) for recorded in batch for key in keys(recorded)]
        if touched:
            states = _prefetch(projection, dict.fromkeys(key for key, _ in touched), load, cached)
            _evolve(projection, touched, states, folded)
            name = projection.name
            folded.states.update({(name, key): state for key, state in states.items()})
    return folded


def _evolve(
    projection: AnyProjection, touched: Sequence[tuple[str, Recorded]], states: dict[str, Any], folded: Folded
) -> None:
    """Fold each fact into its state, in place; what follows and what cannot be folded goes to `folded`."""
    consequences, evolve = projection.consequences, projection.evolve
    for key, recorded in touched:
        state = states[key]
        try:
            follows = consequences(state, recorded)
            states[key] = evolve(state, recorded)
        except Exception as error:  # noqa: BLE001 - one unfoldable fact must not stop its partition
            _log.exception("a fact cannot be folded", projection=projection.name, place=recorded.position)
            folded.poison.append(Poison(recorded, projection.name, f"{type(error).__name__}: {error}"))
        else:
            if follows:
                folded.consequences.extend(follows)


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


class EmbeddedProjector:
    """Folds inside the writer's transaction, then tells the followers, then the appender is answered."""

    def __init__(
        self,
        log: SqliteEventLog,
        store: SqliteStateStore,
        projections: Sequence[AnyProjection],
        *,
        set_aside: Callable[[sqlite3.Connection, Sequence[Poison]], None],
    ) -> None:
        self._log, self._store = log, store
        self._projections = tuple(projections)
        self._by_name = {projection.name: projection for projection in projections}
        self._set_aside = set_aside
        self._positions: list[int] = []  # not read yet: the file may have been written before this projector was made
        self._pending: dict[Place, Any] = {}
        self._batch: list[Recorded] = []
        self._followers: list[Follower] = []
        self._followed: list[int] = list(store.positions())
        self._follow_lock = threading.RLock()
        self.cache = StateCache()
        self.on_others: list[Callable[[], None]] = []

    def begin(self, connection: sqlite3.Connection, changed: bool) -> None:
        """A transaction starts; if another process has written, nothing in memory can be trusted."""
        self._pending, self._batch = {}, []
        if changed or not self._positions:
            self.cache.clear()
            self._positions = self._store.positions_within(connection)

    def fold_within(self, connection: sqlite3.Connection) -> None:
        """Fold what this transaction has appended, and what follows from it, until nothing follows."""
        while self._log.uncommitted:
            appended, self._log.uncommitted = self._log.uncommitted, []
            self._fold_batch(connection, self._with_backlog(connection, appended))
        if self._pending:
            self._store.keep_within(
                connection,
                encode_states(self._projections, self._pending),
                _last_offsets(self._batch),
            )

    def finish(self, committed: bool) -> None:
        """The transaction is over: publish what it folded."""
        if not committed or not self._batch:
            return
        for partition, offset in _last_offsets(self._batch).items():
            self._positions[partition] = offset
        self.cache.commit(self._pending)
        self._tell(self._batch)

    def state(self, projection: str, key: str) -> Any:
        """The folded state under a key, or None; from memory, else from the store."""
        state = self.cache.get((projection, key))
        return self._load(projection, (key,)).get(key) if state is None else state

    def states(self, projection: str, keys: Collection[str]) -> dict[str, Any]:
        """The folded states under some keys; absent ones are absent. What is not in memory is read all at once."""
        found = {key: state for key in keys if (state := self.cache.get((projection, key))) is not None}
        missing = [key for key in keys if key not in found]
        return found | self._load(projection, missing) if missing else found

    def attach(self, follower: Follower, *, since: Sequence[int]) -> None:
        """Bring a follower up to date from `since` and tell it of every commit from now on."""
        with self._follow_lock:
            for partition in range(PARTITIONS):
                for batch in read_batches(self._log, partition, after=since[partition], upto=self._followed[partition]):
                    follower.follow(batch)
            self._followers.append(follower)

    def detach(self, follower: Follower) -> None:
        """Tell a follower no more."""
        with self._follow_lock:
            self._followers.remove(follower)

    def catch_up(self) -> None:
        """Tell the followers what other processes have committed; what is remembered of it in memory is dropped."""
        with self._follow_lock:
            ends = self._store.positions()
            if all(end <= followed for end, followed in zip(ends, self._followed, strict=True)):
                return
            self.cache.clear()
            for hook in self.on_others:
                hook()
            for partition, end in enumerate(ends):
                for batch in read_batches(self._log, partition, after=self._followed[partition], upto=end):
                    self._tell(batch)

    def _tell(self, batch: Sequence[Recorded]) -> None:
        with self._follow_lock:
            news = []
            for recorded in batch:
                partition, offset = recorded.position.partition, recorded.position.offset
                followed = self._followed[partition]
                if offset > followed + 1:
                    for missed in read_batches(self._log, partition, after=followed, upto=offset - 1):
                        news.extend(missed)
                if offset > followed:
                    news.append(recorded)
                    self._followed[partition] = offset
            if news:
                for follower in self._followers:
                    follower.follow(news)

    def _load(self, projection: str, keys: Collection[str]) -> dict[str, Any]:
        commits, decode = self.cache.commits, self._by_name[projection].decode
        states = {key: decode(stored) for key, stored in self._store.load(projection, keys).items()}
        for key, state in states.items():
            self.cache.put_if_unchanged((projection, key), state, commits)
        return states

    def _with_backlog(self, connection: sqlite3.Connection, appended: list[Recorded]) -> list[Recorded]:
        """The batch, preceded by what an earlier process appended but never folded."""
        done = dict(enumerate(self._positions)) | _last_offsets(self._batch)
        backlog: list[Recorded] = []
        for partition, offset in _last_offsets(reversed(appended)).items():  # the first of each
            missing = offset - done[partition] - 1
            if missing > 0:
                backlog += self._log.read_within(connection, partition, after=done[partition], limit=missing)
        return backlog + appended

    def _fold_batch(self, connection: sqlite3.Connection, batch: list[Recorded]) -> None:
        def load(projection: str, keys: Collection[str]) -> dict[str, bytes]:
            # What this transaction has removed is still in the table until its end: it must not come back.
            wanted = [key for key in keys if (projection, key) not in self._pending]
            return self._store.load_within(connection, projection, wanted)

        def cached(place: Place) -> Any:
            return self._pending[place] if place in self._pending else self.cache.get(place)

        folded = fold(self._projections, batch, load, cached)
        self._pending.update(folded.states)
        self._batch.extend(batch)
        if folded.poison:
            self._set_aside(connection, folded.poison)
        if folded.consequences:
            self._log.append_within(connection, folded.consequences)


def _last_offsets(batch: Iterable[Recorded]) -> dict[int, int]:
    """The last offset in a batch, by partition."""
    return {position.partition: position.offset for position in [recorded.position for recorded in batch]}


def read_batches(log: EventLog, partition: int, *, after: int, upto: int) -> Iterable[list[Recorded]]:
    """The facts of a partition behind `after`, up to and including `upto`, a batch at a time."""
    while after < upto:
        batch = log.read(partition, after=after, limit=min(BATCH_MAX, upto - after))
        if not batch:
            raise Corrupt(f"partition {partition} ends at {after}, not at {upto}")
        yield batch
        after = batch[-1].position.offset
