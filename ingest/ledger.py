"""Which files were imported to their end: a file that comes again is recognised by its content and changes nothing."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """A finished import: when, and its report as it was then."""

    finished_at: datetime
    report: bytes


class ImportLedger(Protocol):
    """The finished imports.

    It saves the work of a second reading; that nothing is taken twice is the event ids' doing. So it may be lost.
    Every method may raise `Unavailable`.
    """

    def find(self, key: bytes) -> Entry | None:
        """The finished import of this key, if there is one."""
        ...

    def finish(self, key: bytes, finished_at: datetime, report: bytes) -> None:
        """Note that an import came to its end."""
        ...


def import_key(content: bytes, dialect: str, options: bytes) -> bytes:
    """What makes two imports the same: the content of the file, the dialect and how the file was read."""
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update(dialect.encode() + b"\0" + options)
    return digest.digest()
