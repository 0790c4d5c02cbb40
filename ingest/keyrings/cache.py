"""The keyring's cache in Redis, shared by all processes: quick to ask, never the only copy."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import redis

from ingest.keyrings import scripts
from ingest.keyrings.records import Proposal, is_customers
from ingest.states.redis_connection import RedisClient
from ingest.vocabulary.errors import ConfigurationError, Unavailable
from ingest.vocabulary.ids import Subject

AT_ONCE_MAX = 1_000  # ids in one script: Redis does nothing else for about a millisecond
LEASE_MS = 15_000  # of a rebuild, renewed with every batch
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")

Argument = bytes | str | int


class StaleCache(Exception):
    """Redis was emptied or started again: what it holds must be rebuilt before it counts."""


class Found(NamedTuple):
    """Where an id leads, and the subject's wrapped key."""

    subject: Subject
    wrapped: bytes


class Lease(NamedTuple):
    """A proposal that is ours to write, until `FENCE_MS` behind the time."""

    time_ms: int
    proposal: Proposal


class Seen(NamedTuple):
    """Which changes of the keyring a process has heard of."""

    epoch: bytes = b""
    changes: int = 0


class Look(NamedTuple):
    """What a look tells: where ids lead, and what changed since the last one (None: forget everything)."""

    seen: Seen
    changed: list[bytes] | None
    found: list[Found | None]


class Claimed(NamedTuple):
    """What a claim tells: for each id where it leads, a lease, or None where another process is about to write it."""

    outcomes: list[Found | Lease | None]
    abandoned: list[Lease]


NoLink = Literal["busy", "guarded", "gone", "moved"]
_NO_LINK: dict[bytes, NoLink] = {b"busy": "busy", b"guarded": "guarded", b"gone": "gone", b"moved": "moved"}


class Person(NamedTuple):
    """What is kept of a subject."""

    wrapped: bytes
    linked_to: Subject | None
    aliases: dict[bytes, bytes]  # sealed id by its keyed hash

    @property
    def is_customer(self) -> bool:
        """Whether a shop's customer id leads here."""
        return any(is_customers(named) for named in self.aliases.values())

    @classmethod
    def of(cls, fields: Sequence[bytes]) -> Person | None:
        """A person from a hash of Redis; None if it has no key (any more)."""
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        if b"k" not in values:
            return None
        linked = Subject(values[b"t"].decode()) if b"t" in values else None
        return cls(values[b"k"], linked, {name[1:]: each for name, each in values.items() if name[:1] == b"a"})


