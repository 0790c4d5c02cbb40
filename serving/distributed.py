"""The distributed deployment: facts in Kafka, what follows from them in Redis, any number of processes of each kind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist
from ingest.archive.log import ArchivedLog
from ingest.dead_letters import DeadLetter, DeadLetters
from ingest.folding.fold import Poison
from ingest.folding.group import GroupProjector, Unreadable
from ingest.folding.repeats import ClaimedFacts
from ingest.folding.shared import SharedStates
from ingest.keyrings.kafka import KafkaKeyring
from ingest.ledgers.redis import RedisImportLedger
from ingest.letters.kafka import KafkaDeadLetters
from ingest.logs.kafka import KafkaEventLog
from ingest.logs.kafka_group import KafkaFollowing, KafkaMembership
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics
from ingest.states.claims import RedisClaims
from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import open_redis
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ports import AnyProjection
from serving.engine import Backend
from serving.unfolded import letters_of

ANSWER_TIMEOUT_S = 0.25  # a page view would rather do without a profile than wait longer
ARCHIVE_FOLDER = "archive"
WORK_TIMEOUT_S = 5.0  # a batch of a projector, a scan of the catalogue


class Addresses(NamedTuple):
    """Where the parts of the deployment are, secrets included."""

    kafka: KafkaSettings
    redis_url: str


class DistributedShop(NamedTuple):
    """Where a shop moves to, without what follows from its facts.

    Attributes:
        dead_letters: opens the letters, once the keyring has the secret that they are sealed under.
        positions: how far states are folded that may be there.
    """

    log: KafkaEventLog
    claims: RedisClaims
    keyring: KafkaKeyring
    dead_letters: Callable[[], AbstractContextManager[KafkaDeadLetters]]
    ledger: RedisImportLedger
    positions: Callable[[], Sequence[int]]


def distributed_backend(
    folder: Path, addresses: Addresses, projections: Sequence[AnyProjection], clock: Clock
) -> Backend:
    """Reach Kafka and Redis, and make the topics that are not there.

    Raises:
        ConfigurationError: a topic is not as it must be; the message says which and why.
        Unavailable: Kafka or Redis does not answer.
    """
    with contextlib.ExitStack() as held:
        backend = _opened(folder, addresses, projections, clock, held)
        return backend._replace(close=held.pop_all().close)


def _opened(
    folder: Path,
    addresses: Addresses,
    projections: Sequence[AnyProjection],
    clock: Clock,
    held: contextlib.ExitStack,
) -> Backend:
    settings = addresses.kafka
    advice = _prepare(settings)
    client = held.enter_context(contextlib.closing(open_redis(addresses.redis_url, timeout_s=WORK_TIMEOUT_S)))
    claims = RedisClaims(client, settings.prefix)
    window = held.enter_context(contextlib.closing(KafkaEventLog(settings, claims)))
    store = RedisStateStore(client, settings.prefix, projections)
    log = ArchivedLog(Archive(folder / ARCHIVE_FOLDER), window)
    if max(window.ends()) < 0:  # a new shop: nothing can have been lost, and nobody has to fold before it takes facts
        store.begin_epoch(window.ends)
    keyring = held.enter_context(contextlib.closing(KafkaKeyring(settings, client, settings.prefix)))
    dead_letters = held.enter_context(contextlib.closing(KafkaDeadLetters(settings, keyring)))
    soon = held.enter_context(contextlib.closing(open_redis(addresses.redis_url, timeout_s=ANSWER_TIMEOUT_S)))
    answering = RedisStateStore(soon, settings.prefix, projections)
    repeats = ClaimedFacts(claims)
    follow = partial(KafkaFollowing, settings)
    states = held.enter_context(contextlib.closing(SharedStates(log, answering, projections, repeats, follow)))

    def start_over() -> None:
        store.clear()
        store.begin_epoch(log.ends)

    def project() -> GroupProjector:
        def ready(partitions: Collection[int]) -> Sequence[int]:
            return store.begin_epoch(log.ends, partitions).positions

        def set_aside(poison: Sequence[Poison], unreadable: Sequence[Unreadable]) -> None:
            _set_aside(dead_letters, [*letters_of(poison), *map(_letter_of, unreadable)], clock)

        return GroupProjector(KafkaMembership(settings), log, store, projections, repeats, set_aside, ready)

    return Backend(
        log=log,
        store=store,
        keyring=keyring,
        dead_letters=dead_letters,
        ledger=RedisImportLedger(client, settings.prefix),
        states=states,
        repeats=repeats,
        is_complete=lambda: answering.standing().complete,
        start_over=start_over,
        purge=lambda: None,
        close=held.close,
        project=project,
        advice=advice,
        archivist=Archivist(window, folder / ARCHIVE_FOLDER),
    )


@contextlib.contextmanager
def distributed_shop(addresses: Addresses) -> Iterator[DistributedShop]:
    """Kafka and Redis as the place where a shop moves to; topics that are not there are made.

    Raises:
        ConfigurationError: a topic is not as it must be; the message says which and why.
        Unavailable: Kafka or Redis does not answer.
    """
    settings = addresses.kafka
    _prepare(settings)
    with contextlib.closing(open_redis(addresses.redis_url, timeout_s=WORK_TIMEOUT_S)) as client:
        claims = RedisClaims(client, settings.prefix)
        with (
            contextlib.closing(KafkaEventLog(settings, claims)) as log,
            contextlib.closing(KafkaKeyring(settings, client, settings.prefix)) as keyring,
        ):

            def dead_letters() -> contextlib.closing[KafkaDeadLetters]:
                return contextlib.closing(KafkaDeadLetters(settings, keyring))

            ledger, store = RedisImportLedger(client, settings.prefix), RedisStateStore(client, settings.prefix, ())
            yield DistributedShop(log, claims, keyring, dead_letters, ledger, store.positions)


def _prepare(settings: KafkaSettings) -> tuple[str, ...]:
    """Make the topics; what could be better about them."""
    problems = prepare_topics(settings)
    unusable = [problem.message for problem in problems if problem.fatal]
    if unusable:
        raise ConfigurationError("; ".join(unusable))
    return tuple(problem.message for problem in problems)


def _letter_of(unreadable: Unreadable) -> DeadLetter:
    return DeadLetter(
        source="log",
        code="unreadable",
        detail=unreadable.reason,
        place=f"partition {unreadable.partition}, offset {unreadable.offset}",
        payload=unreadable.stored.hex(),
    )


def _set_aside(dead_letters: DeadLetters, letters: Sequence[DeadLetter], clock: Clock) -> None:
    """Keep letters, but not those that a batch left which was then folded again."""
    there = {source: dead_letters.places(source) for source in {letter.source for letter in letters}}
    dead_letters.add(
        [letter for letter in letters if letter.place not in there[letter.source]], at_ms=epoch_ms(clock.now())
    )
