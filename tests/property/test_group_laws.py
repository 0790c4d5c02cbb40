"""Laws of the group of projectors: whoever folds what, however it moves and fails, each fact counts once."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.catalog import CatalogueProjection
from ingest.embedded import SqliteFile
from ingest.folding import group as projectors
from ingest.folding.fold import Poison
from ingest.folding.group import GroupProjector, Read, Unreadable
from ingest.folding.repeats import EveryFact
from ingest.folding.replay import rebuild
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import AnyProjection, EventLog
from tests.support.build import views
from tests.support.embedded import states_of, temporary_folder
from tests.support.projections import TrailProjection
from tests.support.strategies import histories

PROJECTIONS: tuple[AnyProjection, ...] = (TrailProjection(), CatalogueProjection())
WORKERS = 3
STEP_FACTS = 3

workers = st.integers(0, WORKERS - 1)
moves = st.tuples(st.sampled_from(((0, 1), (0, 2), (1, 2))), workers)  # all partitions, the even or the odd ones
acts = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 8)),
        st.tuples(st.just("move"), moves),
        st.tuples(st.just("step"), workers),
        st.tuples(st.just("freeze"), workers),
        st.tuples(st.just("break"), st.integers(1, 3)),
    ),
    min_size=10,
    max_size=40,
)


class HandMembership:
    """What a broker does by itself, done by hand: partitions are given and taken; a frozen member notices nothing."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._after: dict[int, int] = {}
        self.given: frozenset[int] = frozenset()
        self._noticed: frozenset[int] = frozenset()
        self.frozen = self.deaf = False
        self.stands: frozenset[int] = frozenset()
        self.renewed = 0

    def poll(self, timeout_s: float, limit: int) -> Mapping[int, Read]:
        """The next few records of each partition."""
        if not self.frozen:
            self._noticed = self.given
        came: dict[int, Read] = {}
        for partition in () if self.deaf else self._noticed:
            facts = self._log.read(partition, after=self._after.get(partition, -1), limit=STEP_FACTS)
            if facts:
                self._after[partition] = facts[-1].position.offset
                came[partition] = Read(facts, (), facts[0].position.offset, facts[-1].position.offset)
        return came

    def assigned(self) -> frozenset[int]:
        """What this member believes it has."""
        return self._noticed

    def begin(self, partition: int, after: int) -> None:
        """Go on behind this offset."""
        self._after[partition] = after

    def begin_at_the_start(self) -> None:
        """What a broker makes of a member that lost its partitions and got them back: it knows no offsets."""
        self._after.clear()

    def standing(self) -> frozenset[int]:
        """What waits for a newer version."""
        return self.stands

    def renew(self) -> None:
        """A new connection hears again."""
        self.deaf = False
        self.renewed += 1

    def close(self) -> None:
        """Nothing is held."""


class BreakableStore(SqliteStateStore):
    """Fails the next commits, the first half of them after having done them."""

    failures = 0

    def commit(self, changes, *, partition, before, after) -> None:  # type: ignore[no-untyped-def]
        """The commit, or what befalls it."""
        if self.failures:
            self.failures -= 1
            if self.failures % 2:
                super().commit(changes, partition=partition, before=before, after=after)
            raise Unavailable("the store went away")
        super().commit(changes, partition=partition, before=before, after=after)


class Group:
    """Some projectors over one log and one store."""

    def __init__(self, folder: Path) -> None:
        self.file = SqliteFile(folder / "group.sqlite3", schema=f"{LOG_SCHEMA};{STATES_SCHEMA}", version=1)
        self.log, self.store = SqliteEventLog(self.file), BreakableStore(self.file)
        self.members = [HandMembership(self.log) for _ in range(WORKERS)]
        self.aside: list[Poison | Unreadable] = []
        self.workers = [
            GroupProjector(member, self.log, self.store, PROJECTIONS, EveryFact(), self._set_aside, self._ready)
            for member in self.members
        ]

    def move(self, moved: range, worker: int) -> None:
        """Give partitions to a worker; nobody else has them then."""
        for number, member in enumerate(self.members):
            member.given = member.given.union(moved) if number == worker else member.given.difference(moved)

    def step(self, worker: int) -> None:
        """Two steps of a worker: the first may only find out what it has. It starts over, as `run` does."""
        for _ in range(2):
            try:
                self.workers[worker].step(0.0)
            except Unavailable:
                self.workers[worker].start_over()

    def finish(self) -> None:
        """Everything is well again and the first worker has every partition."""
        self.store.failures = 0
        for member in self.members:
            member.frozen = False
        self.move(range(PARTITIONS), 0)
        while self.store.positions() != self.log.ends():
            for worker in range(WORKERS):
                self.step(worker)

    def _ready(self, partitions: Collection[int]) -> Sequence[int]:
        return self.store.positions()

    def _set_aside(self, poison: Sequence[Poison], unreadable: Sequence[Unreadable]) -> None:
        self.aside += [*poison, *unreadable]


