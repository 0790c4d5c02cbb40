"""The import ledger of the distributed deployment: a hash in Redis, which may be lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ingest.keyrings.cache import translated
from ingest.ledger import Entry
from ingest.states.redis_connection import RedisClient
from ingest.vocabulary.clock import epoch_ms, from_epoch_ms


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    finished_ms: int
    report: bytes


class RedisImportLedger:
    """The finished imports, in one hash. Without it a file that comes again is read again, and changes nothing."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self._client: Any = client
        self._name = f"{prefix}:imports"

    def find(self, key: bytes) -> Entry | None:
        """The finished import of this key, if there is one."""
        with translated():
            found = self._client.hget(self._name, key)
        if found is None:
            return None
        stored = msgspec.msgpack.decode(found, type=_Stored)
        return Entry(from_epoch_ms(stored.finished_ms), stored.report)

    def finish(self, key: bytes, finished_at: datetime, report: bytes) -> None:
        """Note that an import came to its end."""
        with translated():
            self._client.hset(self._name, key, msgspec.msgpack.encode(_Stored(epoch_ms(finished_at), report)))
