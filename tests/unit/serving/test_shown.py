"""Shown lists become facts off the request path: bounded, counted, and flushed at an orderly end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.privacy import Alias
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import Event, HomepageShown, RankingShown
from ingest.vocabulary.ids import Position, Subject
from serving import shown
from serving.shown import ShownLists
from tests.support.build import fact
from tests.support.embedded import embedded, read_all, temporary_folder


class Switch:
    """A log that can be switched off: `append` of the real one, or Unavailable."""

    def __init__(self, append: Callable[..., list[Position | None]]) -> None:
        self._append, self.on, self.refused = append, True, threading.Event()

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """The real log's append while it is on."""
        if not self.on:
            self.refused.set()
            raise Unavailable("the log is down")
        return self._append(events, once=once)


class Counts:
    """What happened to shown lists, with a way to wait for it."""

    def __init__(self) -> None:
        self.dropped = self.written = 0
        self._changed = threading.Condition()

    def on_dropped(self, count: int) -> None:
        with self._changed:
            self.dropped += count

    def on_written(self, count: int) -> None:
        with self._changed:
            self.written += count
            self._changed.notify_all()

    def wait_for_written(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.written >= count, timeout=60)


@pytest.fixture
def counts() -> Counts:
    return Counts()


def no_one(aliases: Iterable[Alias]) -> dict[Alias, Subject]:
    """Nobody is asked for."""
    raise AssertionError(list(aliases))


def lists(log: Any, counts: Counts, resolve: Callable[..., dict[Alias, Subject]] = no_one) -> ShownLists:
    return ShownLists(log, resolve, on_dropped=counts.on_dropped, on_written=counts.on_written)


def some(count: int) -> list[RankingShown]:
    return [fact(RankingShown, request_id=f"r-{number}") for number in range(count)]


def test_a_shown_list_is_in_the_log_soon_after(counts: Counts) -> None:
    with temporary_folder() as folder, embedded(folder) as dangol:
        queue = lists(dangol.log, counts)
        batch = some(3)
        for each in batch:
            queue.put(each)
        assert counts.wait_for_written(3)
        assert [recorded.event for recorded in read_all(dangol.log)] == batch
        queue.close()


def test_a_new_visitor_who_was_shown_something_to_learn_from_gets_a_subject(counts: Counts) -> None:
    with temporary_folder() as folder, embedded(folder) as dangol:
        queue = lists(dangol.log, counts, dangol.keyring.resolve)
        visitor = Alias("anonymous", "new-here")
        assert dangol.keyring.find(visitor) is None
        for number in range(2):
            queue.put(fact(HomepageShown, request_id=f"r-{number}", subject=f"random-{number}"), visitor)
        queue.put(fact(HomepageShown, request_id="r-2", subject="random-2"))
        queue.close()
        subject = dangol.keyring.find(visitor)
        assert subject is not None
        found = {recorded.event.request_id: recorded.event.subject for recorded in read_all(dangol.log)}
        assert found == {"r-0": subject, "r-1": subject, "r-2": "random-2"}


def test_closing_writes_everything_that_is_queued(counts: Counts) -> None:
    with temporary_folder() as folder, embedded(folder) as dangol:
        queue = lists(dangol.log, counts)
        batch = some(shown.BATCH_MAX + 20)
        for each in batch:
            queue.put(each)
        queue.close()
        assert [recorded.event for recorded in read_all(dangol.log)] == batch
        assert (counts.written, counts.dropped) == (len(batch), 0)


def test_a_log_that_comes_back_gets_what_waited_in_order(counts: Counts) -> None:
    with temporary_folder() as folder, embedded(folder) as dangol, capture_logs():
        switch = Switch(dangol.log.append)
        switch.on = False
        queue = lists(switch, counts)
        batch = some(5)
        for each in batch:
            queue.put(each)
        assert switch.refused.wait(60)
        assert counts.written == 0
        switch.on = True
        assert counts.wait_for_written(5)
        assert [recorded.event for recorded in read_all(dangol.log)] == batch
        queue.close()
        assert counts.dropped == 0


def test_an_overflow_is_counted_and_never_waits(counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "QUEUE_MAX", 4)
    with capture_logs():
        switch = Switch(lambda *_, **__: [])
        switch.on = False
        queue = lists(switch, counts)
        for each in some(4):
            queue.put(each)
        assert switch.refused.wait(60)
        for each in some(50):
            queue.put(each)
        assert counts.dropped >= 50 - 4
        before = counts.dropped
        queue.close()
    assert counts.dropped + counts.written == 54
    assert counts.dropped > before, "what is left when the log stays down is counted too"


class ClosedJustAfter(threading.Event):
    """Is set in the very moment in which whoever waited for it has given up."""

    def __init__(self, wake: threading.Event) -> None:
        super().__init__()
        self._wake = wake

    def wait(self, timeout: float | None = None) -> bool:
        """Not set yet; but then."""
        self.set()
        self._wake.set()
        return False


def test_an_end_that_comes_while_some_gather_is_not_missed(counts: Counts) -> None:
    with temporary_folder() as folder, embedded(folder) as dangol:
        queue = lists(dangol.log, counts)
        queue._closing = ClosedJustAfter(queue._wake)
        queue.put(some(1)[0])
        queue._thread.join(30)
        assert not queue._thread.is_alive()
        assert counts.written == 1
