"""What the core asks of the outside: a log, a store of folded states, projections that fold one into the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import EventId, Position

State = TypeVar("State")
StateChanges = Mapping[tuple[str, str], bytes | None]


class EventLog(Protocol):
    """An append-only sequence of facts, per partition.

    Guarantees: an append that returned is on disk; positions rise within a partition; a read after an acknowledged
    append returns it; of the facts appended `once`, one event id is written once (orders and imports for ever,
    others within a window of days). Any thread may call.
    Not guaranteed: order across partitions; positions without gaps.
    """

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """Write facts durably; None stands where a fact was there already.

        Raises:
            Unavailable: they were not acknowledged; append all of them again. A log in one file has none of them then;
                one on several machines may have some, and recognises them if they are appended `once`.
        """
        ...

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts of a partition behind offset `after` (-1 for the first), at most `limit`."""
        ...

    def find(self, event_id: EventId) -> Event | None:
        """A fact by its id, if it was appended once and its claim has not run out."""
        ...

    def ends(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 where it is empty."""
        ...


class StateStore(Protocol):
    """Folded states: opaque bytes under (projection, key), committed with the position they are folded up to.

    Guarantees: a commit is all or nothing; a commit whose `before` is not the stored position changes nothing.
    Not guaranteed: that a state exists for every key; durability beyond what replay rebuilds; that a scan is of one
    moment, where others commit meanwhile.
    """

    def positions(self) -> tuple[int, ...]:
        """The offset each partition is folded up to, -1 for none."""
        ...

    def load(self, projection: str, keys: Collection[str]) -> dict[str, bytes]:
        """The states of some keys; absent ones are absent."""
        ...

    def scan(self, projection: str) -> Iterator[tuple[str, bytes]]:
        """All states of a projection, in order of their keys."""
        ...

    def commit(self, changes: StateChanges, *, partition: int, before: int, after: int) -> None:
        """Keep `changes` (None removes) and move the partition's position from `before` to `after`.

        Every key that changes belongs to the partition: see `Keyed`.

        Raises:
            PositionConflict: the stored position is not `before`.
            Unavailable: the store did not answer; read the positions before going on, for it may have been done.
            StatesLost: the store was emptied and no epoch has begun since.
        """
        ...


class Keyed(Protocol):
    """States under keys that tell which log partition their facts lie in.

    Guarantees: every fact that touches a key lies in the partition `partition_of_key` says, for ever.
    """

    @property
    def name(self) -> str:
        """The name its states are kept under."""
        ...

    def partition_of_key(self, key: str) -> int:
        """The log partition of the facts a state is folded from; a store on many machines keeps it by that."""
        ...


class Projection(Keyed, Protocol[State]):
    """A pure fold of the log into states under keys.

    Guarantees: the same facts in the same order give the same bytes; no clock, no randomness, no I/O.
    Keys are per log partition: `evolve` sees the facts of one key in log order.
    """

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The states a fact touches; none if it does not concern this projection."""
        ...

    def evolve(self, state: State | None, recorded: Recorded) -> State | None:
        """The state after the fact; None means there is nothing (any more) to keep."""
        ...

    def derived(self, before: State | None, recorded: Recorded) -> tuple[Event, ...]:
        """What the fact means in the light of the state before it, for projections that are folded after this one.

        It has the fact's place and is folded in the same step, also by a replay; it is never stored.
        """
        ...

    def consequences(self, state: State | None, recorded: Recorded) -> tuple[Event, ...]:
        """Facts that follow from this fact and the state before it; appended once, never on replay."""
        ...

    def encode(self, state: State) -> bytes:
        """The state as bounded bytes; equal states give equal bytes."""
        ...

    def decode(self, stored: bytes) -> State:
        """The inverse of `encode`."""
        ...


AnyProjection = Projection[Any]
