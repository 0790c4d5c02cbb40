"""A projector of the distributed deployment: one of a consumer group, folding the partitions it is given.

The group only says who folds what. Where to go on is the store's position, never the group's offset; a commit that does
not follow on the stored position changes nothing, so that a projector that lost a partition without noticing (a
zombie) does no harm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog

from ingest.folding.fold import BATCH_MAX, Poison, encode_states, fold
from ingest.folding.repeats import Repeats
from ingest.vocabulary.errors import PositionConflict, Unavailable
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import AnyProjection, EventLog, StateStore

WAIT_FIRST_S, WAIT_MAX_S = 0.1, 5.0  # before what failed is tried again
POLL_S = 0.2
LOOK_S, LOOK_MAX_S = 10.0, 320.0  # without a fact, before it is asked whether there are any

_log = structlog.get_logger(__name__)


class Unreadable(NamedTuple):
    """A record that is no fact, and where it lies."""

    partition: int
    offset: int
    stored: bytes
    reason: str


class Read(NamedTuple):
    """What came of a partition: facts and records that are none, from offset `first` up to and including `upto`."""

    facts: Sequence[Recorded]
    unreadable: Sequence[Unreadable]
    first: int
    upto: int


class Membership(Protocol):
    """A member of the group of projectors."""

    def poll(self, timeout_s: float, limit: int) -> Mapping[int, Read]:
        """What came of the partitions this member has, behind where each was told to begin.

        Raises:
            Unavailable: the log cannot be reached now.
        """
        ...

    def assigned(self) -> frozenset[int]:
        """The partitions this member has now."""
        ...

    def begin(self, partition: int, after: int) -> None:
        """Go on behind this offset; what was fetched before is forgotten."""
        ...

    def standing(self) -> frozenset[int]:
        """The partitions that stand still for good reason: their next record is of a newer Dangol."""
        ...

    def renew(self) -> None:
        """Let go of the group, and join it anew at the next poll."""
        ...

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        ...


class GroupProjector:
    """Folds what its membership brings.

    Args:
        membership: who folds which partition, and the records.
        log: takes what follows from facts; has the facts that the membership no longer gets.
        store: states and positions.
        projections: the folds.
        repeats: leaves out facts that are in the log twice.
        set_aside: keeps what could not be folded or read.
        ready: makes sure that some partitions may be folded; the positions of all.
    """

    def __init__(
        self,
        membership: Membership,
        log: EventLog,
        store: StateStore,
        projections: Sequence[AnyProjection],
        repeats: Repeats,
        set_aside: Callable[[Sequence[Poison], Sequence[Unreadable]], None],
        ready: Callable[[Collection[int]], Sequence[int]],
    ) -> None:
        self._membership, self._log, self._store = membership, log, store
        self._projections, self._repeats, self._set_aside = tuple(projections), repeats, set_aside
        self._ready = ready
        self._folded: dict[int, int] = {}
        self._behind: dict[int, int] = {}
        self._patience_s = LOOK_S
        self._look_at = time.monotonic() + LOOK_S
        self._stopping = threading.Event()
        self.facts = 0

    def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Fold until told to stop; what is away (the store, the log) is waited for.

        Args:
            alive: called after every step, whether there was anything to do or not.
        """
        wait_s = WAIT_FIRST_S
        while not self._stopping.is_set():
            try:
                self.step(POLL_S)
                wait_s = WAIT_FIRST_S
            except Unavailable as error:
                _log.warning("the projector waits", reason=error.message, again_in_s=wait_s)
                self.start_over()
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, WAIT_MAX_S)
            alive()
        self._membership.close()

    def stop(self) -> None:
        """Let `run` return after the batch it is at."""
        self._stopping.set()

    def step(self, timeout_s: float) -> int:
        """Fold what comes within so many seconds; how many facts that were.

        Raises:
            Unavailable: something is away; nothing of the batch counts, it will come again.
        """
        polled = self._membership.poll(timeout_s, BATCH_MAX)
        mine = self._membership.assigned()
        for partition in self._folded.keys() - mine:
            del self._folded[partition]
        new = mine - self._folded.keys()
        if new:
            positions = self._ready(new)
            for partition in sorted(new):
                self._begin(partition, positions[partition])
        facts = 0
        for partition, read in polled.items():
            if partition in self._folded and partition not in new:
                facts += self._fold(partition, read)
        self.facts += facts
        self._look_after(facts)
        return facts

    def _look_after(self, facts: int) -> None:
        """Join anew if nothing came between two looks although there is something to come.

        A client of Kafka may stop getting anything and raise no error; it has been seen on machines under heavy load.
        Where joining changes nothing, as where another member's partition waits for a newer version, it is done ever
        less often.
        """
        now = time.monotonic()
        if facts:
            self._behind, self._patience_s, self._look_at = {}, LOOK_S, now + LOOK_S
        if now < self._look_at:
            return
        ends, positions = self._log.ends(), self._store.positions()
        watched = set(self._folded or range(len(ends))) - self._membership.standing()
        behind = {each: positions[each] for each in watched if positions[each] < ends[each]}
        if any(self._behind.get(each) == position for each, position in behind.items()):
            _log.warning("nothing comes although there is something: joining anew", partitions=sorted(behind))
            self._membership.renew()
            self.start_over()
            behind, self._patience_s = {}, min(2 * self._patience_s, LOOK_MAX_S)
        self._behind, self._look_at = behind, now + self._patience_s

    def _fold(self, partition: int, read: Read) -> int:
        before = self._folded[partition]
        if read.upto <= before:  # between two polls it lost its partitions and got them back, to be read from the start
            self._membership.begin(partition, before)
            return 0
        if read.first > before + 1:
            return self._fold_history(partition, before, read.first)
        batch = [recorded for recorded in read.facts if recorded.position.offset > before]
        counting = self._repeats.without(batch)
        folded = fold(self._projections, counting, self._store.load)
        if folded.consequences:
            self._log.append(folded.consequences)  # their ids follow from this batch: once, however often it is folded
        if folded.poison or read.unreadable:
            self._set_aside(folded.poison, read.unreadable)
        changes = encode_states(self._projections, folded.states)
        try:
            self._store.commit(changes, partition=partition, before=before, after=read.upto)
        except PositionConflict:
            position = self._store.positions()[partition]
            _log.warning("another projector was here", partition=partition, position=position, mine=before)
            self._begin(partition, position)
            return 0
        self._folded[partition] = read.upto
        return len(batch)

    def _fold_history(self, partition: int, before: int, first: int) -> int:
        """Fold from the log what the group's topic has forgotten: the log reaches further back, into the archive.

        Raises:
            Corrupt: the archive lacks it as well.
        """
        facts = self._log.read(partition, after=before, limit=BATCH_MAX)
        upto = facts[-1].position.offset if facts else first - 1  # records that are no facts are passed over
        folded = self._fold(partition, Read(facts, (), before + 1, upto))
        self._membership.begin(partition, self._folded[partition])
        return folded

    def _begin(self, partition: int, after: int) -> None:
        self._folded[partition] = after
        self._membership.begin(partition, after)

    def start_over(self) -> None:
        """Begin anew everywhere from the store's positions: what was polled has been lost from the membership."""
        self._folded.clear()
