"""A connection that fails, or ends the process, at the n-th operation."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from ingest.embedded import SqliteFile


class Fault:
    """Counts the operations of a writing connection and strikes at one of them.

    Args:
        strike_at: which operation, from 1; 0 for none.
        after: strike when the operation has been done, not before.
        crash: end the process at once instead of raising.
    """

    def __init__(self, strike_at: int = 0, *, after: bool = False, crash: bool = False) -> None:
        self.strike_at, self.after, self.crash = strike_at, after, crash
        self.operations = 0

    def run(self, operation: Any, *arguments: Any) -> Any:
        """One operation, or what befalls it."""
        self.operations += 1
        struck = self.operations == self.strike_at
        if struck and not self.after:
            self._strike()
        result = operation(*arguments)
        if struck and self.after:
            self._strike()
        return result

    def _strike(self) -> None:
        if self.crash:
            os._exit(17)
        raise sqlite3.OperationalError("disk I/O error")


class _Faulty:
    """A connection or cursor whose operations pass through a fault."""

    def __init__(self, inner: Any, fault: Fault) -> None:
        self._inner, self._fault = inner, fault

    def execute(self, *arguments: Any) -> Any:
        if arguments[0] == "ROLLBACK":
            return self._inner.execute(*arguments)
        return self._fault.run(self._inner.execute, *arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self._fault.run(self._inner.executemany, *arguments)

    def cursor(self) -> Any:
        return _Faulty(self._inner.cursor(), self._fault)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def break_writer(file: SqliteFile, fault: Fault) -> None:
    """From now on the writing connection of a file passes through a fault."""
    inner = file._connection
    file._connection = _Faulty(getattr(inner, "_inner", inner), fault)  # type: ignore[assignment]
