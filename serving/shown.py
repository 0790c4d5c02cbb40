"""What was shown becomes a fact, off the request path.

Answers put what was shown into a bounded queue; a thread appends what has gathered with one group commit. A
crash may lose the last moments of them, an overflow is counted, an orderly shutdown loses nothing. A visitor nobody has
heard of gets a subject here, where nobody waits for it, if something is to be learned from what they do next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from msgspec.structs import replace

from ingest.privacy import Alias
from ingest.vocabulary.errors import DangolError
from ingest.vocabulary.events import Shown
from ingest.vocabulary.ids import Subject
from ingest.vocabulary.ports import EventLog

QUEUE_MAX = 20_000  # ten seconds of a busy process; beyond it the log is down and memory matters more
BATCH_MAX = 500
GATHER_S = 0.08  # a crash may lose 0.1 s of them: the rest is for the commit

_log = structlog.get_logger(__name__)


class ShownLists:
    """The queue and its thread. `put` never waits.

    Args:
        resolve: the subjects of aliases, made where there are none.
    """

    def __init__(
        self,
        log: EventLog,
        resolve: Callable[[Iterable[Alias]], Mapping[Alias, Subject]],
        *,
        on_dropped: Callable[[int], None],
        on_written: Callable[[int], None],
    ) -> None:
        self._log, self._resolve = log, resolve
        self._queue: deque[tuple[Shown, Alias | None]] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._on_dropped, self._on_written = on_dropped, on_written
        self._thread = threading.Thread(target=self._run, name="shown lists", daemon=True)
        self._thread.start()

    def put(self, shown: Shown, alias: Alias | None = None) -> None:
        """Queue what was shown, to whoever `alias` names if it does; if the queue is full it is dropped and counted."""
        if len(self._queue) >= QUEUE_MAX:
            self._on_dropped(1)
            return
        self._queue.append((shown, alias))
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what is queued and stop."""
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        """Sleep while nothing is shown; then let some gather, so that many share a commit."""
        while True:
            self._wake.wait()
            self._closing.wait(GATHER_S)
            self._wake.clear()
            last_round = self._closing.is_set()  # after clearing: whoever closes says so first, then wakes
            while self._queue:
                if not self._write():
                    self._wake.set()  # try again after a pause
                    break
            if last_round:
                if self._queue:
                    self._on_dropped(len(self._queue))
                return

    def _write(self) -> bool:
        batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
        try:
            self._log.append(self._of_their_subjects(batch), once=False)
        except DangolError as error:
            _log.warning("shown lists wait for the log", waiting=len(self._queue) + len(batch), reason=error.message)
            self._queue.extendleft(reversed(batch))
            return False
        self._on_written(len(batch))
        return True

    def _of_their_subjects(self, batch: Sequence[tuple[Shown, Alias | None]]) -> list[Shown]:
        unknown = {alias for _, alias in batch if alias is not None}
        subjects = self._resolve(unknown) if unknown else {}
        return [shown if alias is None else replace(shown, subject=subjects[alias]) for shown, alias in batch]
