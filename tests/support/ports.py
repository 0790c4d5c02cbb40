"""Free ports of this machine: each process that shares the tests has a range of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

_FIRST_PORT, _PORTS_EACH = 20_000, 2_000
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(_FIRST_PORT + _process * _PORTS_EACH, _FIRST_PORT + (_process + 1) * _PORTS_EACH))


def free_port() -> int:
    """A port nobody listens on now: below those that clients get, and from a range of this process's own."""
    for port in _ports:
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
