"""Folding inside the transaction that appends, so that an acknowledged fact is already part of every state.

A request made after the acknowledgement sees the fact.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ingest.folding.fold import Place, Poison, encode_states, fold, last_offsets
from ingest.folding.followers import Followers
from ingest.logs.sqlite import SqliteEventLog
from ingest.states.sqlite import SqliteStateStore
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import AnyProjection

CACHED_STATES_MAX = 100_000  # about 400 MB of profiles at 4 KB each as Python objects


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


class EmbeddedProjector(Followers):
    """Folds inside the writer's transaction, then tells the followers, then the appender is answered."""

    def __init__(
        self,
        log: SqliteEventLog,
        store: SqliteStateStore,
        projections: Sequence[AnyProjection],
        *,
        set_aside: Callable[[sqlite3.Connection, Sequence[Poison]], None],
    ) -> None:
        super().__init__(log, store.positions())
        self._log, self._store = log, store
        self._projections = tuple(projections)
        self._by_name = {projection.name: projection for projection in projections}
        self._set_aside = set_aside
        self._positions: list[int] = []  # not read yet: the file may have been written before this projector was made
        self._pending: dict[Place, Any] = {}
        self._batch: list[Recorded] = []
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
        if self._batch:  # a fact that leaves no state is folded as well
            self._store.keep_within(
                connection,
                encode_states(self._projections, self._pending),
                last_offsets(self._batch),
            )

    def finish(self, committed: bool) -> None:
        """The transaction is over: publish what it folded."""
        if not committed or not self._batch:
            return
        for partition, offset in last_offsets(self._batch).items():
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

    def catch_up(self) -> None:
        """Tell the followers what other processes have committed; what is remembered of it in memory is dropped."""
        with self._follow_lock:
            ends = self._store.positions()
            if self._told(ends):
                return
            self.cache.clear()
            for hook in self.on_others:
                hook()
            self._tell_up_to(ends)

    def _load(self, projection: str, keys: Collection[str]) -> dict[str, Any]:
        commits, decode = self.cache.commits, self._by_name[projection].decode
        states = {key: decode(stored) for key, stored in self._store.load(projection, keys).items()}
        for key, state in states.items():
            self.cache.put_if_unchanged((projection, key), state, commits)
        return states

    def _with_backlog(self, connection: sqlite3.Connection, appended: list[Recorded]) -> list[Recorded]:
        """The batch, preceded by what an earlier process appended but never folded."""
        done = dict(enumerate(self._positions)) | last_offsets(self._batch)
        backlog: list[Recorded] = []
        for partition, offset in last_offsets(reversed(appended)).items():  # the first of each
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
