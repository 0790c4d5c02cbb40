"""Settings of Kafka: what cannot work is refused with a sentence that says what may stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from ingest.logs.kafka_settings import KafkaSettings
from ingest.vocabulary.errors import ConfigurationError

SASL = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "shop", "sasl_password": "s3cret"}


def settings(**given: Any) -> KafkaSettings:
    return KafkaSettings(**({"bootstrap": "kafka:9092"} | given))


def test_topics_are_named_after_the_prefix() -> None:
    assert settings().events_topic == "dangol.events"
    assert settings(prefix="shop-2").keyring_topic == "shop-2.keyring"
    assert settings(prefix="shop-2").dead_letters_topic == "shop-2.dead-letters"


@pytest.mark.parametrize("client", [KafkaProducer, KafkaConsumer, KafkaAdminClient])
def test_every_client_knows_every_option(client: Any, tmp_path: Path) -> None:
    file = tmp_path / "pem"
    file.touch()
    files = {"ssl_cafile": str(file), "ssl_certfile": str(file), "ssl_keyfile": str(file), "ssl_password": "p"}
    options = settings(bootstrap="a:1,b:2", security_protocol="SASL_SSL", **SASL, **files).client_options()
    assert set(options) <= set(client.DEFAULT_CONFIG)
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["sasl_plain_password"] == "s3cret"
    assert options["ssl_keyfile"] == str(file)
    assert options["ssl_check_hostname"] is True


def test_without_security_none_is_mentioned() -> None:
    options = settings().client_options()
    assert options["security_protocol"] == "PLAINTEXT"
    assert not [name for name in options if name.startswith(("sasl", "ssl"))]


def test_passwords_are_not_shown() -> None:
    shown = repr(settings(security_protocol="SASL_SSL", ssl_password="t0psecret", **SASL))
    assert "s3cret" not in shown
    assert "t0psecret" not in shown
    assert "kafka:9092" in shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"bootstrap": ""}, "kafka.bootstrap"),
        ({"bootstrap": "kafka"}, "kafka.bootstrap"),
        ({"bootstrap": "kafka:9092,"}, "kafka.bootstrap"),
        ({"bootstrap": "a:1, b:2"}, "kafka.bootstrap"),
        ({"bootstrap": "kafka:70000"}, "kafka.bootstrap"),
        ({"prefix": ""}, "kafka.prefix"),
        ({"prefix": "my shop"}, "kafka.prefix"),
        ({"prefix": "a" * 101}, "kafka.prefix"),
        ({"replication": 0}, "kafka.replication"),
        ({"replication": 101}, "kafka.replication"),
        ({"retention_days": 0}, "kafka.retention_days"),
        ({"security_protocol": "TLS"}, "SASL_SSL"),
        (SASL, "needs security_protocol"),
        ({"security_protocol": "SASL_SSL"}, "kafka.sasl_mechanism"),
        ({"security_protocol": "SASL_SSL", **SASL, "sasl_mechanism": "GSSAPI"}, "SCRAM-SHA-256"),
        ({"security_protocol": "SASL_SSL", **SASL, "sasl_password": ""}, "kafka.sasl_password"),
        ({"security_protocol": "SASL_SSL", **SASL, "sasl_username": None}, "kafka.sasl_username"),
        ({"security_protocol": "SSL", "ssl_cafile": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"ssl_cafile": __file__}, "kafka.ssl_cafile needs security_protocol"),
        ({"security_protocol": "SSL", "ssl_keyfile": __file__}, "kafka.ssl_certfile"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        settings(**given)
