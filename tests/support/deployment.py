"""The distributed deployment as its operator starts it: the processes of the compose file, without containers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from serving.engine import Engine
from tests.support.folded import opened, wait_until_folded
from tests.support.service import STOP_WAIT_MAX_S, Service, dangol, running


class Worker:
    """A process that is not asked over HTTP: a projector, a trainer."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *words: str) -> None:
        self._said_path = folder.with_name(f"{folder.name}-{words[0]}.log")
        self.process = running([*words, "--data", str(folder)], self._said_path, variables)

    @property
    def said(self) -> str:
        """What it and others of its kind have printed."""
        return self._said_path.read_text(errors="replace")

    def pause(self) -> None:
        """Stand still: as a machine does that is out of memory, or was put to sleep."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Wake up after `pause`."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_WAIT_MAX_S)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_WAIT_MAX_S)


Started = TypeVar("Started", Worker, Service)


class Deployment:
    """One shop on a Kafka and a Redis; what is started here is ended with it."""

    def __init__(self, folder: Path, kafka: str, redis_url: str, *, prefix: str = "dangol", **variables: str) -> None:
        self.folder, self.prefix, self.variables = folder, prefix, variables
        folder.mkdir(parents=True)
        (folder / "dangol.toml").write_text(
            f'[distributed]\nkafka = "{kafka}"\nredis = "{redis_url}"\nprefix = "{prefix}"\n', encoding="utf-8"
        )
        self._started: list[Worker | Service] = []
        with self.opened():
            pass  # makes the topics

    def run(self, *words: str) -> str:
        """A command that must succeed; what it printed."""
        return dangol(*words, data=self.folder, check=True, variables=self.variables).stdout

    def status(self) -> dict[str, Any]:
        """What `dangol status` tells."""
        told: dict[str, Any] = json.loads(self.run("status", "--json"))
        return told

    def projector(self) -> Worker:
        """One more projector."""
        return self._keep(Worker(self.folder, self.variables, "project"))

    def trainer(self, minutes: int = 1) -> Worker:
        """The trainer."""
        return self._keep(Worker(self.folder, self.variables, "train", "--every", str(minutes)))

    def serve(self, *arguments: str) -> Service:
        """One more server, ready."""
        return self._keep(Service(self.folder, arguments=arguments, variables=self.variables)).wait_until_ready()

    def opened(self) -> AbstractContextManager[Engine]:
        """The shop, opened in this process with the variables of its own: a command costs a second of a core."""
        return opened(self.folder, self.variables)

    def wait_until_folded(self, within_s: float = STOP_WAIT_MAX_S) -> None:
        """Wait until the projectors have folded everything that is in the log."""
        wait_until_folded(self.folder, self.variables, within_s)

    def close(self) -> None:
        """End whatever still runs."""
        for each in reversed(self._started):
            each.kill()

    def _keep(self, started: Started) -> Started:
        self._started.append(started)
        return started


@contextlib.contextmanager
def deployment(folder: Path, kafka: str, redis_url: str, *, prefix: str, **variables: str) -> Iterator[Deployment]:
    """A deployment, ended at the end."""
    made = Deployment(folder, kafka, redis_url, prefix=prefix, **variables)
    try:
        yield made
    finally:
        made.close()
