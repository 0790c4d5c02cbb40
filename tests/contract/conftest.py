"""The backends every contract runs on, configured as in production."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ingest.embedded import SqliteFile
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.privacy import Keyring
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.ports import EventLog, StateStore
from tests.support.distributed import kafka_log, own_prefix, remove_topics

ROOT = Path(__file__).parents[2]


class LogBackend(Protocol):
    """A place where a log is kept; it may be opened again, by this process or by another."""

    def open(self) -> contextlib.AbstractContextManager[EventLog]:
        """The log, closed at the end."""
        ...

    def append_elsewhere(self, prefix: str, count: int, subjects: int) -> subprocess.Popen[bytes]:
        """Another process that appends facts `<prefix>-0` …, spread over subjects."""
        ...


class SqliteLogBackend:
    """A file in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.sqlite3"
        self.file: SqliteFile | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[EventLog]:
        """The log, closed at the end."""
        self.file = SqliteFile(self.path, schema=LOG_SCHEMA, version=1)
        try:
            yield SqliteEventLog(self.file)
        finally:
            self.file.close()

    def append_elsewhere(self, prefix: str, count: int, subjects: int) -> subprocess.Popen[bytes]:
        """Another process that appends facts `<prefix>-0` …, spread over subjects."""
        return append_elsewhere(str(self.path), prefix, count, subjects)

    @contextlib.contextmanager
    def hold_commits(self) -> Iterator[Callable[[], int]]:
        """While it is held nothing is committed; afterwards the value counts the commits there were."""
        file = self.file
        assert file is not None
        commits: list[bool] = []
        free, held = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            held.set()
            assert free.wait(60)

        holder = threading.Thread(target=file.write, args=(hold,))
        holder.start()
        assert held.wait(60)
        file.after_group.append(commits.append)
        try:
            yield lambda: len(commits) - 1
        finally:
            free.set()
            holder.join()


class KafkaLogBackend:
    """Topics and claims of the test's own, in a Kafka and a Redis that others use as well."""

    def __init__(self, bootstrap: str, redis_url: str) -> None:
        self.bootstrap, self.prefix, self.redis_url = bootstrap, own_prefix(), redis_url

    def open(self) -> contextlib.AbstractContextManager[EventLog]:
        """The log, closed at the end."""
        return kafka_log(self.bootstrap, self.prefix, self.redis_url)

    def append_elsewhere(self, prefix: str, count: int, subjects: int) -> subprocess.Popen[bytes]:
        """Another process that appends facts `<prefix>-0` …, spread over subjects."""
        return append_elsewhere(f"kafka {self.bootstrap} {self.prefix} {self.redis_url}", prefix, count, subjects)


def append_elsewhere(place: str, prefix: str, count: int, subjects: int) -> subprocess.Popen[bytes]:
    """Another process that appends facts to the log at a place."""
    command = [sys.executable, "-m", "tests.support.append_elsewhere", place, prefix, str(count), str(subjects)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


@pytest.fixture(params=["sqlite", "kafka"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogBackend]:
    """A backend with an empty log."""
    if request.param == "sqlite":
        yield SqliteLogBackend(tmp_path)
        return
    made = KafkaLogBackend(request.getfixturevalue("kafka_address"), request.getfixturevalue("redis_url"))
    yield made
    remove_topics(made.bootstrap, made.prefix)


@pytest.fixture
def log(backend: LogBackend) -> Iterator[EventLog]:
    """An empty log."""
    with backend.open() as opened:
        yield opened


OpenStore = Callable[[], contextlib.AbstractContextManager[StateStore]]
OpenKeyring = Callable[[], contextlib.AbstractContextManager[Keyring]]


@contextlib.contextmanager
def sqlite_store(folder: Path) -> Iterator[StateStore]:
    """A store in a file of the test's own."""
    file = SqliteFile(folder / "states.sqlite3", schema=STATES_SCHEMA, version=1)
    try:
        yield SqliteStateStore(file)
    finally:
        file.close()


@pytest.fixture(params=[sqlite_store], ids=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one and the same store, as often as it is called."""
    return lambda: request.param(tmp_path)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[StateStore]:
    """An empty store."""
    with open_store() as opened:
        yield opened


@contextlib.contextmanager
def sqlite_keyring(folder: Path) -> Iterator[Keyring]:
    """A keyring in a file of the test's own."""
    file = SqliteFile(folder / "keyring.sqlite3", schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
    try:
        yield SqliteKeyring(file)
    finally:
        file.close()


@pytest.fixture(params=[sqlite_keyring], ids=["sqlite"])
def open_keyring(request: pytest.FixtureRequest, tmp_path: Path) -> OpenKeyring:
    """Opens one and the same keyring, as often as it is called; each is like a process of its own."""
    return lambda: request.param(tmp_path)


@pytest.fixture
def keyring(open_keyring: OpenKeyring) -> Iterator[Keyring]:
    """An empty keyring."""
    with open_keyring() as opened:
        yield opened