@contextlib.contextmanager
def group() -> Iterator[Group]:
    """A group in a folder of its own."""
    with temporary_folder() as folder:
        made = Group(folder)
        try:
            yield made
        finally:
            made.file.close()


def states_of_a_replay(log: EventLog, folder: Path) -> dict[tuple[str, str], bytes]:
    """What the log comes to, folded by one process that nothing befell."""
    file = SqliteFile(folder / "replayed.sqlite3", schema=STATES_SCHEMA, version=1)
    try:
        store = SqliteStateStore(file)
        rebuild(log, store, PROJECTIONS)
        return states_of(store, PROJECTIONS)
    finally:
        file.close()


@settings(max_examples=60)
@given(histories(), acts)
def test_however_partitions_move_and_stores_fail_the_states_are_those_of_a_replay(
    history: list[Event], done: list[tuple[str, int | tuple[tuple[int, int], int]]]
) -> None:
    waiting = list(history)
    with group() as dangol, temporary_folder() as folder:
        for act, value in done:
            match act, value:
                case "append", int(count):
                    dangol.log.append(waiting[:count])
                    del waiting[:count]
                case "move", ((first, every), worker):
                    dangol.move(range(first, PARTITIONS, every), worker)
                case "step", int(worker):
                    dangol.step(worker)
                case "freeze", int(worker):
                    dangol.members[worker].frozen ^= True
                case "break", int(times):
                    dangol.store.failures = times
        dangol.log.append(waiting)
        dangol.finish()
        assert states_of(dangol.store, PROJECTIONS) == states_of_a_replay(dangol.log, folder)
        event_ids = [
            recorded.event.event_id
            for p in range(PARTITIONS)
            for recorded in dangol.log.read(p, after=-1, limit=10_000)
        ]
        assert len(set(event_ids)) == len(event_ids), "what follows from a fact follows once"


def test_a_projector_that_slept_while_its_partitions_moved_counts_nothing_again() -> None:
    with group() as dangol, temporary_folder() as folder:
        dangol.log.append([*views(12, subject="mary"), *views(12, subject="john")])
        dangol.move(range(PARTITIONS), 0)
        dangol.step(0)
        dangol.members[0].frozen = True
        dangol.move(range(PARTITIONS), 1)
        dangol.step(1)
        before = dangol.store.positions()
        dangol.workers[0].step(0.0)
        assert dangol.store.positions() == before, "what it folded from where it slept was refused"
        dangol.finish()
        assert states_of(dangol.store, PROJECTIONS) == states_of_a_replay(dangol.log, folder)


def test_a_member_that_joined_again_unnoticed_does_not_read_what_is_folded() -> None:
    with group() as dangol:
        dangol.log.append(views(4 * STEP_FACTS, subject="mary"))
        dangol.finish()
        dangol.log.append(views(STEP_FACTS, subject="mary"))
        dangol.members[0].begin_at_the_start()
        assert [dangol.workers[0].step(0.0), dangol.workers[0].step(0.0)] == [0, STEP_FACTS]


def test_a_member_that_hears_nothing_although_there_is_something_joins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projectors, "LOOK_S", 0.0)
    with group() as dangol:
        member, worker = dangol.members[0], dangol.workers[0]
        dangol.move(range(PARTITIONS), 0)
        worker._look_at = 0.0
        for _ in range(3):
            worker.step(0.0)
        assert member.renewed == 0, "there is nothing to hear"
        dangol.log.append(views(STEP_FACTS, subject="mary"))
        member.deaf = True
        worker.step(0.0)
        assert member.renewed == 0, "it may be on its way"
        worker.step(0.0)
        assert member.renewed == 1
        dangol.finish()


def test_a_member_that_waits_for_a_newer_version_does_not_join_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projectors, "LOOK_S", 0.0)
    with group() as dangol:
        member, worker = dangol.members[0], dangol.workers[0]
        dangol.move(range(PARTITIONS), 0)
        dangol.log.append(views(STEP_FACTS, subject="mary"))
        member.deaf, member.stands = True, frozenset(range(PARTITIONS))
        worker._look_at = 0.0
        for _ in range(4):
            worker.step(0.0)
        assert member.renewed == 0


def test_joining_that_changes_nothing_is_done_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr(projectors.time, "monotonic", lambda: float(next(clock)))
    with group() as dangol:
        member, worker = dangol.members[0], dangol.workers[0]
        dangol.log.append(views(STEP_FACTS, subject="mary"))
        renewals = []
        for _ in range(400):  # it has no partitions: whoever has them waits for a newer version
            worker.step(0.0)
            renewals.append(member.renewed)
        assert renewals[10] >= 1
        assert 5 <= renewals[-1] <= 9, "and never gives up"
