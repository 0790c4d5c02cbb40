"""The event log of the distributed deployment, on topics and a prefix of a test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import redis
from kafka import KafkaAdminClient

from ingest.logs.claim_ids import claim_of, place_of
from ingest.logs.kafka import KafkaEventLog
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics, topic_plans
from ingest.states.claims import RedisClaims
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ports import EventLog
from tests.support.embedded import read_all


def own_prefix() -> str:
    """A prefix of topics and Redis keys that no other test has."""
    return f"test-{uuid4().hex}"


@contextlib.contextmanager
def kafka_log(bootstrap: str, prefix: str, redis_url: str) -> Iterator[KafkaEventLog]:
    """A log on Kafka, its topics made if need be, closed at the end."""
    settings = KafkaSettings(bootstrap=bootstrap, prefix=prefix)
    prepare_topics(settings)
    with redis.Redis.from_url(redis_url) as client:
        log = KafkaEventLog(settings, RedisClaims(client, prefix))
        try:
            yield log
        finally:
            log.close()


def remove_topics(bootstrap: str, prefix: str) -> None:
    """What a test leaves in a broker that others use as well."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    ours = {plan.name for plan in topic_plans(KafkaSettings(bootstrap=bootstrap, prefix=prefix))}
    admin.delete_topics(sorted(ours & set(admin.list_topics())))
    admin.close()


def counted(log: EventLog, claims: RedisClaims) -> list[Recorded]:
    """The facts of a log that count, as whoever folds it finds them."""
    found = read_all(log)
    places = claims.settle([(claim_of(each.event), place_of(each.position)) for each in found])
    return [each for each, place in zip(found, places, strict=True) if place == place_of(each.position)]
