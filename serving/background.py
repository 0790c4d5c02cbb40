"""What a server does besides answering: follow other processes, pick up new snapshots, train on schedule."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from ingest.vocabulary.errors import DangolError
from ingest.vocabulary.ids import FROM_THE_START
from serving.policies.lifecycles import Announcer

if TYPE_CHECKING:
    from serving.configuration import Role
    from serving.engine import Engine

GARBAGE_OBJECTS = 20_000  # new objects between two young collections; a row makes some hundreds
SWITCH_S = 0.001
POLL_S = 0.2  # how soon a snapshot or another process's facts are noticed
FOLLOW_S = 0.03  # the same for facts where all of them come from other processes
LEARN_S = 60.0  # between two tables of which variant works
HOUSE_S = 3_600.0  # between rounds of housekeeping
AWAY_S = 1.0  # between attempts where something did not answer

_log = structlog.get_logger(__name__)


def answer_before_tidying() -> None:
    """Tune the interpreter for answering, once everything is loaded.

    What is loaded stays, so the collector of cyclic garbage need not walk through it: a full collection of the example
    shop stops every answer for 0.1 s. A thread that wants to run waits 1 ms for a busy one, not 5.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    sys.setswitchinterval(SWITCH_S)


class Loop:
    """Calls a step again and again, with a pause, until it is stopped; a failing step is logged and tried again."""

    def __init__(self, name: str, step: Callable[[], None], *, every_s: float) -> None:
        self._name, self._step, self._every_s = name, step, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present step."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._stop.wait(pause_s):
            pause_s = max(self._every_s, AWAY_S)
            try:
                self._step()
                pause_s = self._every_s
            except DangolError as error:
                _log.warning("a background step failed and will be tried again", step=self._name, reason=error.message)
            except Exception:  # noqa: BLE001 - logged with its trace, and the loop must live on
                _log.exception("a background step failed and will be tried again", step=self._name)


class TrainingProcess:
    """Training in a process of its own, so that answers keep their core and its memory ends with it."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], on_failure: Callable[[], None]
    ) -> None:
        self._arguments = [sys.executable, "-m", "serving", "train", "--json", *arguments]
        self._environment = environment
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Begin, unless one is under way; the end of the last one is looked at first."""
        if self.running:
            return
        self.finish()
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            self._arguments,
            stdout=subprocess.DEVNULL,
            env=self._environment,
        )

    def finish(self) -> None:
        """Note how the last training ended, if it has."""
        if self._process is not None and self._process.poll() is not None:
            if self._process.returncode != 0:
                _log.error("training failed", status=self._process.returncode)
                self._on_failure()
            self._process = None

    def stop(self) -> None:
        """End a training that is under way; its work is thrown away, the published snapshot stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


class Worker:
    """A server's worker process: the engine and what runs beside the answers."""

    def __init__(self, engine: Engine, role: Role, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start what runs beside.

        Args:
            role: what the process answers; one that only collects has nothing to follow.
            arguments, environment: those of the command that trains.
        """
        self._engine = engine
        how = ["--from-last"] if engine.configuration.training.from_last else []
        self._training = TrainingProcess([*how, *arguments], environment, engine.metrics.training_failures.inc)
        self._loops: list[Loop] = []
        if role != "collect":
            self._answer(engine)
        answer_before_tidying()

    def _answer(self, engine: Engine) -> None:
        engine.answers.moment.refresh()
        home = engine.answers.home
        home.weather.begin()
        if engine.configuration.places.country is not None:
            home.days.begin()
        self._announcer = Announcer(engine)
        follow_s = FOLLOW_S if engine.is_distributed else POLL_S
        self._loops = [
            Loop("follow", engine.projector.catch_up, every_s=follow_s),
            Loop("refresh", self._refresh, every_s=POLL_S),
        ]
        if engine.answers.learners is not None:
            self._loops.append(Loop("learn", engine.answers.learners.refresh, every_s=LEARN_S))
        every_minutes = engine.configuration.training.every_minutes
        if every_minutes and not engine.is_distributed:
            if engine.answers.moment.publication is None:
                self._train()
            self._loops.append(Loop("train", self._train, every_s=60.0 * every_minutes))
        if not engine.is_distributed:
            self._loops.append(Loop("keep house", engine.keep_house, every_s=HOUSE_S))

    def close(self) -> None:
        """Stop what runs beside, write what is queued."""
        for loop in self._loops:
            loop.stop()
        self._training.stop()
        self._engine.close()

    def _refresh(self) -> None:
        if self._engine.answers.moment.refresh():
            answer_before_tidying()
        self._training.finish()
        self._announcer.tell()

    def _train(self) -> None:
        publication = self._engine.answers.moment.publication
        learnt = FROM_THE_START if publication is None else publication.cut
        if learnt != self._engine.store.positions():
            self._training.start()
