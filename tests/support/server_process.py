"""A server that tests start, stop, kill and start again with its data in a folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

_ASK_S = 0.05  # between questions whether it answers


class NotToBeHad(Exception):
    """A service that tests need is not on this machine and could not be brought here."""


class ServerProcess:
    """A process that is ready when it answers; what it prints goes to `output.txt` in its folder."""

    start_s, stop_s = 120.0, 30.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + self.start_s
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()[-2_000:]
            assert time.monotonic() < deadline, f"{self.folder} did not start in time"
            time.sleep(_ASK_S)

    def stop(self, *, kill: bool = False) -> None:
        """Stop in order, or like a power cut of the process; nothing to do where it was never started."""
        if self.process is None:
            return
        self.process.kill() if kill else self.process.terminate()
        try:
            self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self) -> Sequence[str]:
        """The command line."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes requests now."""
        raise NotImplementedError


Made = TypeVar("Made", bound=ServerProcess)


@contextlib.contextmanager
def started(make: Callable[[], Made]) -> Iterator[Made]:
    """A server of a test's own, killed at the end."""
    try:
        server = make()
    except NotToBeHad as error:
        do_without(error)
    try:
        server.start()
        yield server
    finally:
        server.stop(kill=True)


def do_without(missing: NotToBeHad) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(str(missing))
    pytest.skip(str(missing))
