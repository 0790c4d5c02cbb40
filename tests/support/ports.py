"""Free ports of this machine, each given to one process of one run only."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path

_FIRST_PORT, _PORTS_EACH = 20_000, 2_000
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(_FIRST_PORT + _process * _PORTS_EACH, _FIRST_PORT + (_process + 1) * _PORTS_EACH))
_claims = os.open(Path(tempfile.gettempdir()) / f"dangol-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def free_port() -> int:
    """A port nobody listens on now: below those that clients get, and no other process is given it while this one runs.

    Between the answer and whoever listens lies a moment: two brokers that start at once must not be told the same port.
    """
    for port in _ports:
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            fcntl.lockf(_claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)  # until this process ends
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
