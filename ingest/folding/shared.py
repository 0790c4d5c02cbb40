"""The folded states of the distributed deployment, as a process that answers reads them: folded by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from ingest.folding.fold import BATCH_MAX
from ingest.folding.followers import Followers
from ingest.folding.group import Read
from ingest.folding.repeats import Repeats
from ingest.states.redis import RedisStateStore
from ingest.vocabulary.errors import DangolError, StatesLost
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import AnyProjection, EventLog

WAIT_S = 0.2  # for news; whoever wants to stop following waits as long


class News(Protocol):
    """What comes into the log, of all partitions."""

    def poll(self, timeout_s: float, limit: int) -> Mapping[int, Read]:
        """What came behind what was polled before, or behind where a partition was told to begin.

        Raises:
            Unavailable: the log cannot be reached now.
        """
        ...

    def begin(self, partition: int, after: int) -> None:
        """Go on behind this offset."""
        ...

    def close(self) -> None:
        """Follow no longer."""
        ...


class SharedStates(Followers):
    """Reads states where the projectors keep them, and follows the log itself.

    Guarantees: followers hear of each fact that counts once, in the order of its partition. A state is read anew each
    time, so it is as fresh as the projectors are; followers may be ahead of it.
    """

    def __init__(
        self,
        log: EventLog,
        store: RedisStateStore,
        projections: Sequence[AnyProjection],
        repeats: Repeats,
        follow: Callable[[Sequence[int]], News],
    ) -> None:
        """
        Args:
            follow: begins to follow the log behind some offsets.
        """
        super().__init__(log, store.positions())
        self._store, self._repeats, self._follow = store, repeats, follow
        self._news: News | None = None
        self._decode = {projection.name: projection.decode for projection in projections}

    def state(self, projection: str, key: str) -> Any:
        """The folded state under a key, or None. Cost: a round trip."""
        return self.states(projection, (key,)).get(key)

    def states(self, projection: str, keys: Collection[str]) -> dict[str, Any]:
        """The folded states under some keys; absent ones are absent. Cost: a round trip.

        Raises:
            StatesLost: some are absent, and it cannot be told whether they ever were: they are being folded again.
        """
        decode = self._decode[projection]
        states, complete = self._store.known(projection, keys)
        if not complete and len(states) < len(set(keys)):
            raise StatesLost("the states were lost and are being folded again from the log")
        return {key: decode(stored) for key, stored in states.items()}

    def catch_up(self) -> None:
        """Tell the followers what comes into the log within a moment. For one thread.

        Raises:
            Unavailable: the log or the claims cannot be reached; the next call goes on from what has been told.
        """
        if self._news is None:
            self._news = self._follow(self._followed)
        polled = self._news.poll(WAIT_S, BATCH_MAX)
        with self._follow_lock:
            try:
                self._tell_read(polled)
            except DangolError:
                for partition in polled:
                    self._news.begin(partition, self._followed[partition])
                raise

    def close(self) -> None:
        """Follow no longer; `catch_up` must not be under way."""
        if self._news is not None:
            self._news.close()

    def _tell_read(self, polled: Mapping[int, Read]) -> None:
        """Tell facts; records that are none are passed over, as the projectors see to them."""
        news: list[Recorded] = []
        for partition, read in polled.items():
            followed = self._followed[partition]
            for missed in self._batches(partition, followed, read.first - 1):  # the log reaches into the archive
                news.extend(missed)
            news.extend(recorded for recorded in read.facts if recorded.position.offset > followed)
        self._tell_followers(news)
        for partition, read in polled.items():
            self._followed[partition] = max(self._followed[partition], read.upto)

    def _counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        return self._repeats.without(batch)
