"""The product's server with one route more: `/hello`, a bare Flask application that everything else is compared with.

`python -m tests.bench.server <folder> <port>` serves it with the product's own settings.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response

from serving.configuration import Serving, load_configuration
from serving.folder import CONFIGURATION_FILE, server_lock
from serving.server import http_server
from serving.wiring import FOLDER_VARIABLE, served_application
from tests.bench.machine import cpu_s, family, running
from tests.support.ports import free_port

START_S = 60.0
HELLO = b'{"message":"Hello, World!"}'

Wsgi = Callable[[dict[str, Any], Any], Any]


def application() -> Wsgi:
    """The product, and beside it, untouched by the product's hooks, a hello."""
    product, bare = served_application(), Flask("hello")

    @bare.get("/hello")
    def hello() -> Response:
        return Response(HELLO, content_type="application/json")

    def dispatch(environ: dict[str, Any], start_response: Any) -> Any:
        chosen = bare if environ["PATH_INFO"] == "/hello" else product
        return chosen(environ, start_response)

    return dispatch


class Served:
    """A server that runs: its port and what its processes use."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._pids = family(process.pid)

    def cpu_s(self) -> float:
        """Processor time used so far."""
        return cpu_s(self._pids)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A server over a data folder, in processes of its own, ended at the end."""
    port = free_port()
    with running([sys.executable, "-m", "tests.bench.server", str(folder), str(port)]) as process:
        _wait_until_ready(process, port)
        yield Served(process, port)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError("the server did not become ready")


def main(folder: Path, port: int) -> None:
    """Serve until told to stop."""
    os.environ[FOLDER_VARIABLE] = str(folder)
    path = folder / CONFIGURATION_FILE
    with contextlib.ExitStack() as held:
        if load_configuration(path, required=False).distributed is None:
            held.callback(server_lock(folder).release)
        http_server("tests.bench.server:application", Serving(), host="127.0.0.1", port=port).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
