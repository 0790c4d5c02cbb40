"""Dangol's commands as processes of their own that do not each import everything anew: a second of a core apiece.

`python -m tests.support.forks <descriptor>` imports what any command may need and compiles what it calls, once; then it
forks whenever it is asked to over a socket, and the fork becomes the command: its own words, environment, streams,
session and limits, ended as any process ends. What a fork cannot show is the start itself, what a command imports and
another seed of hashes: `fresh` in `tests/support/service.py` asks for a real start where a test is about one of them.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PACKAGES = ("ingest", "recommender", "personalization", "serving")
MESSAGE_BYTES_MAX = 100_000
START_WAIT_MAX_S = 300.0
DIED = -signal.SIGKILL  # what is said of a command whose mother died with it
NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # PyArrow's allocator would have one


class Fork:
    """A command that runs: what tests use of `subprocess.Popen`."""

    def __init__(self, status: socket.socket, pid: int) -> None:
        self._status, self.pid = status, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("dangol", timeout or 0.0)
            self.returncode = int(self._status.recv(100) or DIED)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Mother:
    """The process that forks, started when first needed and ended with this one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asked:
            command = [sys.executable, "-m", "tests.support.forks", str(asked.fileno())]
            self._process = subprocess.Popen(
                command,
                pass_fds=[asked.fileno()],
                cwd=ROOT,
                env={**environment, **NO_THREADS},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._asking.settimeout(START_WAIT_MAX_S)
        assert self._asking.recv(100) == b"ready", "the process that forks did not start"

    def fork(
        self, words: Sequence[str], environment: Mapping[str, str], streams: Sequence[int], **more: bool | int | None
    ) -> Fork:
        """A command with its three streams; what more there is, `fork` explains."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            asked = json.dumps({"words": words, "environment": dict(environment), "folder": str(Path.cwd()), **more})
            assert len(asked) < MESSAGE_BYTES_MAX
            socket.send_fds(self._asking, [asked.encode()], [*streams, theirs.fileno()])
        return Fork(mine, int(mine.recv(100)))


_lock = threading.Lock()
_mothers: dict[int, Mother] = {}  # by the process that asks: a fork of it has none


def fork(
    words: Sequence[str],
    environment: Mapping[str, str],
    streams: Sequence[int],
    *,
    session: bool = False,
    file_bytes_max: int | None = None,
) -> Fork:
    """A command of Dangol that begins where imports have ended.

    Args:
        streams: descriptors of its standard input, output and error.
        session: whether it leads a session, and so a group, of its own.
        file_bytes_max: its files may not grow beyond so much: further writes fail, as on a full disk.
    """
    from serving.wiring import DETERMINISTIC_ENVIRONMENT  # with it a training need not start over

    with _lock:
        if os.getpid() not in _mothers:
            _mothers[os.getpid()] = Mother({**environment, **DETERMINISTIC_ENVIRONMENT})
        mother = _mothers[os.getpid()]
    whole = {**environment, **DETERMINISTIC_ENVIRONMENT}
    return mother.fork(words, whole, streams, session=session, file_bytes_max=file_bytes_max)


class _Waiting:
    """Forks whose end somebody waits for; in a fork, nothing of it stays open."""

    def __init__(self, asked: socket.socket) -> None:
        self.asked = asked
        self.selector = selectors.DefaultSelector()
        self.selector.register(asked, selectors.EVENT_READ)
        self._told: dict[int, tuple[int, socket.socket]] = {}

    def add(self, pid: int, status: socket.socket) -> None:
        """Tell of its end when it comes."""
        handle = os.pidfd_open(pid)
        self._told[handle] = (pid, status)
        self.selector.register(handle, selectors.EVENT_READ)

    def tell(self, handle: int) -> None:
        """Say how a fork ended to whoever waits for it."""
        pid, status = self._told.pop(handle)
        self.selector.unregister(handle)
        os.close(handle)
        with status, contextlib.suppress(OSError):
            status.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())

    def close(self) -> None:
        """Let go of everything."""
        self.selector.close()
        self.asked.close()
        for handle, (_, status) in self._told.items():
            os.close(handle)
            status.close()


def _forked(asked: socket.socket) -> dict[str, Any]:
    """Fork whenever it is asked to; only a fork comes back from here, with what it is to be."""
    waiting = _Waiting(asked)
    while True:
        for key, _ in waiting.selector.select():
            if key.fileobj is not asked:
                waiting.tell(key.fd)
                continue
            message, descriptors, _, _ = socket.recv_fds(asked, MESSAGE_BYTES_MAX, 4)
            if not message:
                sys.exit()  # whoever asked has ended
            *streams, told = descriptors
            status = socket.socket(fileno=told)
            assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads must not fork"
            pid = os.fork()
            if not pid:
                waiting.close()
                status.close()
                return {**json.loads(message), "streams": streams}
            for stream in streams:
                os.close(stream)
            status.send(str(pid).encode())
            waiting.add(pid, status)


def _become(wanted: Mapping[str, Any]) -> NoReturn:
    """The command, from its words to its exit status."""
    if wanted["session"]:
        os.setsid()
    for descriptor, stream in enumerate(wanted["streams"]):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    if wanted["file_bytes_max"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted["file_bytes_max"], resource.RLIM_INFINITY))
    sys.argv = ["dangol", *wanted["words"]]
    from serving.cli import main

    try:
        main(prog_name="dangol")
    except SystemExit as ended:
        _end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    raise AssertionError("a command ends its process")


def _end(status: int) -> NoReturn:
    """What Python does at its end, but for taking every module apart, which costs as much as a command."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _warm() -> None:
    """Import everything, and have machine code for what is called."""
    import granian.server

    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    assert granian.server
    import tqdm

    from recommender.kernels.__main__ import compile_all

    tqdm.tqdm.monitor_interval = 0  # a thread that would watch the bars of a training
    compile_all()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page


def _main() -> NoReturn:
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _warm()
        asked.send(b"ready")
        wanted = _forked(asked)
    _become(wanted)


if __name__ == "__main__":
    _main()
