"""Connections to Kafka that are made when first needed, shared by threads, and made anew when they broke."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kafka
from kafka import errors
from kafka.net.compat import KafkaNetClient
from kafka.structs import TopicPartition

from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.errors import ConfigurationError, DangolError, Unavailable

LINGER_MS = 2  # appends that begin within it share a request; a broker needs about as long to answer
BATCH_BYTES_MAX = 128 * 1024  # of one partition in one request, before it is compressed
REQUEST_MS_MAX = 4_000
DELIVERY_MS_MAX = 5_000  # repeated requests and all; then the producer gives a record up
CONNECT_MS_MAX = 3_000
RETRY_S = 1.0  # after a connection failed, others are told so for so long, rather than to wait as well
CLOSE_S_MAX = 6.0
FETCH_WAIT_MS_MAX = 2  # a broker answers a connection in order: while a fetch waits for more, nothing else is told
CONSUMERS_MAX = 4  # reads at the same time; each consumer is a socket, a thread and some megabytes
READ_S_MAX = 10.0


def translated(error: Exception, what: str) -> DangolError:
    """An error of kafka-python in our words.

    Returns:
        `ConfigurationError` where waiting does not help (not authorized, wrong password), `Unavailable` otherwise.
    """
    hopeless = (errors.KafkaConfigurationError, errors.AuthorizationError, errors.SaslAuthenticationFailedError)
    if isinstance(error, hopeless):
        return ConfigurationError(f"Kafka {what}: {error}")
    return Unavailable(f"Kafka {what}: {error}")


class Shared:
    """One producer for all threads.

    Raises:
        Unavailable: no broker answered, from `get`.
        ConfigurationError: brokers do not accept who we are, from `get`.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Any = None
        self._closed = False
        self._gate = Gate()

    def get(self) -> Any:
        """The producer, made now if there is none."""
        producer = self._producer
        if producer is not None:
            return producer
        with self._lock:
            if self._closed:
                raise Unavailable("the log is closed")
            if self._producer is None:
                with self._gate.connecting():
                    self._producer = new_producer(self._settings)
            return self._producer

    def renew(self, broken: Any) -> None:
        """Give up a producer that cannot go on; the next append makes another. Others' records in it fail as well."""
        with self._lock:
            if self._producer is not broken:
                return
            self._producer = None
        end(broken, within_s=0.1)

    def close(self) -> None:
        """Send what is queued, then end."""
        with self._lock:
            producer, self._producer, self._closed = self._producer, None, True
        if producer is not None:
            end(producer, within_s=CLOSE_S_MAX)


class Gate:
    """After a connection failed, nobody tries again for `RETRY_S`: they would wait for what the first one knows."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._failure = ""

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Around the making of a connection.

        Raises:
            Unavailable: it failed, or had just failed.
            ConfigurationError: brokers do not accept who we are.
        """
        if time.monotonic() < self._not_before:
            raise Unavailable(self._failure)
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            failed = translated(error, "does not answer")
            self._not_before, self._failure = time.monotonic() + RETRY_S, failed.message
            raise failed from error


class Consumers:
    """At most `CONSUMERS_MAX` consumers without a group, each for one reader at a time.

    A reader gets, if it is free, the consumer that read its partition last: what that fetched ahead is still there.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._free = threading.BoundedSemaphore(CONSUMERS_MAX)
        self._lock = threading.Lock()
        self._idle: list[Any] = []  # the one used last stands last
        self._closed = False
        self._gate = Gate()

    @contextlib.contextmanager
    def lend(self, partition: TopicPartition | None = None) -> Iterator[Any]:
        """A consumer, perhaps one that is assigned to the named partition. One that failed is not lent again.

        Raises:
            Unavailable: none became free, or no broker answered.
            ConfigurationError: brokers do not accept who we are.
        """
        if not self._free.acquire(timeout=READ_S_MAX):
            raise Unavailable(f"{CONSUMERS_MAX} reads of Kafka have been going on for {READ_S_MAX} s")
        try:
            consumer = self._take(partition)
            try:
                yield consumer
            except BaseException:
                consumer.close(autocommit=False, timeout_ms=0)
                raise
            self._give_back(consumer)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close those that are not lent, and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for consumer in idle:
            consumer.close(autocommit=False)

    def _take(self, partition: TopicPartition | None) -> Any:
        with self._lock:
            if self._closed:
                raise Unavailable("the log is closed")
            for at, consumer in enumerate(self._idle):
                if partition is None or consumer.assignment() == {partition}:
                    return self._idle.pop(at)
            if len(self._idle) == CONSUMERS_MAX:
                return self._idle.pop(0)
        with self._gate.connecting():
            return new_consumer(self._settings)

    def _give_back(self, consumer: Any) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(consumer)
                return
        consumer.close(autocommit=False)


def new_producer(settings: KafkaSettings) -> Any:
    """A producer as the log needs it: idempotent, acknowledged by all replicas in sync, batching for a moment."""
    return connected(
        kafka.KafkaProducer,
        **(settings.client_options() | _impatience()),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=LINGER_MS,
        batch_size=BATCH_BYTES_MAX,
        delivery_timeout_ms=DELIVERY_MS_MAX,
        max_block_ms=REQUEST_MS_MAX,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def new_consumer(settings: KafkaSettings) -> Any:
    """A consumer as the log needs it: no group, no commits, and an error where an offset is not there."""
    return connected(
        kafka.KafkaConsumer,
        **(settings.client_options() | _impatience()),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def connected(kind: Any, **options: Any) -> Any:
    """A client of kafka-python. One that finds no broker takes its sockets and its thread with it.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    made: list[Any] = []

    def remembered(**configs: Any) -> Any:
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return kind(**options, kafka_client=remembered)
    except BaseException:
        for client in made:
            client.close()
        raise


def asked_offsets(
    ask: Callable[..., dict[TopicPartition, int]], places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """What `consumer.end_offsets` or `consumer.beginning_offsets` tells within `READ_S_MAX`.

    Raises:
        kafka.errors.KafkaError: no answer in time, or a partition has no leader now, as while a broker starts.
    """
    try:
        return ask(places, timeout_ms=int(READ_S_MAX * 1_000))  # it would wait for ever
    except KeyError as error:  # kafka-python does not ask about partitions without a leader, then looks for the answer
        raise errors.LeaderNotAvailableError(f"{error.args[0]} has no leader now") from error


def end(producer: Any, *, within_s: float) -> None:
    """Close a producer: what is queued is sent within a time, or fails."""
    try:
        producer.close(timeout=within_s)
    except errors.KafkaError:  # it gave up waiting for its queue, and closed nothing
        producer._sender.force_close()
        producer._unregister_cleanup()
        producer._closed = True


def _impatience() -> dict[str, int]:
    """Somebody waits for the answer: better none soon than one late."""
    return {"request_timeout_ms": REQUEST_MS_MAX, "bootstrap_timeout_ms": CONNECT_MS_MAX}
