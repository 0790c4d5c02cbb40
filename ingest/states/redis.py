"""Folded states on Redis: one round trip to read, one script to commit a batch together with its position.

The keys of a log partition share a tag, `<prefix>:{p07}:…`, so that they lie in one slot of a Redis Cluster:

* `<prefix>:{p07}:<projection>:<key>`  a state;
* `<prefix>:{p07}:<projection>`        the keys of these states, in order (a sorted set);
* `<prefix>:{p07}:position`            the offset the states are folded up to;
* `<prefix>:{p07}:epoch`               since when they are; see `ingest.states.redis_epoch`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ingest.states.redis_connection import RedisClient, answering, ask, require_no_eviction, require_timeout
from ingest.states.redis_epoch import GENERATION_MARK, Epoch, Standing, is_complete, parse_epoch, parse_position
from ingest.states.redis_scripts import BEGIN, COMMIT, DROP
from ingest.vocabulary.errors import ConfigurationError, Corrupt, PositionConflict, StatesLost
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import Keyed, StateChanges

EVERY_PARTITION = range(PARTITIONS)
_KEYS_MAX = 500  # in one command: some 700 KB of profiles, a few milliseconds in which Redis does nothing else
_SCANNED_MAX = 200  # states of a partition in memory while all are scanned: 16 times that, some 4 MB of profiles
_SWEPT_MAX = 2_000  # states removed in one step
_WORDS = ("position", "epoch")  # what has a key of its own in a partition


class Known(NamedTuple):
    """The states of some keys; where they are not `complete`, an absent state may have been lost."""

    states: dict[str, bytes]
    complete: bool


class RedisStateStore:
    """A `StateStore` on a Redis server or a Redis Cluster. Threads may share one.

    A commit is fenced: it is done only where the stored position is the one the caller went on from, in the epoch that
    is in force. So a projector that lost its partition and does not know it yet changes nothing.

    Besides what the port says, calls raise Unavailable where Redis does not answer in the client's `socket_timeout`.

    Cost: about 100 bytes a state besides its key and value, for the index that `scan`, `count` and `clear` use.
    """

    def __init__(self, client: RedisClient, prefix: str, projections: Iterable[Keyed]) -> None:
        """
        Args:
            client: with a `socket_timeout`; see `open_redis`.
            prefix: what all keys of this shop begin with.
            projections: whose states are kept; they say which partition a key belongs to.

        Raises:
            ConfigurationError: the client may hang, or the prefix has braces.
        """
        require_timeout(client)
        if "{" in prefix or "}" in prefix:
            raise ConfigurationError(f"the prefix of keys in Redis must not have braces: {prefix!r}")
        self._client = client
        self._partition_of = {projection.name: projection.partition_of_key for projection in projections}
        assert not any(name in _WORDS or ":" in name for name in self._partition_of), "names that mean something else"
        self._tags = [f"{prefix}:{{p{partition:02d}}}:" for partition in EVERY_PARTITION]

    def positions(self) -> tuple[int, ...]:
        """The offset each partition is folded up to, -1 for none."""
        return self.standing().positions

    def standing(self) -> Standing:
        """Positions and epochs of all partitions. Cost: one round trip, some 0.2 ms."""
        found = self._mget([self._places(partition) for partition in EVERY_PARTITION])
        return Standing(
            tuple(parse_position(position) for position, _ in found),
            tuple(parse_epoch(position, epoch) for position, epoch in found),
        )

    def begin_epoch(self, ends: Callable[[], Sequence[int]], partitions: Collection[int] = EVERY_PARTITION) -> Standing:
        """Make sure that partitions may be folded: where the states are gone, an epoch begins at position -1.

        A projector calls this when it starts, when it is assigned partitions, and after `StatesLost`; then it drops the
        states it remembers and goes on from the positions that are returned. Several may call it at once.

        Args:
            ends: asks the log for its ends, -1 where it is empty; called after the positions were read.
            partitions: those the caller is to fold.

        Raises:
            Corrupt: states are folded further than the log reaches, so they are of another log: restore the log, or
                `clear()` the states and fold them again.
            ConfigurationError: Redis may evict states.
        """
        require_no_eviction(self._client)
        standing, last = self.standing(), ends()
        for partition in partitions:
            position = standing.positions[partition]
            if standing.epochs[partition] is None:
                self._begin(partition, until=last[partition])
            elif position > last[partition]:
                raise Corrupt(
                    f"the states of partition {partition} are folded up to {position}, but the log ends at "
                    f"{last[partition]}: they do not belong together"
                )
        return self.standing()

    def load(self, projection: str, keys: Collection[str]) -> dict[str, bytes]:
        """The states of some keys; absent ones are absent. One round trip, whatever the keys."""
        batches = [
            (partition, names[start : start + _KEYS_MAX])
            for partition, names in self._by_partition(projection, keys).items()
            for start in range(0, len(names), _KEYS_MAX)
        ]
        found = self._mget([self._state_keys(projection, *batch) for batch in batches])
        states: dict[str, bytes] = {}
        for (_, names), values in zip(batches, found, strict=True):
            states.update(_present(names, values))
        return states

    def known(self, projection: str, keys: Collection[str]) -> Known:
        """The states of a few keys, and whether an absent one means that nothing is known: for answering.

        Cost: one round trip, like `load`; position and epoch of the partitions come along.
        """
        parts = self._by_partition(projection, keys)
        found = self._mget([self._places(at) + self._state_keys(projection, at, names) for at, names in parts.items()])
        states, complete = dict[str, bytes](), True
        for names, (position, epoch, *values) in zip(parts.values(), found, strict=True):
            states.update(_present(names, values))
            complete = complete and is_complete(parse_epoch(position, epoch), parse_position(position))
        return Known(states, complete)

    def scan(self, projection: str) -> Iterator[tuple[str, bytes]]:
        """All states of a projection, in order of their keys; what is committed meanwhile is seen or not.

        Cost: two round trips for each 200 states of a partition; 3 200 states in memory at most.
        """
        yield from heapq.merge(*(self._scan_partition(projection, partition) for partition in EVERY_PARTITION))

    def count(self, projection: str) -> int:
        """How many states a projection has."""
        return sum(self._many([("ZCARD", self._index(projection, partition)) for partition in EVERY_PARTITION]))

    def commit(self, changes: StateChanges, *, partition: int, before: int, after: int) -> None:
        """Keep `changes` (None removes) and move the partition's position from `before` to `after`.

        Cost: one round trip; Redis does nothing else for 9 µs a state of 1.3 KB.

        Raises:
            PositionConflict: the stored position is not `before`.
            Unavailable: Redis did not answer; read the positions before going on, for it may have been done.
            StatesLost: the states of the partition are gone: `begin_epoch`, and go on from its positions.
        """
        keys = self._places(partition)
        sections: list[str | int | bytes] = []
        names = {projection for projection, _ in changes}
        for name in names:
            kept = {key: value for (of, key), value in changes.items() if of == name and value is not None}
            both = [*kept, *(key for (of, key), value in changes.items() if of == name and value is None)]
            assert all(self._partition_of[name](key) == partition for key in both), "a state of another partition"
            keys += [self._index(name, partition), *self._state_keys(name, partition, both)]
            sections += [self._head_bytes(name, partition), len(kept), len(both) - len(kept), *kept.values()]
        with answering():
            stored = COMMIT.run(self._client, keys, [before, after, GENERATION_MARK, len(names), *sections])
        if stored == b"lost":
            raise StatesLost(f"Redis has lost the states of partition {partition}")
        if stored is not None:
            raise PositionConflict(f"partition {partition} is folded up to {int(stored)}, not to {before}")

    def clear(self) -> None:
        """Forget every state and position, for a replay from zero; until it is where it was, nothing is complete.

        Projectors that are still at work change nothing from here on. Cut off, the next `begin_epoch` finishes it.
        """
        standing = self.standing()
        self._many([("DEL", *self._places(partition)) for partition in EVERY_PARTITION])
        for partition, (position, epoch) in enumerate(zip(standing.positions, standing.epochs, strict=True)):
            self._begin(partition, until=position if epoch is None else max(position, epoch.until))

    def drop(self, projection: str, keys: Iterable[str]) -> None:
        """Remove states that nothing needs any more."""
        for partition, names in self._by_partition(projection, keys).items():
            states = self._state_keys(projection, partition, names)
            for start in range(0, len(states), _KEYS_MAX):
                place = [self._index(projection, partition), *states[start : start + _KEYS_MAX]]
                with answering():
                    DROP.run(self._client, place, [self._head_bytes(projection, partition)])

    def _begin(self, partition: int, *, until: int) -> None:
        """An epoch for a partition, unless another projector has begun one; what is left of the last is removed."""
        indexes = [self._index(projection, partition) for projection in self._partition_of]
        arguments: list[str | int] = [
            Epoch.begun_at(until).stored(),
            GENERATION_MARK,
            _SWEPT_MAX,
            *(f"{index}:" for index in indexes),
        ]
        begun = None
        while begun is None:
            with answering():
                begun = BEGIN.run(self._client, [*self._places(partition), *indexes], arguments)

    def _scan_partition(self, projection: str, partition: int) -> Iterator[tuple[str, bytes]]:
        index, after = self._index(projection, partition), "-"
        while True:
            page = ("ZRANGEBYLEX", index, after, "+", "LIMIT", 0, _SCANNED_MAX)
            names = [name.decode() for name in self._many([page])[0]]
            if not names:
                return
            (values,) = self._mget([self._state_keys(projection, partition, names)])
            yield from _present(names, values)
            after = f"({names[-1]}"

    def _by_partition(self, projection: str, keys: Iterable[str]) -> dict[int, list[str]]:
        partition_of, parts = self._partition_of[projection], dict[int, list[str]]()
        for key in keys:
            parts.setdefault(partition_of(key), []).append(key)
        return parts

    def _places(self, partition: int) -> list[str]:
        """The keys of position and epoch."""
        return [f"{self._tags[partition]}{word}" for word in _WORDS]

    def _index(self, projection: str, partition: int) -> str:
        return self._tags[partition] + projection

    def _head_bytes(self, projection: str, partition: int) -> int:
        return len(self._index(projection, partition).encode()) + 1

    def _state_keys(self, projection: str, partition: int, names: Iterable[str]) -> list[str]:
        head = f"{self._tags[partition]}{projection}:"
        return [head + name for name in names]

    def _mget(self, keys: Sequence[Sequence[str]]) -> list[list[bytes | None]]:
        """The values of keys, given in groups that share a slot."""
        return self._many([("MGET", *group) for group in keys])

    def _many(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """What each command answers, in one round trip; each of them is about one slot."""
        with answering():
            if len(commands) == 1:
                return [ask(self._client, *commands[0])]
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute())


def _present(names: Iterable[str], values: Iterable[bytes | None]) -> Iterator[tuple[str, bytes]]:
    return ((name, value) for name, value in zip(names, values, strict=True) if value is not None)
