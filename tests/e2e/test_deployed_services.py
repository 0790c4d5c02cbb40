"""Kafka and Redis run with the very settings of `docker-compose.yml`; only places differ."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from tests.support.compose import read_compose
from tests.support.deployed import REDIS_SETTINGS, deployed_kafka_settings, deployed_redis
from tests.support.kafka import KafkaBroker
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.server_process import started

PASSWORD = "of-this-test-0123456789"
IN_THE_CONTAINER = "/etc/dangol/redis/redis.conf --dir /data -"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """Kafka as it is deployed."""
    with started(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka"), deployed_kafka_settings())) as broker:
        yield broker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Redis as it is deployed."""
    with started(lambda: deployed_redis(tmp_path / "redis", PASSWORD)) as server:
        yield server


def test_what_the_broker_acknowledged_survives_its_being_killed(broker: KafkaBroker) -> None:
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        admin.create_topics([NewTopic("kept", 1, 1)])
    with KafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=True) as producer:
        producer.send("kept", b"an order", partition=0).get(timeout=30)
    broker.stop(kill=True)
    broker.start()
    with KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None) as consumer:
        consumer.assign([TopicPartition("kept", 0)])
        deadline = time.monotonic() + 60
        found: list[bytes] = []
        while not found and time.monotonic() < deadline:
            found = [record.value for records in consumer.poll(500).values() for record in records]
    assert found == [b"an order"]


def test_a_mistyped_topic_is_not_made(broker: KafkaBroker) -> None:
    with (
        KafkaProducer(bootstrap_servers=broker.address, max_block_ms=2_000) as producer,
        pytest.raises(KafkaError),
    ):
        producer.send("dangol.evnets", b"x").get(timeout=10)
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        assert "dangol.evnets" not in admin.list_topics()


def test_redis_asks_for_the_password_and_forgets_nothing_silently(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        said = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert said == {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": ""}


def test_states_survive_redis_being_killed(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("dangol:{p07}:position", 41)
    server.stop(kill=True)  # the operating system has what was written, synced or not
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("dangol:{p07}:position") == b"41"


def test_a_full_redis_refuses_to_write_and_keeps_what_it_has(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "x" * 100_000)
        client.config_set("maxmemory", client.info("memory")["used_memory"])
        with pytest.raises(redis.OutOfMemoryError):
            client.set("more", "x" * 1_000_000)
        assert client.strlen("kept") == 100_000


def test_the_command_of_the_compose_file_starts_redis_with_its_password_and_bound(tmp_path: Path) -> None:
    environment = {"DANGOL_REDIS_PASSWORD": PASSWORD, "DANGOL_REDIS_MAXMEMORY": "64mb"}
    service = read_compose(environment)["services"]["redis"]
    port = free_port()
    (script,) = service["command"]
    assert IN_THE_CONTAINER in script
    script = script.replace(IN_THE_CONTAINER, f"{REDIS_SETTINGS} --port {port} --bind 127.0.0.1 --dir {tmp_path} -")
    process = subprocess.Popen(
        [*service["entrypoint"], script], env=os.environ | service["environment"], stdout=subprocess.DEVNULL
    )
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            assert max_memory(client, process) == 64 * 2**20
        assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
    finally:
        process.terminate()
        assert process.wait(15) == 0  # the shell became Redis: the signal reached it, and it wrote its file


def max_memory(client: redis.Redis, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 15
    while True:
        assert process.poll() is None
        try:
            return int(client.config_get("maxmemory")["maxmemory"])
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "Redis did not start in time"
            time.sleep(0.05)
