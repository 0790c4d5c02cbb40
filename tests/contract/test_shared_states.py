"""What a process that answers hears of a log that others write and fold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

import kafka
import pytest
import redis

from ingest.folding.repeats import ClaimedFacts
from ingest.folding.shared import SharedStates
from ingest.logs.kafka import KafkaEventLog
from ingest.logs.kafka_group import KafkaFollowing
from ingest.logs.kafka_settings import KafkaSettings
from ingest.states.claims import RedisClaims
from ingest.states.redis import RedisStateStore
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import ProductViewed, Recorded
from ingest.vocabulary.ids import FROM_THE_START, EventId, partition_of
from tests.contract.conftest import ON_KAFKA
from tests.support.build import fact, views
from tests.support.projections import TrailProjection
from tests.support.service import wait_for

pytestmark = ON_KAFKA
TIMEOUT_S = 5.0


class Heard:
    """A follower that keeps what it hears."""

    def __init__(self) -> None:
        self.ids: list[EventId] = []

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Keep the ids."""
        self.ids += [recorded.event.event_id for recorded in batch]


class Interrupted(ClaimedFacts):
    """Tells repetitions apart as ever, but not while it is away."""

    away = False

    def without(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """The facts that count."""
        if self.away and batch:
            raise Unavailable("Redis does not answer")
        return super().without(batch)


@pytest.fixture
def repeats(redis_url: str, prefix: str) -> Iterator[Interrupted]:
    """Knows which facts count."""
    with redis.Redis.from_url(redis_url) as client:
        yield Interrupted(RedisClaims(client, prefix))


@pytest.fixture
def states(
    kafka_address: str, prefix: str, redis_url: str, log: KafkaEventLog, repeats: Interrupted
) -> Iterator[SharedStates]:
    """The states of a process that answers."""
    follow = partial(KafkaFollowing, KafkaSettings(bootstrap=kafka_address, prefix=prefix))
    with redis.Redis.from_url(redis_url, socket_timeout=TIMEOUT_S) as client:
        projections = [TrailProjection()]
        opened = SharedStates(log, RedisStateStore(client, prefix, projections), projections, repeats, follow)
        with contextlib.closing(opened):
            yield opened


def hear(states: SharedStates, heard: Heard, count: int) -> None:
    """Catch up until so many facts were heard, and once more."""

    def enough() -> bool:
        states.catch_up()
        return len(heard.ids) >= count

    wait_for(enough, f"{count} facts")
    states.catch_up()


def test_a_follower_hears_each_fact_once_whether_it_came_before_or_after(
    log: KafkaEventLog, states: SharedStates
) -> None:
    before, after = views(40), views(40)
    log.append(before)
    heard = Heard()
    states.attach(heard, since=FROM_THE_START)
    hear(states, heard, 40)
    log.append(after)
    hear(states, heard, 80)
    assert sorted(heard.ids) == sorted(event.event_id for event in [*before, *after])


def test_facts_that_could_not_be_told_are_told_later_and_once(
    log: KafkaEventLog, states: SharedStates, repeats: Interrupted
) -> None:
    heard, early, late = Heard(), views(20), views(20)
    states.attach(heard, since=FROM_THE_START)
    log.append(early)
    repeats.away = True

    def refused() -> bool:
        try:
            states.catch_up()
        except Unavailable:
            return True
        return False

    wait_for(refused, "the claims to be missed")
    with pytest.raises(Unavailable):
        states.attach(Heard(), since=log.ends())
    assert heard.ids == []
    repeats.away = False
    log.append(late)
    hear(states, heard, 40)
    assert sorted(heard.ids) == sorted(event.event_id for event in [*early, *late])


def test_a_record_that_is_no_fact_holds_nobody_up(
    log: KafkaEventLog, states: SharedStates, kafka_address: str, prefix: str
) -> None:
    heard = Heard()
    states.attach(heard, since=FROM_THE_START)
    first, second = fact(ProductViewed, subject="mary"), fact(ProductViewed, subject="mary")
    log.append([first])
    with contextlib.closing(kafka.KafkaProducer(bootstrap_servers=kafka_address)) as producer:
        producer.send(f"{prefix}.events", b"\x01?", partition=partition_of("mary")).get(TIMEOUT_S)
    log.append([second])
    hear(states, heard, 2)
    assert heard.ids == [first.event_id, second.event_id]
