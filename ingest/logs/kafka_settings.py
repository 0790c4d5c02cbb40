"""How Apache Kafka is reached, and what our topics are called and kept like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ingest.vocabulary.errors import ConfigurationError

PREFIX_LENGTH_MAX = 100  # topic names have 249 characters at most; this leaves room for `.dead-letters`
RETENTION_DAYS_MAX = 36_500
REPLICATION_MAX = 100  # far beyond any cluster: a larger one is a slip of the pen
CONNECT_MS_MAX = 5_000  # until the first answer of a cluster
REQUEST_MS_MAX = 10_000  # for one request to a broker
RECONNECT_MS_MAX = 2_000  # between attempts to reach a broker that is away: back soon after it is

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Security(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How brokers are talked to: `[distributed.security]` of the configuration; secrets belong into variables.

    Attributes:
        security_protocol: one of `SECURITY_PROTOCOLS`.
        sasl_mechanism: one of `SASL_MECHANISMS`, with the `SASL_…` protocols.
        ssl_cafile: who may vouch for the brokers; without it, the authorities of the operating system.
        ssl_certfile: our own certificate, where brokers ask for one, with `ssl_keyfile` and perhaps `ssl_password`.
    """

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = None
    ssl_check_hostname: bool = True


class KafkaSettings(Security, frozen=True, kw_only=True):
    """What a person writes about Kafka; whatever cannot work is refused when it is made.

    Attributes:
        bootstrap: brokers to ask first, `host:port`, separated by commas.
        prefix: what the names of our topics begin with: one for each shop that shares the cluster.
        replication: copies of each record, when topics are created.
        retention_days: how long facts stay in Kafka; the archive keeps them for longer.

    Raises:
        ConfigurationError: a value cannot be used; the message names it and what may stand there.
    """

    bootstrap: str
    prefix: str = "dangol"
    replication: int = 1
    retention_days: int = 30

    def __post_init__(self) -> None:
        self._check_places()
        self._check_sasl()
        self._check_tls()

    def __repr__(self) -> str:  # a password must not reach a log
        return f"KafkaSettings({self.bootstrap!r}, prefix={self.prefix!r}, {self.security_protocol})"

    @property
    def events_topic(self) -> str:
        """The log itself: facts by key, 16 partitions."""
        return f"{self.prefix}.events"

    @property
    def keyring_topic(self) -> str:
        """The subjects' keys; compacted."""
        return f"{self.prefix}.keyring"

    @property
    def dead_letters_topic(self) -> str:
        """What could not be read; compacted."""
        return f"{self.prefix}.dead-letters"

    def client_options(self) -> dict[str, Any]:
        """What a producer, a consumer or an admin client of kafka-python is made with, whatever it does."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.prefix,
            "security_protocol": self.security_protocol,
            "bootstrap_timeout_ms": CONNECT_MS_MAX,
            "request_timeout_ms": REQUEST_MS_MAX,
            "reconnect_backoff_max_ms": RECONNECT_MS_MAX,
        }
        if self._uses_sasl:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self._uses_tls:
            options |= {
                "ssl_cafile": self.ssl_cafile,
                "ssl_certfile": self.ssl_certfile,
                "ssl_keyfile": self.ssl_keyfile,
                "ssl_password": self.ssl_password,
                "ssl_check_hostname": self.ssl_check_hostname,
            }
        return options

    @property
    def _uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL_")

    @property
    def _uses_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    def _check_places(self) -> None:
        for broker in self.bootstrap.split(","):
            host, _, port = broker.rpartition(":")
            if not host or host != host.strip() or not port.isascii() or not port.isdigit() or int(port) > 65_535:
                raise ConfigurationError(f"kafka.bootstrap must be host:port,host:port …; {broker!r} is not host:port")
        if len(self.prefix) > PREFIX_LENGTH_MAX or not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                f"kafka.prefix must be letters, digits, - and _, {PREFIX_LENGTH_MAX} at most, got {self.prefix!r}"
            )
        for name, value, most in (
            ("replication", self.replication, REPLICATION_MAX),
            ("retention_days", self.retention_days, RETENTION_DAYS_MAX),
        ):
            if not 1 <= value <= most:
                raise ConfigurationError(f"kafka.{name} must be 1 to {most}, got {value}")

    def _check_sasl(self) -> None:
        if self.security_protocol not in SECURITY_PROTOCOLS:
            raise ConfigurationError(
                f"kafka.security_protocol must be one of {', '.join(SECURITY_PROTOCOLS)}, "
                f"got {self.security_protocol!r}"
            )
        given = (self.sasl_mechanism, self.sasl_username, self.sasl_password)
        if not self._uses_sasl:
            if given != (None, None, None):
                raise ConfigurationError(
                    f"kafka.sasl_… needs security_protocol SASL_SSL or SASL_PLAINTEXT, not {self.security_protocol}"
                )
            return
        if self.sasl_mechanism not in SASL_MECHANISMS:
            raise ConfigurationError(
                f"kafka.sasl_mechanism must be one of {', '.join(SASL_MECHANISMS)}, got {self.sasl_mechanism!r}"
            )
        if not self.sasl_username or not self.sasl_password:
            raise ConfigurationError("kafka.sasl_username and kafka.sasl_password must both be set")

    def _check_tls(self) -> None:
        files = {
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
        }
        for name, file in files.items():
            if file is None:
                continue
            if not self._uses_tls:
                raise ConfigurationError(
                    f"kafka.{name} needs security_protocol SSL or SASL_SSL, not {self.security_protocol}"
                )
            if not Path(file).is_file():
                raise ConfigurationError(f"kafka.{name}: there is no file {file}")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ConfigurationError("kafka.ssl_keyfile needs kafka.ssl_certfile beside it")
