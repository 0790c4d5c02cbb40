"""The keyring of the distributed deployment: a compacted topic is the truth, Redis its cache for all processes."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.compacted import CompactedTopic, Record, pause
from ingest.keyrings.adoption import adopt_people, adopt_secrets, holds_people, live_records, secret_name
from ingest.keyrings.cache import Found, KeyringCache, Lease, Look, Person, Seen, StaleCache
from ingest.keyrings.memory import FRESH_S, Memory
from ingest.keyrings.rebuild import Rebuilder
from ingest.keyrings.records import (
    PEOPLE,
    SECRETS,
    Names,
    PersonRecord,
    Proposal,
    alias_tombstone,
    open_alias,
    person_record,
    seal_alias,
    secret_record,
)
from ingest.logs.kafka_settings import KafkaSettings
from ingest.privacy import KEY_BYTES, Alias, Exported, Personal, Seals
from ingest.states.redis_connection import RedisClient
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.ids import Subject, new_subject

OPENING_S = 60.0  # a process may wait so long for a rebuild before it answers anybody
PATIENCE_S = 2.0  # a request may wait so long for another process or for a rebuild
ERASING_S = 20.0  # an erasure may wait so long for what is on its way to the person
CLAIM_TO_WRITE_S = 1.0  # later we no longer write: `FENCE_MS` counts on it
_POLL_S = 0.01
_TRIES_MAX = 5  # an operation meets a restart of Redis once, not for ever

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class KafkaKeyring:
    """Subjects, their keys and the ids that lead to them, for any number of processes.

    Guarantees: what a caller is given is acknowledged by the broker first; a lost Redis is made again from the topic
    before anybody is given a new subject; ids are nowhere in clear. What another process links or forgets is noticed
    within `FRESH_S`, and `begin_erasure` returns only when every process must have noticed.
    Not guaranteed: that the bytes of destroyed keys have left the broker's disks, which its cleaner sees to within the
    topic's `max.compaction.lag.ms` and the next writing, nor that they have left Redis's append-only file before Redis
    rewrites it; of ids only what is sealed under those keys is there.

    Cost: `resolve` takes one round trip to Redis for each thousand ids that are not remembered, and for new ones two
    more and one acknowledgement of the broker, however many they are.

    Args:
        client: answers bytes; its server must not evict keys (`maxmemory-policy noeviction` or `volatile-…`).
        prefix: what the cache's keys begin with.

    Raises:
        Unavailable: Kafka or Redis does not answer, or `prepare_topics` has not been called; opening needs both.
    """

    def __init__(self, settings: KafkaSettings, client: RedisClient, prefix: str) -> None:
        self._secrets: dict[str, bytes] = {}
        self._secrets_lock = threading.Lock()
        self._cache = KeyringCache(client, prefix)
        with contextlib.ExitStack() as undone:
            self._topic = undone.enter_context(contextlib.closing(CompactedTopic(settings, settings.keyring_topic)))
            self._names = Names(ids=self.secret("ids"), keys=self.secret("keys"))
            self._rebuilder = Rebuilder(self._topic, self._cache)
            self._rebuilder.wait(OPENING_S)
            undone.pop_all()
        self._seals = Seals(self._find_key)
        self._memory = Memory(self._look, self._seals.forget)

    def close(self) -> None:
        """Let go of the broker; the Redis client is its owner's."""
        self._topic.close()

    def resolve(self, aliases: Iterable[Alias]) -> dict[Alias, Subject]:
        """The subjects behind ids, made durably where an id is new."""
        macs = {alias: self._names.mac(alias) for alias in aliases}
        found = self._memory.find(macs.values())
        unknown = {mac: alias for alias, mac in macs.items() if mac not in found}
        if unknown:
            found |= self._make(unknown)
        return {alias: found[mac] for alias, mac in macs.items()}

    def find(self, alias: Alias) -> Subject | None:
        """The subject behind an id, if the id is known."""
        mac = self._names.mac(alias)
        return self._memory.find((mac,)).get(mac)

    def link(self, visitor: Alias, known: Subject) -> None:
        """From now on the visitor's id leads to the known customer; the visitor's own subject is remembered.

        An erased customer gets no more ids: then nothing happens.
        """
        mac = self._names.mac(visitor)
        deadline = time.monotonic() + PATIENCE_S
        while self._memory.find((mac,)).get(mac) != known:
            started = time.monotonic()
            proposal, before = self._propose_link(visitor, mac, known)
            if proposal is None:
                return
            claimed = self._cached(self._cache.claim_link, proposal, before)
            if isinstance(claimed, Lease):
                self._write([claimed], started)
            elif claimed == "gone":
                return
            else:
                self._take_over(mac)
                _pause_until(deadline, "another process is writing what is known of this person")
            self._memory.forget([mac])

    def is_customer(self, subject: Subject) -> bool:
        """Whether a shop's customer id leads to this subject."""
        person = self._person(subject)
        return person is not None and person.is_customer

    def aliases(self, subject: Subject) -> list[Alias]:
        """Every id that leads to a subject, in order."""
        return self._aliases_of(subject, self._person(subject))

    def linked(self, subject: Subject) -> list[Subject]:
        """The subject and every earlier subject of the same person, breadth first."""
        return self._cached(self._cache.linked, subject)

    def seal(self, subject: Subject, personal: Personal) -> bytes | None:
        """Personal data under the subject's key; None for nothing, and for a subject whose key was destroyed."""
        self._memory.notice()
        return self._seals.seal(subject, personal)

    def open(self, subject: Subject, sealed: bytes) -> Personal | None:
        """Personal data in clear; None if the key was destroyed.

        Raises:
            Corrupt: the bytes were not sealed for this subject.
        """
        self._memory.notice()
        return self._seals.open(subject, sealed)

    def secret(self, name: str) -> bytes:
        """A secret of the installation, made when first asked for: 32 random bytes.

        The first record of a name counts: every process reads the same one, whoever wrote first.
        """
        with self._secrets_lock:
            if name not in self._secrets:
                self._read_secrets()
            if name not in self._secrets:
                self._topic.append([secret_record(name, os.urandom(KEY_BYTES))], partition=SECRETS)
                self._read_secrets()
            return self._secrets[name]

    def find_secret(self, name: str) -> bytes | None:
        """A secret of the installation, if it was ever asked for."""
        with self._secrets_lock:
            if name not in self._secrets:
                self._read_secrets()
            return self._secrets.get(name)

    def holds_people(self) -> bool:
        """Whether any subject is known. Cost: reads the topic."""
        return holds_people(self._topic)

    def adopt(
        self,
        secrets: Mapping[str, bytes],
        people: Iterable[Exported],
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Hold what another keyring held: its secrets, and its people instead of those that are here.

        To be called while nobody else uses the keyring: others would go on with secrets that they have read. Cut off,
        it may be called again, and writes what is missing. Secrets come first, in the order given.
        """
        with self._secrets_lock:
            adopt_secrets(self._topic, secrets)
            self._secrets = {}
            self._read_secrets()
        expire = self._cache.expire  # before as well: whoever comes after a crash reads the topic again
        if adopt_people(self._topic, self._names, people, before_writing=expire, progress=progress):
            expire()
            self._rebuilder.wait(OPENING_S)
            self._memory.forget()
            self._seals.forget()

    def begin_erasure(self, subject: Subject) -> tuple[list[Subject], list[Alias]]:
        """Mark a person's subjects and remove the ids that lead to them; both are returned.

        It takes a second: afterwards no process remembers the ids any more.
        """
        token = os.urandom(8).hex()
        subjects, guarded_at = self._guard(subject, token)
        people = dict(zip(subjects, self._cached(self._cache.people, subjects), strict=True))
        aliases = [alias for each, person in people.items() for alias in self._aliases_of(each, person)]
        known = [(each, person) for each, person in people.items() if person is not None]
        records = [alias_tombstone(mac) for _, person in known for mac in person.aliases]
        records += [
            person_record(each, PersonRecord(person.wrapped, person.linked_to, erasing=True)) for each, person in known
        ]
        self._append(records, guarded_at)
        self._cached(self._cache.begun, subjects)
        self._memory.forget()
        pause(FRESH_S)
        return subjects, aliases

    def erasing(self) -> list[Subject]:
        """Subjects whose erasure was begun and not finished, in order."""
        return self._cached(self._cache.erasing)

    def destroy(self, subjects: Sequence[Subject]) -> None:
        """Destroy the keys: in Redis at once, on the broker's disks when its cleaner next comes by."""
        people = self._cached(self._cache.people, subjects)
        macs = [mac for person in people if person is not None for mac in person.aliases]
        records = [alias_tombstone(mac) for mac in macs] + [person_record(subject, None) for subject in subjects]
        self._topic.append(records, partition=PEOPLE)
        self._cached(self._cache.destroyed, subjects)
        self._memory.forget()
        self._seals.forget(subjects)

    def _make(self, unknown: Mapping[bytes, Alias]) -> dict[bytes, Subject]:
        """New subjects for new ids, unless another process was faster."""
        proposals = {mac: self._propose(alias, mac) for mac, alias in unknown.items()}
        found: dict[bytes, Subject] = {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            started = time.monotonic()
            waiting = [proposal for mac, proposal in proposals.items() if mac not in found]
            claimed = self._cached(self._cache.claim, waiting)
            leases = [outcome for outcome in claimed.outcomes if isinstance(outcome, Lease)]
            found |= self._write(leases + claimed.abandoned, started)
            for proposal, outcome in zip(waiting, claimed.outcomes, strict=True):
                if isinstance(outcome, Found):
                    found[proposal.mac] = outcome.subject
            if all(mac in found for mac in unknown):
                return found
            _pause_until(deadline, "another process is writing one of these ids")

    def _propose(self, alias: Alias, mac: bytes) -> Proposal:
        subject, key = new_subject(), os.urandom(KEY_BYTES)
        return Proposal(mac, subject, self._names.wrap(subject, key), seal_alias(AESGCM(key), alias, mac))

    def _propose_link(self, visitor: Alias, mac: bytes, known: Subject) -> tuple[Proposal | None, Subject | None]:
        """The proposal and where the id leads now; no proposal if the known customer is not there (any more)."""
        (found,) = self._look([mac], Seen()).found
        before = None if found is None else found.subject
        known_person, prior = self._cached(self._cache.people, [known, before or known])
        if known_person is None:
            return None, before
        cipher = AESGCM(self._names.unwrap(known, known_person.wrapped))
        proposal = Proposal(mac, known, b"", seal_alias(cipher, visitor, mac))
        if before in (None, known) or prior is None or prior.is_customer:
            return proposal, before
        return msgspec.structs.replace(proposal, prior=before, prior_wrapped=prior.wrapped), before

    def _write(self, leases: Collection[Lease], started: float) -> dict[bytes, Subject]:
        """What leases promise: first on the broker, then in the cache; where the ids lead then."""
        if not leases:
            return {}
        self._append([record for lease in leases for record in lease.proposal.records()], started)
        settled = self._cached(self._cache.settle, list(leases))
        pairs = zip(leases, settled, strict=True)
        return {lease.proposal.mac: found.subject for lease, found in pairs if found is not None}

    def _append(self, records: Sequence[Record], claimed_at: float) -> None:
        if time.monotonic() - claimed_at > CLAIM_TO_WRITE_S:
            raise Unavailable("this process is too slow to write to the keyring now; try again")
        self._topic.append(records, partition=PEOPLE)

    def _take_over(self, mac: bytes) -> None:
        """Complete what a process left behind when it died, if there is such a thing."""
        started = time.monotonic()
        lease = self._cached(self._cache.take_over, mac)
        if lease is not None:
            self._write([lease], started)

    def _guard(self, subject: Subject, token: str) -> tuple[list[Subject], float]:
        """All subjects of a person, when nothing is on its way to them and nothing can join; and since when."""
        deadline = time.monotonic() + ERASING_S
        while True:
            guarded_at = time.monotonic()
            guarded = self._cached(self._cache.guard, subject, token)
            if guarded is not None:
                subjects, proposals = guarded
                concerned = [each.mac for each in proposals if each.subject in subjects or each.prior in subjects]
                if not concerned:
                    return subjects, guarded_at
                for mac in concerned:
                    self._take_over(mac)
            _pause_until(deadline, "somebody else is erasing this person, or writing what is known of it")

    def _aliases_of(self, subject: Subject, person: Person | None) -> list[Alias]:
        if person is None or not person.aliases:
            return []
        cipher = AESGCM(self._names.unwrap(subject, person.wrapped))
        return sorted(open_alias(cipher, named, mac) for mac, named in person.aliases.items())

    def _person(self, subject: Subject) -> Person | None:
        (person,) = self._cached(self._cache.people, [subject])
        return person

    def _find_key(self, subject: Subject) -> bytes | None:
        wrapped = self._memory.wrapped(subject)
        if wrapped is None:
            person = self._person(subject)
            if person is None:
                return None
            wrapped = person.wrapped
        return self._names.unwrap(subject, wrapped)

    def _read_secrets(self) -> None:
        for key, value in live_records(self._topic, SECRETS).items():
            self._secrets.setdefault(secret_name(key), value)

    def _look(self, macs: Sequence[bytes], seen: Seen) -> Look:
        return self._cached(self._cache.look, macs, seen)

    def _cached(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Ask the cache, which is rebuilt first where it cannot be relied on."""
        for _ in range(_TRIES_MAX):
            try:
                return work(*args, **kwargs)
            except StaleCache:
                self._rebuilder.wait(PATIENCE_S)
        raise Unavailable("Redis starts again and again; look at its log")


def _pause_until(deadline: float, why: str) -> None:
    if time.monotonic() > deadline:
        raise Unavailable(f"{why}; try again")
    pause(_POLL_S)
