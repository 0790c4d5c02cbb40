"""The topics of a shop: made with sane settings, and looked at before anyone relies on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import kafka
import msgspec
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType

from ingest.logs.kafka_clients import connected, translated
from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ids import PARTITIONS

DAY_MS = DAY_S * 1_000
SEGMENT_MS = DAY_MS  # whole segments are deleted: facts stay a day longer than the retention at most
COMPACTION_LAG_MS_MAX = 3_600_000  # what was erased is gone from the disks of Kafka within about an hour
REPLICATION_SAFE = 3  # with two copies in sync for an acknowledgement, one broker may fail at any time


class TopicProblem(msgspec.Struct, frozen=True):
    """What is wrong with a topic, and what to do; `fatal` if it cannot be used like that."""

    topic: str
    fatal: bool
    message: str


class TopicPlan(msgspec.Struct, frozen=True):
    """A topic as it should be."""

    name: str
    partitions: int
    replication: int
    options: Mapping[str, str]

    @property
    def compacted(self) -> bool:
        """Whether only the last record of each key is kept, for ever."""
        return self.options["cleanup.policy"] == "compact"

    def unusable(self, message: str) -> TopicProblem:
        """A problem with which nothing can be written, or much would be lost."""
        return TopicProblem(self.name, True, f"topic {self.name} {message}")

    def doubtful(self, message: str) -> TopicProblem:
        """A problem that somebody should know of."""
        return TopicProblem(self.name, False, f"topic {self.name} {message}")


class _Found(msgspec.Struct, frozen=True):
    """A topic as it is; `options` has every one, also those that nobody set."""

    options: Mapping[str, str]
    partitions: int
    replication: int


def topic_plans(settings: KafkaSettings) -> tuple[TopicPlan, ...]:
    """The events (16 partitions), the keyring (secrets and people) and the dead letters (all of them in one order)."""
    durable = {
        "min.insync.replicas": "2" if settings.replication >= REPLICATION_SAFE else "1",
        "unclean.leader.election.enable": "false",
        "compression.type": "producer",
    }
    events = durable | {
        "cleanup.policy": "delete",
        "retention.ms": str(settings.retention_days * DAY_MS),
        "retention.bytes": "-1",
        "segment.ms": str(SEGMENT_MS),
        "message.timestamp.type": "LogAppendTime",  # retention counts from then, whatever a clock of ours said
    }
    compacted = durable | {
        "cleanup.policy": "compact",
        "max.compaction.lag.ms": str(COMPACTION_LAG_MS_MAX),
        "min.cleanable.dirty.ratio": "0.01",
        "segment.ms": str(COMPACTION_LAG_MS_MAX),
        "delete.retention.ms": str(DAY_MS),
    }
    return (
        TopicPlan(settings.events_topic, PARTITIONS, settings.replication, events),
        TopicPlan(settings.keyring_topic, 2, settings.replication, compacted),
        TopicPlan(settings.dead_letters_topic, 1, settings.replication, compacted),
    )


def prepare_topics(settings: KafkaSettings) -> list[TopicProblem]:
    """Make the topics that are missing, look at all of them, and give the warnings.

    Any number of processes may do so at the same time. Existing topics are not changed.

    Raises:
        ConfigurationError: a topic cannot be used as it is, or may not be made; the message says how to mend each.
        Unavailable: no broker answered.
    """
    with _admin(settings) as admin:
        _create_missing(admin, topic_plans(settings))
        problems = _problems(admin, topic_plans(settings))
    fatal = [problem.message for problem in problems if problem.fatal]
    if fatal:
        raise ConfigurationError("\n".join(fatal))
    return problems


def check_topics(settings: KafkaSettings) -> list[TopicProblem]:
    """What is wrong with the topics as they are, also what makes them unusable.

    Raises:
        Unavailable: no broker answered.
    """
    with _admin(settings) as admin:
        return _problems(admin, topic_plans(settings))


@contextlib.contextmanager
def _admin(settings: KafkaSettings) -> Iterator[Any]:
    try:
        admin = connected(kafka.KafkaAdminClient, **settings.client_options())
        try:
            yield admin
        finally:
            admin.close()
    except (errors.KafkaError, OSError) as error:
        raise translated(error, "does not let us look after topics") from error


def _create_missing(admin: Any, plans: Sequence[TopicPlan]) -> None:
    there = set(admin.list_topics())
    missing = [plan for plan in plans if plan.name not in there]
    for plan in missing:
        asked = {
            "num_partitions": plan.partitions,
            "replication_factor": plan.replication,
            "configs": dict(plan.options),
        }
        try:
            admin.create_topics({plan.name: asked})
        except errors.TopicAlreadyExistsError:
            continue  # another process was faster
        except errors.InvalidReplicationFactorError as error:
            raise ConfigurationError(
                f"topic {plan.name} cannot have kafka.replication = {plan.replication}: are there so many brokers?"
            ) from error
    if missing:
        admin.wait_for_topics([plan.name for plan in missing])


def _problems(admin: Any, plans: Sequence[TopicPlan]) -> list[TopicProblem]:
    names = set(admin.list_topics())
    there = [plan for plan in plans if plan.name in names]
    problems = [plan.unusable("does not exist") for plan in plans if plan.name not in names]
    if not there:
        return problems
    described = {each["name"]: each["partitions"] for each in admin.describe_topics([plan.name for plan in there])}
    resources = [ConfigResource(ConfigResourceType.TOPIC, plan.name) for plan in there]
    configured = admin.describe_configs(resources, config_filter="all")["topic"]
    for plan in there:
        found = _Found(
            options={name: option["value"] for name, option in configured[plan.name].items()},
            partitions=len(described[plan.name]),
            replication=min(len(partition["replica_nodes"]) for partition in described[plan.name]),
        )
        problems += [problem for check in _CHECKS for problem in check(plan, found)]
    return problems


def _check_partitions(plan: TopicPlan, found: _Found) -> Iterator[TopicProblem]:
    if found.partitions != plan.partitions and not plan.compacted:
        yield plan.unusable(
            f"has {found.partitions} partitions; facts are spread over {plan.partitions}. The number cannot be changed "
            "afterwards: delete the topic if it is empty, or use another kafka.prefix"
        )


def _check_policy(plan: TopicPlan, found: _Found) -> Iterator[TopicProblem]:
    wanted, policy = plan.options["cleanup.policy"], found.options["cleanup.policy"]
    if policy == wanted:
        return
    lost = "what is older than its retention" if plan.compacted else "all but the newest fact of each customer"
    yield plan.unusable(f"has cleanup.policy={policy} and would lose {lost}: set cleanup.policy={wanted}")


def _check_durability(plan: TopicPlan, found: _Found) -> Iterator[TopicProblem]:
    in_sync, replication = int(found.options["min.insync.replicas"]), found.replication
    if in_sync > replication:
        yield plan.unusable(
            f"has {replication} replicas and min.insync.replicas={in_sync}: every write is refused; "
            f"set min.insync.replicas={min(2, replication)}"
        )
    elif replication == 1:
        yield plan.doubtful(
            "has one replica: a broker that loses its disk loses acknowledged facts; three replicas are safe"
        )
    elif replication < plan.replication:
        yield plan.doubtful(f"has {replication} replicas, fewer than kafka.replication = {plan.replication}")
    elif in_sync == 1:
        yield plan.doubtful(
            f"has {replication} replicas, but min.insync.replicas=1: an acknowledged fact may be on one broker only; "
            "set min.insync.replicas=2"
        )
    if found.options["unclean.leader.election.enable"] == "true":
        yield plan.doubtful(
            "has unclean.leader.election.enable=true: acknowledged facts may be lost when a broker fails"
        )


def _check_retention(plan: TopicPlan, found: _Found) -> Iterator[TopicProblem]:
    if plan.compacted:
        return
    wanted, kept = int(plan.options["retention.ms"]), int(found.options["retention.ms"])
    if 0 <= kept < wanted:
        yield plan.doubtful(
            f"keeps facts for {kept / DAY_MS:g} days, less than kafka.retention_days = {wanted / DAY_MS:g}: "
            "an archive or a projector that is behind by more has lost them"
        )
    if int(found.options["retention.bytes"]) >= 0:
        yield plan.doubtful(
            f"has retention.bytes={found.options['retention.bytes']}: a busy day may delete facts before "
            "kafka.retention_days are over; set retention.bytes=-1"
        )


_CHECKS = (_check_partitions, _check_policy, _check_durability, _check_retention)
