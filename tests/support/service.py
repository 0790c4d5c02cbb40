"""Starts Dangol as its users do: commands in processes of their own, a server on a free port, a trained shop."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.support.client import Client
from tests.support.forks import Fork, fork
from tests.support.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "online-retail"
ORDERS = EXAMPLE / "online_retail.csv.gz"
CATEGORIES = EXAMPLE / "categories.toml"
DANGOL = (sys.executable, "-m", "serving")
# kafka-python reads its schemas in a way that Python 3.11 calls deprecated.
WARNINGS = "error," + ",".join(f"ignore:{each}_text is deprecated:DeprecationWarning" for each in ("read", "open"))
# Waits end as soon as what they wait for is there; a busy or throttled machine may take very long.
READY_WAIT_MAX_S = 300.0
STOP_WAIT_MAX_S = 120.0
COMMAND_WAIT_MAX_S = 600.0
COLUMNS = {
    "order": "InvoiceNo",
    "customer": "CustomerID",
    "product": "StockCode",
    "quantity": "Quantity",
    "price": "UnitPrice",
    "timestamp": "InvoiceDate",
    "title": "Description",
}
EXAMPLE_DIALECT = ["--dialect", "csv", "--set", "event=order", "--set", "currency=GBP"] + [
    word for field, column in COLUMNS.items() for word in ("--map", f"{field}={column}")
]
EXAMPLE_IMPORT = ["import", str(ORDERS), *EXAMPLE_DIALECT]
_Found = TypeVar("_Found")


def environment(**changes: str) -> dict[str, str]:
    """What a command inherits: nothing that points it at another data folder, and warnings are errors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DANGOL_", "PYTEST_"))}
    return {
        **kept,
        "PYTHONWARNINGS": WARNINGS,
        "PYTHONPATH": str(REPOSITORY),
        **changes,
    }


def dangol(
    *arguments: str | Path,
    data: Path | None = None,
    check: bool = False,
    file_bytes_max: int | None = None,
    variables: Mapping[str, str] | None = None,
    fresh: bool = False,
    typed: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, perhaps with some variables of the environment; `check` insists on exit status 0.

    Args:
        file_bytes_max: its files may not grow beyond so much.
        fresh: from the very start of Python, instead of from a fork that has imported everything: see `forks.py`.
        typed: what it can read from its standard input, by a pipe; it is started fresh.
    """
    words = [*map(str, arguments), *([] if data is None else ["--data", str(data)])]
    wanted = environment(**(variables or {}))
    if fresh or typed is not None:
        assert file_bytes_max is None
        done = _started(words, wanted, typed)
    else:
        done = _forked(words, wanted, file_bytes_max)
    assert not check or done.returncode == 0, f"dangol {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done


def _started(words: list[str], wanted: dict[str, str], typed: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DANGOL, *words],
        capture_output=True,
        text=True,
        timeout=COMMAND_WAIT_MAX_S,
        env=wanted,
        check=False,
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
    )


def _forked(words: list[str], wanted: dict[str, str], file_bytes_max: int | None) -> subprocess.CompletedProcess[str]:
    with (
        Path(os.devnull).open() as nothing,
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        tempfile.TemporaryFile("w+", encoding="utf-8") as complained,
    ):
        streams = [each.fileno() for each in (nothing, said, complained)]
        process = fork(words, wanted, streams, file_bytes_max=file_bytes_max)
        try:
            status = process.wait(COMMAND_WAIT_MAX_S)
        except BaseException:
            process.kill()
            process.wait(STOP_WAIT_MAX_S)
            raise
        said.seek(0)
        complained.seek(0)
        return subprocess.CompletedProcess(words, status, said.read(), complained.read())


def told(*arguments: str | Path, data: Path, fresh: bool = False) -> Any:
    """The JSON that a command prints, which must succeed."""
    return json.loads(dangol(*arguments, "--json", data=data, check=True, fresh=fresh).stdout)


def running(
    words: Sequence[str], said: Path, variables: Mapping[str, str] | None = None, file_bytes_max: int | None = None
) -> Fork:
    """A command that stays, leader of a session of its own; what it prints is added to a file."""
    with Path(os.devnull).open() as nothing, said.open("ab") as printed:
        streams = [nothing.fileno(), printed.fileno(), printed.fileno()]
        wanted = environment(**(variables or {}))
        return fork(words, wanted, streams, session=True, file_bytes_max=file_bytes_max)


def wait_for(condition: Callable[[], _Found | None], what: str, *, within_s: float = READY_WAIT_MAX_S) -> _Found:
    """The first true value of a condition.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.02)


class Service(Client):
    """A server in a process group of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        arguments: tuple[str, ...] = (),
        file_bytes_max: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("127.0.0.1", port or free_port())
        self.folder = folder
        self._said_path = folder.with_name(f"{folder.name}-server-{self.port}.log")
        words = ["serve", "--data", str(folder), "--port", str(self.port), *arguments]
        self.process = running(words, self._said_path, variables, file_bytes_max)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def said(self) -> str:
        """What the server has printed."""
        return self._said_path.read_text(errors="replace")

    def is_ready(self) -> bool:
        """Whether it answers that it is ready."""
        assert self.process.poll() is None, f"the server ended with status {self.process.returncode}: {self.said}"
        with contextlib.suppress(OSError):
            return self.send("GET", "/readyz").status == 200
        return False

    def wait_until_ready(self) -> Service:
        """Wait until it answers."""
        try:
            wait_for(self.is_ready, "the server to be ready", within_s=READY_WAIT_MAX_S)
        except AssertionError as error:
            error.add_note(f"it said: {self.said}")
            raise
        return self

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            return self.process.wait(STOP_WAIT_MAX_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop: {self.said}") from None

    def kill(self) -> None:
        """End the whole tree at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_WAIT_MAX_S)


@contextlib.contextmanager
def serving(folder: Path, *, arguments: tuple[str, ...] = (), file_bytes_max: int | None = None) -> Iterator[Service]:
    """A server that is ready, stopped in order at the end."""
    service = Service(folder, arguments=arguments, file_bytes_max=file_bytes_max)
    try:
        service.wait_until_ready()
        yield service
        assert service.stop() == 0, service.said
    finally:
        service.kill()


def copy_of(folder: Path, target: Path) -> Path:
    """A data folder of a test's own; snapshots never change, so their bytes are shared."""

    def copied(source: str, destination: str) -> object:
        if source.endswith(".npy"):
            return os.link(source, destination)
        return shutil.copy2(source, destination)

    shutil.copytree(folder, target, copy_function=copied)
    return target


def import_example(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The example shop, imported as the documentation says."""
    return dangol(*EXAMPLE_IMPORT, *more, data=folder, check=True)


def states_of(folder: Path) -> list[tuple[str, str, bytes]]:
    """Every folded state of a folder that nobody serves, byte for byte, tail segments included."""
    return rows_of(folder, "SELECT projection, key, value FROM states ORDER BY projection, key")


def rows_of(folder: Path, query: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[Any]:
    """What the main file answers to a query."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "dangol.sqlite3")) as connection:
        return connection.execute(query, parameters).fetchall()


def events_of(folder: Path) -> list[Any]:
    """Every fact in the log of a folder, in the order of partitions."""
    from ingest.vocabulary.codec import decode_event

    return [decode_event(stored) for (stored,) in rows_of(folder, "SELECT stored FROM events ORDER BY place")]
