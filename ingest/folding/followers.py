"""Whoever keeps something in memory that follows from the facts, told of every commit once and in order."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

import structlog

from ingest.folding.fold import read_batches
from ingest.vocabulary.errors import NewerVersion
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import EventLog

_log = structlog.get_logger(__name__)


class Follower(Protocol):
    """Hears of committed facts, in the order of each partition, each once, possibly again after a restart."""

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Take a batch into account."""
        ...


class FoldedStates(Protocol):
    """What has been folded, to be read, and news of what is being folded."""

    def state(self, projection: str, key: str) -> Any:
        """The folded state under a key, or None."""
        ...

    def states(self, projection: str, keys: Collection[str]) -> dict[str, Any]:
        """The folded states under some keys; absent ones are absent."""
        ...

    def attach(self, follower: Follower, *, since: Sequence[int]) -> None:
        """Bring a follower up to date from `since` and tell it of every commit from now on."""
        ...

    def detach(self, follower: Follower) -> None:
        """Tell a follower no more."""
        ...

    def catch_up(self) -> None:
        """Tell the followers what other processes have committed."""
        ...


class Followers:
    """The followers of a log in this process, and how far they have been told."""

    def __init__(self, log: EventLog, followed: Sequence[int]) -> None:
        self._followed_log = log
        self._followed = list(followed)
        self._followers: list[Follower] = []
        self._stopped: set[int] = set()  # partitions whose next fact only a newer Dangol can read
        self._follow_lock = threading.RLock()

    def attach(self, follower: Follower, *, since: Sequence[int]) -> None:
        """Bring a follower up to date from `since` and tell it of every commit from now on."""
        with self._follow_lock:
            self._tell_up_to(since)  # whoever folds may be ahead of this process
            for partition in range(PARTITIONS):
                for batch in self._batches(partition, since[partition], self._followed[partition]):
                    follower.follow(self._counting(batch))
            self._followers.append(follower)

    def detach(self, follower: Follower) -> None:
        """Tell a follower no more."""
        with self._follow_lock:
            self._followers.remove(follower)

    def _told(self, ends: Sequence[int]) -> bool:
        """Whether everything up to these offsets has been told."""
        return all(end <= followed for end, followed in zip(ends, self._followed, strict=True))

    def _tell_up_to(self, ends: Sequence[int]) -> None:
        for partition, end in enumerate(ends):
            if partition in self._stopped:
                continue
            try:
                for batch in self._batches(partition, self._followed[partition], end):
                    self._tell(batch)
            except NewerVersion as error:  # the others go on; after an upgrade this is another process
                self._stopped.add(partition)
                _log.error("a partition is followed no more", partition=partition, reason=error.message)
            else:
                self._followed[partition] = max(self._followed[partition], end)  # the last records may be no facts

    def _tell(self, batch: Sequence[Recorded]) -> None:
        with self._follow_lock:
            news: list[Recorded] = []
            reached = list(self._followed)
            for recorded in batch:
                partition, offset = recorded.position.partition, recorded.position.offset
                followed = reached[partition]
                if offset > followed + 1:
                    for missed in self._batches(partition, followed, offset - 1):
                        news.extend(missed)
                if offset > followed:
                    news.append(recorded)
                    reached[partition] = offset
            self._tell_followers(news)
            self._followed = reached

    def _tell_followers(self, news: Sequence[Recorded]) -> None:
        counting = self._counting(news)
        if counting:
            for follower in self._followers:
                follower.follow(counting)

    def _counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """The facts of a batch that count; a log that may hold one twice leaves the second out."""
        return batch

    def _batches(self, partition: int, after: int, upto: int) -> Iterable[list[Recorded]]:
        return read_batches(self._followed_log, partition, after=after, upto=upto)
