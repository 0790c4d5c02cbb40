"""The folded states of the distributed deployment, as a process that answers reads them: folded by somebody else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ingest.folding.followers import Followers
from ingest.folding.repeats import Repeats
from ingest.states.redis import RedisStateStore
from ingest.vocabulary.errors import StatesLost
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import AnyProjection, EventLog


class SharedStates(Followers):
    """Reads states where the projectors keep them, and follows the log itself.

    Guarantees: followers hear of each fact that counts once, in the order of its partition. A state is read anew each
    time, so it is as fresh as the projectors are; followers may be ahead of it.
    """

    def __init__(
        self, log: EventLog, store: RedisStateStore, projections: Sequence[AnyProjection], repeats: Repeats
    ) -> None:
        super().__init__(log, store.positions())
        self._log, self._store, self._repeats = log, store, repeats
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
        """Tell the followers what has come into the log."""
        with self._follow_lock:
            ends = self._log.ends()
            if not self._told(ends):
                self._tell_up_to(ends)

    def _counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        return self._repeats.without(batch)
