"""Errands: what is asked of somebody far away, one after the other, in a thread that nobody waits for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from ingest.vocabulary.errors import DangolError
from serving.circuit import Circuit

queued_max = 1_000  # beyond it whoever comes is asked for later
PAUSE_S = 0.1  # between two errands: a free plan allows 600 askings in a minute
POLL_S = 1.0  # how soon the thread looks for what is due by itself
CLOSE_S = 1.0  # for an errand that is under way

Key = TypeVar("Key")

_log = structlog.get_logger(__name__)


class Errands(Generic[Key]):
    """Runs errands by key, each once however many want it. Any thread may ask for one.

    Guarantees: asking never waits; at most `queued_max` wait, and what cannot be had is forgotten until somebody wants
    it again, so that one who hangs holds up nothing for long.

    Args:
        name: of the thread, for people.
        run: does the errand of a key; a DangolError says that it cannot be done now.
        look: called once in a while by the same thread, for what is due by itself.
    """

    def __init__(self, name: str, run: Callable[[Key], None], look: Callable[[], None] = lambda: None) -> None:
        self._name, self._run, self._look = name, run, look
        self._circuit = Circuit(lambda opened: _log.warning("errands", of=name, away=opened))
        self._queued: OrderedDict[Key, None] = OrderedDict()
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._queued)

    def ask_for(self, key: Key) -> None:
        """Have the errand of a key run soon, if it is not waiting already and there is room."""
        with self._lock:
            if key in self._queued or len(self._queued) >= queued_max or self._closing.is_set():
                return
            self._queued[key] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> bool:
        """Run no more; whether none is under way. One that waits for an answer ends with the process."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            try:
                self._look()
                self._run_what_waits()
            except Exception:  # noqa: BLE001 - logged with its trace, and the thread must live on
                _log.exception("an errand failed", of=self._name)

    def _run_what_waits(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if not self._queued:
                    return
                key = next(iter(self._queued))
            try:
                self._circuit.call(self._run, key)
            except DangolError as error:
                _log.info("an errand was in vain", of=self._name, reason=error.message)
                with self._lock:
                    self._queued.clear()
                return
            with self._lock:
                self._queued.pop(key, None)
            self._closing.wait(PAUSE_S)
