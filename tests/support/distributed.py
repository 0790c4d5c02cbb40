"""The event log of the distributed deployment, on topics and a prefix of a test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import redis
from kafka import KafkaAdminClient

from ingest.logs.kafka import KafkaEventLog
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics, topic_plans
from ingest.states.claims import RedisClaims


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