class KeyringCache:
    """The scripts of `scripts.py`, called and understood.

    Every method raises `StaleCache` if what Redis holds cannot be relied on, and `Unavailable` if it does not answer.
    """

    def __init__(self, client: RedisClient, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(f"a prefix in Redis must be letters, digits, and - _ . : between, got {prefix!r}")
        if client.get_encoder().decode_responses:
            raise ConfigurationError("the keyring needs a Redis client that answers bytes (decode_responses=False)")
        self._client, self._base = client, f"{prefix}:{{keyring}}:"
        self._scripts: dict[str, Any] = {}

    def look(self, macs: Sequence[bytes], seen: Seen) -> Look:
        """Where some ids lead, and what changed since `seen`. Cost: a round trip for each thousand ids."""
        looks = [self._look(part, seen) for part in _parts(macs)] or [self._look((), seen)]
        return looks[0]._replace(found=[each for look in looks for each in look.found])  # the first is surely heard of

    def _look(self, macs: Sequence[bytes], seen: Seen) -> Look:
        epoch, changes, everything, changed, results = self._run(scripts.LOOK, seen.epoch, seen.changes, *macs)
        return Look(Seen(epoch, changes), None if everything else changed, _pairs(results))

    def claim(self, proposals: Sequence[Proposal]) -> Claimed:
        """Propose subjects for ids: one process gets to write each. What a dead process left is ours as it stands.

        Raises:
            Unavailable: too many proposals are on their way, since the broker does not acknowledge them.
        """
        outcomes: list[Found | Lease | None] = []
        abandoned: list[Lease] = []
        for part in _parts(proposals):
            arguments = [each for proposal in part for each in (proposal.mac, msgspec.msgpack.encode(proposal))]
            results, left = self._run(scripts.CLAIM, *arguments)
            abandoned += [_lease(*each) for each in left]
            for status, *told in results:
                if status == b"found":
                    outcomes.append(Found(Subject(told[0].decode()), told[1]))
                else:
                    outcomes.append(_lease(*told) if status == b"held" else None)
        return Claimed(outcomes, abandoned)

    def claim_link(self, proposal: Proposal, before: Subject | None) -> Lease | NoLink:
        """Propose to move an id: ours now, or why it is not.

        Args:
            before: where the id leads now, as far as we know.
        """
        subjects = (before or "", proposal.subject, proposal.prior or "")
        status, *told = self._run_any(scripts.CLAIM_LINK, proposal.mac, msgspec.msgpack.encode(proposal), *subjects)
        return _lease(*told) if status == b"held" else _NO_LINK[status]

    def take_over(self, mac: bytes) -> Lease | None:
        """A proposal whose process can no longer write it; None if there is none, or it still may."""
        status, *told = self._run_any(scripts.TAKE_OVER, mac)
        return _lease(*told) if status == b"held" else None

    def settle(self, leases: Sequence[Lease]) -> list[Found | None]:
        """Let acknowledged proposals count; where their ids lead then."""
        found: list[Found | None] = []
        for part in _parts(leases):
            arguments: list[Argument] = []
            for time_ms, each in part:
                arguments += (each.mac, time_ms, each.subject, each.wrapped, each.named, each.prior or "")
            (results,) = self._run(scripts.SETTLE, *arguments)
            found += _pairs(results)
        return found

    def people(self, subjects: Sequence[Subject]) -> list[Person | None]:
        """What is kept of some subjects; None for unknown ones."""
        (results,) = self._run(scripts.PEOPLE_OF, *subjects)
        return [Person.of(fields) for fields in results]

    def linked(self, subject: Subject) -> list[Subject]:
        """The subject, then those linked to it, breadth first."""
        return _subjects(self._run(scripts.LINKED, subject)[0])

    def erasing(self) -> list[Subject]:
        """Subjects that are being erased."""
        return sorted(_subjects(self._run(scripts.ERASING)[0]))

    def guard(self, subject: Subject, token: str) -> tuple[list[Subject], list[Proposal]] | None:
        """Keep new links and ids from a person; all its subjects, and every proposal that is on its way to anybody.

        None if another process erases one of them.
        """
        status, *told = self._run_any(scripts.GUARD_PERSON, subject, token)
        if status == b"guarded":
            return None
        subjects, entries = told
        return _subjects(subjects), [msgspec.msgpack.decode(each, type=Proposal) for each in entries]

    def begun(self, subjects: Collection[Subject]) -> None:
        """The broker has forgotten the ids of these subjects."""
        self._run(scripts.BEGUN, *subjects)

    def destroyed(self, subjects: Collection[Subject]) -> None:
        """The broker has forgotten these subjects."""
        self._run(scripts.DESTROYED, *subjects)

    def expire(self) -> None:
        """End the epoch, and a rebuild that is going on: the topic was written past the cache."""
        with translated():
            self._client.delete(f"{self._base}epoch", f"{self._base}rebuild")

    def begin_rebuild(self, token: str) -> bytes | Literal["ready", "busy"]:
        """The server's run id if the rebuild is ours; the old epoch ends with it."""
        status, *told = self._run_any(scripts.BEGIN_REBUILD, token, LEASE_MS)
        if status == b"ours":
            run: bytes = told[0]
            return run
        return "ready" if status == b"ready" else "busy"

    def apply(self, token: str, epoch: str, fields: Sequence[Argument]) -> bool:
        """Apply records to an epoch that is being built, and keep the lock; False if it was lost."""
        return bool(self._run_any(scripts.APPLY, token, LEASE_MS, epoch, *fields)[0] == b"ok")

    def publish(self, token: str, epoch: str, run: bytes) -> bool:
        """Put an epoch into force; False if the lock was lost or the server started again meanwhile."""
        return bool(self._run_any(scripts.PUBLISH, token, epoch, run)[0] == b"ok")

    def sweep(self, epoch: str) -> None:
        """Delete what other epochs left behind."""
        kept = (f"{self._base}{epoch}:".encode(), f"{self._base}epoch".encode(), f"{self._base}rebuild".encode())
        with translated():
            batch: list[bytes] = []
            for key in self._client.scan_iter(match=f"{self._base}*", count=AT_ONCE_MAX):
                if not key.startswith(kept):
                    batch.append(key)
                if len(batch) >= AT_ONCE_MAX:
                    self._client.unlink(*batch)
                    batch = []
            if batch:
                self._client.unlink(*batch)

    def _run(self, source: str, *arguments: Argument) -> list[Any]:
        status, *told = self._run_any(source, *arguments)
        if status == b"full":
            raise Unavailable("too many new ids wait for Kafka to acknowledge them; try again later")
        assert status == b"ok", status
        return told

    def _run_any(self, source: str, *arguments: Argument) -> list[Any]:
        with translated():
            script = self._scripts.get(source)
            if script is None:
                script = self._scripts[source] = self._client.register_script(source)
            reply: list[Any] = script(keys=[f"{self._base}epoch"], args=[self._base, *arguments])
        if reply[0] == b"stale":
            raise StaleCache
        return reply


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Redis's exceptions as ours."""
    try:
        yield
    except redis.RedisError as error:
        raise Unavailable(f"Redis did not answer: {type(error).__name__}: {error}") from error


def _lease(time_ms: int, stored: bytes) -> Lease:
    return Lease(time_ms, msgspec.msgpack.decode(stored, type=Proposal))


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + AT_ONCE_MAX] for start in range(0, len(items), AT_ONCE_MAX))


def _pairs(results: Sequence[bytes | None]) -> list[Found | None]:
    return [
        None if subject is None or wrapped is None else Found(Subject(subject.decode()), wrapped)
        for subject, wrapped in zip(results[::2], results[1::2], strict=True)
    ]


def _subjects(stored: Iterable[bytes]) -> list[Subject]:
    return [Subject(each.decode()) for each in stored]
