"""Kafka and Redis as `docker-compose.yml` configures them, without containers: only places differ."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.redis_server import RedisServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed"
REDIS_SETTINGS = EXAMPLE / "redis" / "redis.conf"
REDIS_PLACES = ("bind", "port")
KAFKA_PLACES = {
    "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
    "advertised.listeners": "PLAINTEXT://127.0.0.1:{port}",
    "controller.quorum.voters": "1@127.0.0.1:{controller}",
    "log.dirs": "{folder}/log",
}


def deployed_kafka_settings() -> str:
    """The deployed `server.properties`, for `KafkaBroker(folder, settings=…)`: four places are replaced."""
    settings = (EXAMPLE / "kafka" / "server.properties").read_text()
    for name, place in KAFKA_PLACES.items():
        settings, replaced = re.subn(rf"(?m)^{re.escape(name)}=.*$", lambda _, line=f"{name}={place}": line, settings)
        assert replaced == 1, f"{name} is there {replaced} times"
    return settings


def deployed_redis(folder: Path, password: str) -> RedisServer:
    """A server, not started yet, with the deployed `redis.conf` and a password."""
    lines = [shlex.split(line, comments=True) for line in REDIS_SETTINGS.read_text().splitlines()]
    settings = [["--" + line[0], *line[1:]] for line in lines if line and line[0] not in REDIS_PLACES]
    server = RedisServer(folder, *(word for line in settings for word in line), "--requirepass", password)
    server.url = f"redis://:{password}@127.0.0.1:{server.port}/0"
    return server
