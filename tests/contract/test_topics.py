"""Topics are made as they should be, and what is wrong with existing ones is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from msgspec import structs

from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import TopicProblem, check_topics, prepare_topics, topic_plans
from ingest.vocabulary.errors import ConfigurationError, Unavailable
from ingest.vocabulary.ids import PARTITIONS
from tests.support.distributed import own_prefix, remove_topics
from tests.support.ports import free_port

MakeEvents = Callable[..., None]


@pytest.fixture
def settings(kafka_address: str) -> Iterator[KafkaSettings]:
    """Settings whose topics do not exist."""
    made = KafkaSettings(bootstrap=kafka_address, prefix=own_prefix())
    yield made
    remove_topics(kafka_address, made.prefix)


@pytest.fixture
def admin(kafka_address: str) -> Iterator[Any]:
    client = KafkaAdminClient(bootstrap_servers=kafka_address)
    yield client
    client.close()


def make(admin: Any, settings: KafkaSettings, topic: str, *, partitions: int | None = None, **options: str) -> None:
    """All topics as they should be but one."""
    for plan in topic_plans(settings):
        changed = plan.name == f"{settings.prefix}.{topic}"
        named = {name.replace("_", "."): value for name, value in options.items()} if changed else {}
        number = partitions if changed and partitions else plan.partitions
        asked = {"num_partitions": number, "replication_factor": 1, "configs": {**plan.options, **named}}
        admin.create_topics({plan.name: asked}, wait_for_metadata=True)


def about(problems: list[TopicProblem], word: str) -> TopicProblem:
    (found,) = [problem for problem in problems if word in problem.message]
    return found


def test_missing_topics_are_made_as_they_should_be(settings: KafkaSettings, admin: Any) -> None:
    warnings = prepare_topics(settings)
    assert {warning.topic for warning in warnings} == {plan.name for plan in topic_plans(settings)}
    assert all("one replica" in warning.message and not warning.fatal for warning in warnings)
    described = admin.describe_topics([plan.name for plan in topic_plans(settings)])
    assert {each["name"]: len(each["partitions"]) for each in described} == {
        settings.events_topic: PARTITIONS,
        settings.keyring_topic: 2,
        settings.dead_letters_topic: 1,
    }
    for plan in topic_plans(settings):
        resource = ConfigResource(ConfigResourceType.TOPIC, plan.name)
        options = admin.describe_configs([resource], config_filter="all")["topic"][plan.name]
        assert {name: options[name]["value"] for name in plan.options} == dict(plan.options)
    assert prepare_topics(settings) == warnings, "what is there stays as it is"


def test_the_log_keeps_facts_for_days_and_the_keyring_keeps_keys_for_ever(settings: KafkaSettings) -> None:
    events, keyring, dead_letters = topic_plans(structs.replace(settings, retention_days=12, replication=3))
    assert events.options["retention.ms"] == str(12 * 86_400_000)
    assert events.options["cleanup.policy"] == "delete"
    assert keyring.options["cleanup.policy"] == dead_letters.options["cleanup.policy"] == "compact"
    assert {plan.options["min.insync.replicas"] for plan in (events, keyring, dead_letters)} == {"2"}


def test_processes_may_make_topics_at_the_same_time(settings: KafkaSettings) -> None:
    with ThreadPoolExecutor(4) as threads:
        for warnings in threads.map(lambda _: prepare_topics(settings), range(4)):
            assert len(warnings) == 3


def test_missing_topics_are_said_by_a_check_that_changes_nothing(settings: KafkaSettings) -> None:
    for _ in range(2):
        problems = check_topics(settings)
        assert [problem.message for problem in problems if problem.fatal] == [
            f"topic {plan.name} does not exist" for plan in topic_plans(settings)
        ]


def test_another_number_of_partitions_is_refused(settings: KafkaSettings, admin: Any) -> None:
    make(admin, settings, "events", partitions=3)
    with pytest.raises(ConfigurationError, match="has 3 partitions; facts are spread over 16"):
        prepare_topics(settings)


@pytest.mark.parametrize(
    ("topic", "policy", "says"),
    [
        ("events", "compact", "all but the newest fact of each customer"),
        ("events", "compact,delete", "all but the newest fact of each customer"),
        ("keyring", "delete", "older than its retention"),
        ("dead-letters", "delete", "older than its retention"),
    ],
)
def test_a_topic_that_would_lose_records_is_refused(
    settings: KafkaSettings, admin: Any, topic: str, policy: str, says: str
) -> None:
    make(admin, settings, topic, cleanup_policy=policy)
    with pytest.raises(ConfigurationError, match=says):
        prepare_topics(settings)


def test_a_topic_that_refuses_every_write_is_refused(settings: KafkaSettings, admin: Any) -> None:
    make(admin, settings, "events", min_insync_replicas="2")
    with pytest.raises(ConfigurationError, match=r"1 replicas and min\.insync\.replicas=2: every write is refused"):
        prepare_topics(settings)


def test_what_is_doubtful_is_said_and_used(settings: KafkaSettings, admin: Any) -> None:
    make(
        admin,
        settings,
        "events",
        retention_ms="86400000",
        retention_bytes="1000000",
        unclean_leader_election_enable="true",
    )
    warnings = prepare_topics(settings)
    assert "keeps facts for 1 days, less than kafka.retention_days = 30" in about(warnings, "keeps facts").message
    assert about(warnings, "retention.bytes=1000000").topic == settings.events_topic
    assert about(warnings, "unclean.leader.election").topic == settings.events_topic
    assert not any(warning.fatal for warning in warnings)


def test_facts_kept_for_ever_or_for_longer_are_no_problem(settings: KafkaSettings, admin: Any) -> None:
    make(admin, settings, "events", retention_ms="-1")
    assert not [warning for warning in prepare_topics(settings) if "keeps facts" in warning.message]


def test_fewer_replicas_than_asked_for_are_said(settings: KafkaSettings) -> None:
    prepare_topics(settings)
    problems = check_topics(structs.replace(settings, replication=3))
    assert len([problem for problem in problems if "one replica" in problem.message]) == 3


def test_more_replicas_than_brokers_are_refused_with_a_hint(settings: KafkaSettings) -> None:
    with pytest.raises(ConfigurationError, match=r"kafka\.replication = 3: are there so many brokers"):
        prepare_topics(structs.replace(settings, replication=3))


def test_brokers_that_are_away_are_said_in_our_words() -> None:
    with pytest.raises(Unavailable, match="Kafka"):
        prepare_topics(KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}"))
