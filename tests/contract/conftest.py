"""The backends every contract runs on, configured as in production."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, cast

import pytest
import redis

from ingest.embedded import SqliteFile
from ingest.keyrings.kafka import KafkaKeyring
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.logs.topics import prepare_topics
from ingest.privacy import Keyring
from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import open_redis
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.ports import EventLog, StateStore
from tests.support.archiving import GrowingArchive
from tests.support.distributed import kafka_log, own_prefix, remove_topics
from tests.support.projections import NamedPartitions

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


class ArchivedLogBackend(SqliteLogBackend):
    """The same with an archive that takes over what the log has."""

    @contextlib.contextmanager
    def open(self) -> Iterator[EventLog]:
        """The log, closed at the end."""
        with super().open() as log:
            yield GrowingArchive(self.path.parent / "archive", cast(SqliteEventLog, log))


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


@pytest.fixture(params=["sqlite", "archived", "kafka"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogBackend]:
    """A backend with an empty log."""
    if request.param != "kafka":
        yield SqliteLogBackend(tmp_path) if request.param == "sqlite" else ArchivedLogBackend(tmp_path)
        return
    made = KafkaLogBackend(request.getfixturevalue("kafka_address"), request.getfixturevalue("redis_url"))
    yield made
    remove_topics(made.bootstrap, made.prefix)


@pytest.fixture
def log(backend: LogBackend) -> Iterator[EventLog]:
    """An empty log."""
    with backend.open() as opened:
        yield opened


ON_KAFKA = pytest.mark.parametrize("backend", ["kafka"], indirect=True)  # where a promise is only about Kafka


@pytest.fixture
def prefix(backend: LogBackend) -> str:
    """What the names of the topics and keys of a log on Kafka begin with."""
    assert isinstance(backend, KafkaLogBackend)
    return backend.prefix


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


@contextlib.contextmanager
def redis_store(url: str, prefix: str) -> Iterator[StateStore]:
    """A store under a prefix of the test's own, as a projector that starts finds it."""
    client = open_redis(url, timeout_s=REDIS_TIMEOUT_S)
    store = RedisStateStore(client, prefix, [NamedPartitions(name) for name in KEPT])
    store.begin_epoch(store.positions)
    try:
        yield store
    finally:
        client.close()


KEPT = ("trail", "other", "p'")  # what the contract keeps in a store
REDIS_TIMEOUT_S = 5.0


@pytest.fixture(params=["sqlite", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one and the same store, as often as it is called."""
    if request.param == "sqlite":
        return lambda: sqlite_store(tmp_path)
    url, prefix = request.getfixturevalue("redis_url"), f"test-{uuid.uuid4().hex}"
    return lambda: redis_store(url, prefix)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[StateStore]:
    """An empty store."""
    with open_store() as opened:
        yield opened


class KeyringBackend(Protocol):
    """A place where a keyring is kept."""

    def open(self) -> contextlib.AbstractContextManager[Keyring]:
        """The keyring, as a process of its own would open it; closed at the end."""
        ...

    @property
    def opening(self) -> str:
        """Python that binds `keyring` to it, for another process."""
        ...


class SqliteKeyringBackend:
    """A file in a folder of the test's own."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.path = request.getfixturevalue("tmp_path") / "keyring.sqlite3"
        self.opening = f"""
from pathlib import Path
from ingest.embedded import SqliteFile
from ingest.keyrings.kafka import KafkaKeyring
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
keyring = SqliteKeyring(SqliteFile(Path({str(self.path)!r}), schema=KEYRING_SCHEMA, version=KEYRING_VERSION))
"""

    @contextlib.contextmanager
    def open(self) -> Iterator[Keyring]:
        """The keyring, closed at the end."""
        file = SqliteFile(self.path, schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
        try:
            yield SqliteKeyring(file)
        finally:
            file.close()


class KafkaKeyringBackend:
    """A topic and keys in Redis of the test's own."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.prefix = own_prefix()
        self.redis_url: str = request.getfixturevalue("redis_url")
        self.settings = KafkaSettings(bootstrap=request.getfixturevalue("kafka_address"), prefix=self.prefix)
        prepare_topics(self.settings)
        self.opening = f"""
import redis
from ingest.keyrings.kafka import KafkaKeyring
from ingest.logs.kafka_settings import KafkaSettings
settings = KafkaSettings(bootstrap={self.settings.bootstrap!r}, prefix={self.prefix!r})
keyring = KafkaKeyring(settings, redis.Redis.from_url({self.redis_url!r}), {self.prefix!r})
"""

    @contextlib.contextmanager
    def open(self) -> Iterator[Keyring]:
        """The keyring, closed at the end."""
        with redis.Redis.from_url(self.redis_url) as client:
            keyring = KafkaKeyring(self.settings, client, self.prefix)
            try:
                yield keyring
            finally:
                keyring.close()


@pytest.fixture(params=[SqliteKeyringBackend, KafkaKeyringBackend], ids=["sqlite", "kafka"])
def keyring_backend(request: pytest.FixtureRequest) -> Iterator[KeyringBackend]:
    """A backend with an empty keyring."""
    made: KeyringBackend = request.param(request)
    yield made
    if isinstance(made, KafkaKeyringBackend):
        remove_topics(made.settings.bootstrap, made.prefix)


@pytest.fixture
def open_keyring(keyring_backend: KeyringBackend) -> OpenKeyring:
    """Opens one and the same keyring, as often as it is called; each is like a process of its own."""
    return keyring_backend.open


@pytest.fixture
def keyring(open_keyring: OpenKeyring) -> Iterator[Keyring]:
    """An empty keyring."""
    with open_keyring() as opened:
        yield opened
