"""`dangol train --every`: a process that trains on schedule and keeps house, beside those that answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ingest.vocabulary.errors import Unavailable

if TYPE_CHECKING:
    from serving.engine import Engine

BEAT_S = 5.0
HOUSE_S = 60.0  # between rounds of housekeeping: what is not archived yet may not outlive a longer outage

_log = structlog.get_logger(__name__)


class Heartbeat:
    """A file that is touched while a process lives and gets on: its age is the process's health."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._last = path, float("-inf")

    def beat(self) -> None:
        """Touch the file, if there is one and the last time is a while ago."""
        if self._path is not None and time.monotonic() > self._last + BEAT_S:
            self._path.touch()
            self._last = time.monotonic()


class Trainer:
    """Trains when something was learnt since the last training and its time has come."""

    def __init__(self, engine: Engine, every_s: float, heartbeat: Heartbeat) -> None:
        self._engine, self._every_s, self._heartbeat = engine, every_s, heartbeat
        self._stopping = threading.Event()

    def run(self) -> None:
        """Train until told to stop. A store that is away is waited for; anything else ends the process."""
        beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beating.start()
        next_training = next_house = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= next_house:
                self._attempt("housekeeping", self._engine.keep_house)
                next_house = now + HOUSE_S
            if now >= next_training:
                self._attempt("training", self._train)
                next_training = now + self._every_s
            self._stopping.wait(min(next_house, next_training) - time.monotonic())
        beating.join()

    def stop(self) -> None:
        """Let `run` return; a training under way is finished first."""
        self._stopping.set()

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Unavailable as error:
            _log.warning("something is away; tried again when it is due", work=what, reason=error.message)

    def _train(self) -> None:
        publication = self._engine.snapshots.current()
        if publication is not None and publication.cut == self._engine.store.positions():
            return
        from recommender.guard import SnapshotRefused

        try:
            trained = self._engine.train(from_last=self._engine.configuration.training.from_last)
        except SnapshotRefused as refused:
            _log.error("the last snapshot stays in use", reason=refused.message)
            return
        _log.info("trained", snapshot=trained.snapshot_id, products=trained.products, orders=trained.orders)

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_S):
            self._heartbeat.beat()
