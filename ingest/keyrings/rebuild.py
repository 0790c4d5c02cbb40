"""The keyring's cache made again from the topic, when Redis was emptied or started again."""

from __future__ import annotations

import os
import threading
import time

import msgspec

from ingest.compacted import CompactedTopic, Record, pause
from ingest.keyrings.cache import AT_ONCE_MAX, Argument, KeyringCache
from ingest.keyrings.records import ALIAS, PEOPLE, PERSON, AliasRecord, PersonRecord
from ingest.keyrings.scripts import FENCE_MS
from ingest.vocabulary.errors import Corrupt, DangolError, Unavailable

POLL_S = 0.05


class Rebuilder:
    """Rebuilds in a thread of its own; of several processes one does it, the others wait for its epoch.

    It reads the topic, waits until nobody who claimed an id before can write any more, and reads the rest: an id that
    was given out is found again, and none that was not can turn up later. Cost: 8 seconds, or what reading takes.
    """

    def __init__(self, topic: CompactedTopic, cache: KeyringCache) -> None:
        self._topic, self._cache = topic, cache
        self._lock = threading.Lock()
        self._done: threading.Event | None = None
        self._failure: DangolError | None = None

    def wait(self, patience_s: float) -> None:
        """Wait until the cache may be relied on.

        Raises:
            Unavailable: it takes longer than we can wait, or it failed; try again later.
        """
        with self._lock:
            done = self._done
            if done is None:
                done = self._done = threading.Event()
                threading.Thread(target=self._run, args=(done,), name="rebuild keyring", daemon=True).start()
        if not done.wait(patience_s):
            raise Unavailable("the keyring's cache is being rebuilt from Kafka; try again in some seconds")
        if self._failure is not None:
            raise Unavailable(f"the keyring's cache could not be rebuilt: {self._failure.message}") from self._failure

    def _run(self, done: threading.Event) -> None:
        self._failure = None
        try:
            self._rebuild_or_wait()
        except DangolError as error:
            self._failure = error
        finally:
            with self._lock:
                self._done = None
            done.set()

    def _rebuild_or_wait(self) -> None:
        token = os.urandom(8).hex()
        while True:
            run = self._cache.begin_rebuild(token)
            if run == "ready":
                return
            if isinstance(run, bytes):
                self._rebuild(token, run)
                return
            pause(POLL_S)

    def _rebuild(self, token: str, run: bytes) -> None:
        started, epoch = time.monotonic(), os.urandom(8).hex()
        read = self._read(token, epoch, 0)
        while (
            read and (left_s := started + FENCE_MS / 1000 - time.monotonic()) > 0
        ):  # nothing was ever written: no need
            pause(min(left_s, 1.0))
            read = self._read(token, epoch, read)
        if not self._cache.publish(token, epoch, run):
            raise Unavailable("another process took over, or Redis started again meanwhile")
        self._cache.sweep(epoch)

    def _read(self, token: str, epoch: str, start: int) -> int:
        self._keep_lock(token, epoch, [])
        for behind, records in self._topic.read(PEOPLE, start=start):
            fields = [field for record in records for field in _fields(record)]
            for at in range(0, len(fields), 5 * AT_ONCE_MAX):
                self._keep_lock(token, epoch, fields[at : at + 5 * AT_ONCE_MAX])
            start = behind
        return start

    def _keep_lock(self, token: str, epoch: str, fields: list[Argument]) -> None:
        if not self._cache.apply(token, epoch, fields):
            raise Unavailable("another process took over")


def _fields(record: Record) -> tuple[Argument, ...]:
    mark, name = record.key[:1], record.key[1:]
    if record.value is None:
        return ("s" if mark == PERSON else "a", name, "", "", "")
    try:
        if mark == PERSON:
            person = msgspec.msgpack.decode(record.value, type=PersonRecord)
            return ("S", name, person.wrapped, person.linked_to or "", int(person.erasing))
        if mark == ALIAS:
            alias = msgspec.msgpack.decode(record.value, type=AliasRecord)
            return ("A", name, alias.subject, alias.named, "")
    except msgspec.DecodeError as error:
        raise Corrupt(f"a record of the keyring's topic cannot be read: {error}") from error
    raise Corrupt(f"the keyring's topic has a record under {record.key!r}, which is none of ours")
