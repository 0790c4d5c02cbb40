"""Connections to Redis that never hang, and its errors as ours.

A client is made here or checked here: one that may wait for ever is refused. Behind an address that does not answer a
call ends after the connect timeout; one that answers slowly after the answer timeout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from ingest.vocabulary.errors import ConfigurationError, Corrupt, Unavailable

RedisClient: TypeAlias = "redis.Redis | RedisCluster"
CONNECT_TIMEOUT_S = 0.5  # two machines of one site meet in a millisecond
_NOT_ALLOWED = (AuthenticationError, AuthenticationWrongNumberOfArgsError, AuthorizationError, NoPermissionError)


def open_redis(url: str, *, timeout_s: float, cluster: bool = False) -> RedisClient:
    """A client of a server, or of a cluster that the server belongs to.

    A connection that broke while nobody used it (a server that was restarted) is opened again once, within the call;
    a call that ran out of time is not repeated.

    Args:
        url: `redis://[user:password@]host:port[/database]`, or `rediss://` for TLS.
        timeout_s: how long an answer may take: some 0.25 s for a page view, some 5 s for the commit of a batch.
        cluster: whether the server is part of a Redis Cluster.

    Raises:
        ConfigurationError: the URL cannot be read.
        Unavailable: no server of the cluster answers; a single server is not asked yet.
    """
    settings: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, CONNECT_TIMEOUT_S),
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    }
    try:
        if cluster:
            with answering():
                return RedisCluster.from_url(url, **settings)
        return redis.Redis.from_url(url, maint_notifications_config=MaintNotificationsConfig(enabled=False), **settings)
    except ValueError as error:
        raise ConfigurationError(f"the address of Redis cannot be read: {error}") from error


def require_timeout(client: RedisClient) -> None:
    """Refuse a client that may wait for ever.

    Raises:
        ConfigurationError: the client has no `socket_timeout`.
    """
    if _options(client).get("socket_timeout") is None:
        raise ConfigurationError("a Redis client needs a socket_timeout: without one it may hang")


def require_no_eviction(client: RedisClient) -> None:
    """Refuse a server that may throw away what is kept without an expiry: customers would be forgotten one by one.

    Raises:
        ConfigurationError: the server's `maxmemory-policy` is one of `allkeys-…`.
        Unavailable: Redis did not answer.
    """
    with answering():
        told = client.info("memory")
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys"):
        raise ConfigurationError(
            f"Redis has maxmemory-policy {policy} and may drop profiles when memory is short: set it to noeviction"
        )


def ask(client: RedisClient, *command: str | int | bytes) -> Any:
    """What the server answers to a command; errors are those of the client."""
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def answering() -> Iterator[None]:
    """What Redis raises inside becomes one of our errors.

    Raises:
        Unavailable: no connection, no answer in time, or a server that cannot serve now; try again later.
        ConfigurationError: the credentials are wrong, or may not do this.
        Corrupt: under a key of ours lies something else.
    """
    try:
        yield
    except _NOT_ALLOWED as error:
        raise ConfigurationError(f"Redis refuses us: {error}") from error
    except redis.TimeoutError as error:
        raise Unavailable("Redis did not answer in time") from error
    except (RedisError, RedisClusterException) as error:
        if "WRONGTYPE" in str(error):
            raise Corrupt(f"a key of ours in Redis holds something else: {error}") from error
        raise Unavailable(f"Redis cannot be used: {error}") from error


def _options(client: RedisClient) -> dict[str, Any]:
    options: dict[str, Any]
    if isinstance(client, RedisCluster):
        options = client.nodes_manager.connection_kwargs
    else:
        options = client.connection_pool.connection_kwargs
    return options
