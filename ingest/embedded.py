"""One SQLite file with one writer, whose group commits let concurrent callers share one fsync.

The embedded deployment keeps log, claims, states and dead letters in `dangol.sqlite3`, and the keyring in a file of
its own; both are a `SqliteFile`. Several processes may open a file: SQLite orders their transactions, and
`before_group` tells this process that another one has written meanwhile.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from ingest.vocabulary.errors import ConfigurationError, Corrupt, DangolError, NewerVersion, Unavailable

Result = TypeVar("Result")
AnyConnection = TypeVar("AnyConnection", bound=sqlite3.Connection)
Work = Callable[[sqlite3.Connection], Any]

GROUP_MAX = 256  # pieces of work in one transaction: bounds how long the first waits for the last
BUSY_TIMEOUT_S = 30.0  # another process may be importing; its transactions are shorter than this
BUSY_RETRY_S = 0.01  # two processes that make one file differ by less
APPLICATION_ID = 0x44_61_6E_67  # "Dang": `file` and a careful reader recognise the format

_log = structlog.get_logger(__name__)


class _Task(NamedTuple):
    work: Work
    future: Future[Any]


class _Reader(sqlite3.Connection):
    """A connection whose statements raise our errors, whether they start or are being read."""

    def __init__(self, path: Path, **settings: Any) -> None:
        super().__init__(path, **settings)
        self.path = path

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        """Start a statement."""
        try:
            return self.cursor(_ReadingCursor).execute(*statement)
        except sqlite3.DatabaseError as error:
            raise our_error(error, self.path) from error


class _ReadingCursor(sqlite3.Cursor):
    connection: _Reader

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.DatabaseError as error:
            raise our_error(error, self.connection.path) from error

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as error:
            raise our_error(error, self.connection.path) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as error:
            raise our_error(error, self.connection.path) from error


class SqliteFile:
    """A file in WAL mode with `synchronous=FULL`, written by one thread in group commits.

    Guarantees: when `write` returns, its changes are on disk; a piece of work that raises leaves no trace and
    spoils no other of its group.
    """

    def __init__(self, path: Path, *, schema: str, version: int) -> None:
        self.path = path
        self.before_group: list[Callable[[sqlite3.Connection, bool], None]] = []
        self.before_commit: list[Callable[[sqlite3.Connection], None]] = []
        self.after_group: list[Callable[[bool], None]] = []
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._reader_list: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._connection = self._open(schema, version)
        self._data_version = -1
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` on the writing connection and return its result once that is on disk.

        Raises:
            Unavailable: the disk is full or the file is locked; nothing was written.
            DangolError: what `work` raised.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("the data folder is being closed")
            self._tasks.put(_Task(work, future))
        return future.result()

    def reader(self) -> sqlite3.Connection:
        """A connection for reading, one for each thread; it sees every committed change."""
        connection: _Reader | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._connect(_Reader)
            connection.execute("PRAGMA query_only=ON")
            self._readers.connection = connection
            with self._lock:
                self._reader_list.append(connection)
        return connection

    def checkpoint(self) -> None:
        """Move everything from the write-ahead log into the file and empty the log.

        Raises:
            Unavailable: a reader held on to the log for longer than we wait; try again.
        """

        def work(_: sqlite3.Connection) -> None:
            return None

        self.write(work)  # what is queued goes first
        with translated_errors(self.path), contextlib.closing(self._connect(sqlite3.Connection)) as connection:
            ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise Unavailable(f"{self.path} is being read, so its write-ahead log could not be emptied")

    def close(self) -> None:
        """Write what is queued, then close. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._tasks.put(None)
        self._thread.join()
        for connection in self._reader_list:
            connection.close()
        self._connection.close()

    def _connect(self, kind: type[AnyConnection]) -> AnyConnection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=kind,
        )
        connection.execute("PRAGMA mmap_size=268435456")
        return connection

    def _open(self, schema: str, version: int) -> sqlite3.Connection:
        with translated_errors(self.path):
            connection = self._connect(sqlite3.Connection)
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA cache_size=-65536")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                connection.close()
                raise NewerVersion(f"{self.path} has version {found}; this Dangol reads up to {version}: upgrade it")
            if found < version:
                _make_tables(connection, schema, version)
            return connection

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            group: list[_Task] = []
            while task is not None:
                group.append(task)
                if len(group) >= GROUP_MAX:
                    break
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(group)
            if task is None:
                return

    def _commit(self, group: list[_Task]) -> None:
        """One transaction for the group; the futures are resolved after the fsync and after the hooks."""
        outcomes: list[tuple[_Task, Any, BaseException | None]] = []
        committed = False
        try:
            with translated_errors(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
                version = self._connection.execute("PRAGMA data_version").fetchone()[0]
                changed, self._data_version = version != self._data_version, version
                for before in self.before_group:
                    before(self._connection, changed)
                outcomes.extend(self._attempt(task) for task in group)
                for hook in self.before_commit:
                    hook(self._connection)
                self._connection.execute("COMMIT")
                committed = True
        except BaseException as error:  # noqa: BLE001 - whatever it was, every waiting caller must hear of it
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            self._data_version = -1
            outcomes = [(task, None, error) for task in group]
        for after in self.after_group:
            try:
                after(committed)
            except Exception:  # noqa: BLE001 - what was committed stays so: callers are answered, the thread lives
                _log.exception("a follower of commits failed", path=str(self.path))
        for task, result, failure in outcomes:
            if failure is None:
                task.future.set_result(result)
            else:
                task.future.set_exception(failure)

    def _attempt(self, task: _Task) -> tuple[_Task, Any, BaseException | None]:
        self._connection.execute("SAVEPOINT work")
        try:
            result = task.work(self._connection)
        except sqlite3.Error:
            raise  # the file itself is in trouble: the whole group fails
        except Exception as error:  # noqa: BLE001 - handed to the caller who waits for it
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return task, None, error
        self._connection.execute("RELEASE work")
        return task, result, None


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL. SQLite does not wait for a lock here, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(BUSY_RETRY_S)
        else:
            return


def _make_tables(connection: sqlite3.Connection, schema: str, version: int) -> None:
    """Make the tables, unless another process has made them while this one waited."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] < version:
            for statement in schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise


@contextlib.contextmanager
def translated_errors(path: Path) -> Any:
    """SQLite's exceptions as ours: Unavailable for what may pass, Corrupt for what will not."""
    try:
        yield
    except DangolError:
        raise
    except sqlite3.DatabaseError as error:
        raise our_error(error, path) from error


def our_error(error: sqlite3.DatabaseError, path: Path) -> DangolError:
    """What one of SQLite's errors means to us."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Corrupt(f"{path} is damaged: {error}")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return ConfigurationError(f"{path} cannot be opened for writing: {error}")
    return Unavailable(f"{path} could not be read or written: {error}")
