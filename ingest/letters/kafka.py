"""The dead letters of the distributed deployment: a compacted topic, where a letter's number is its place."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ingest.compacted import CompactedTopic, Record
from ingest.dead_letters import DEAD_LETTERS_MAX, DeadLetter, LetterSeal, mentioning, refuse_too_many
from ingest.logs.kafka_settings import KafkaSettings
from ingest.privacy import Keyring
from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.errors import NotFound

LETTER_BYTES_MAX = 900_000  # brokers take a million in a record; a larger payload is told and not kept
INDEX_S_MAX = 43_200  # afterwards the index is read anew: what forgets a letter is itself forgotten after a day
_PARTITION = 0
_KEY_BYTES = 16
_ADOPTED = b"adopted:"  # what the keys of letters from another keeper begin with; random ones do so never


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    source: str
    code: str
    place: str
    sealed: bytes


class _Entry(NamedTuple):
    letter: int
    source: str
    place: str


class KafkaDeadLetters:
    """The letters, in a topic that `prepare_topics` has made.

    Each process keeps an index of what it has read, and reads on from there when it is asked. The limit is soft:
    processes that add at the same time may exceed it by what they add. What is removed leaves the broker's disks when
    its cleaner comes; sealed it was all the time.

    Cost: a question reads what is new; `all` and `forget` read every letter.
    """

    def __init__(self, settings: KafkaSettings, keyring: Keyring) -> None:
        self._topic = CompactedTopic(settings, settings.dead_letters_topic)
        self._seal = LetterSeal(keyring)
        self._lock = threading.Lock()
        self._index: dict[bytes, _Entry] = {}
        self._behind, self._begun_at = 0, time.monotonic()

    def close(self) -> None:
        """Let go of the broker."""
        self._topic.close()

    def add(self, letters: Sequence[DeadLetter], *, at_ms: int) -> None:
        """Keep letters durably.

        Raises:
            Unavailable: there are too many already; look at them and replay or drop them first.
        """
        if letters:
            refuse_too_many(self.count() + len(letters))
            records = [Record(os.urandom(_KEY_BYTES), self._stored(letter, at_ms)) for letter in letters]
            self._topic.append(records, partition=_PARTITION)

    def adopt(self, letters: Iterable[DeadLetter]) -> int:
        """Take over the letters of another keeper, each once however often it is asked, with the time they came.

        Those that were taken over before and are not among them any more are removed. Numbers are given anew. How
        many letters were taken over, now or before.
        """
        there = {key for key in self._entries() if key.startswith(_ADOPTED)}
        keys = []
        for letter in letters:
            keys.append(_ADOPTED + letter.letter.to_bytes(_KEY_BYTES - len(_ADOPTED), "big"))
            if keys[-1] not in there:
                assert letter.at is not None, "a letter that was kept has its time"
                self._topic.append([Record(keys[-1], self._stored(letter, epoch_ms(letter.at)))], partition=_PARTITION)
        self._topic.append([Record(key, None) for key in sorted(there.difference(keys))], partition=_PARTITION)
        return len(keys)

    def count(self) -> int:
        """How many letters there are."""
        return len(self._entries())

    def all(self, *, limit: int = DEAD_LETTERS_MAX) -> Iterable[DeadLetter]:
        """The letters, oldest first."""
        kept = {entry.letter for entry in self._entries().values()}
        return list(islice(self._letters(kept, start=0), limit))

    def places(self, source: str) -> set[str]:
        """Where the letters of a source stood."""
        return {entry.place for entry in self._entries().values() if entry.source == source}

    def get(self, letter: int) -> DeadLetter:
        """One letter.

        Raises:
            NotFound: there is none of that number.
        """
        kept = {entry.letter for entry in self._entries().values()}
        found = next(self._letters({letter} & kept, start=letter - 1), None) if letter in kept else None
        if found is None:
            raise NotFound(f"there is no dead letter {letter}")
        return found

    def remove(self, letters: Iterable[int]) -> None:
        """Throw letters away."""
        wanted = set(letters)
        keys = [key for key, entry in self._entries().items() if entry.letter in wanted]
        self._topic.append([Record(key, None) for key in keys], partition=_PARTITION)

    def forget(self, mentions: Iterable[str]) -> int:
        """Remove the letters that mention any of these ids or addresses; how many there were."""
        found = mentioning(self.all(), mentions)
        self.remove(found)
        return len(found)

    def _entries(self) -> dict[bytes, _Entry]:
        with self._lock:
            if time.monotonic() - self._begun_at > INDEX_S_MAX:
                self._index, self._behind, self._begun_at = {}, 0, time.monotonic()
            for behind, records in self._topic.read(_PARTITION, start=self._behind):
                for record in records:
                    if record.value is None:
                        self._index.pop(record.key, None)
                    else:
                        stored = msgspec.msgpack.decode(record.value, type=_Stored)
                        self._index[record.key] = _Entry(record.offset + 1, stored.source, stored.place)
                self._behind = behind
            return dict(self._index)

    def _letters(self, kept: set[int], *, start: int) -> Iterator[DeadLetter]:
        for _, records in self._topic.read(_PARTITION, start=start):
            for _, value, offset in records:
                if offset + 1 in kept and value is not None:
                    stored = msgspec.msgpack.decode(value, type=_Stored)
                    yield self._seal.open(
                        offset + 1, stored.at_ms, stored.source, stored.code, stored.place, stored.sealed
                    )

    def _stored(self, letter: DeadLetter, at_ms: int) -> bytes:
        sealed = self._seal.seal(letter)
        if len(sealed) > LETTER_BYTES_MAX:
            told = f"({len(letter.payload)} characters, too many to be kept) {letter.detail}"
            sealed = self._seal.seal(replace(letter, payload="", detail=told))
        return msgspec.msgpack.encode(_Stored(at_ms, letter.source, letter.code, letter.place, sealed))
