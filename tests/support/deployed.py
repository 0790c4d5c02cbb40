"""Kafka and Redis as `docker-compose.yml` configures them, without containers: only places differ."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed"
DEPLOYED_REDIS = EXAMPLE / "redis" / "redis.conf"  # for `RedisServer(folder, configuration=DEPLOYED_REDIS, password=…)`
PLACES = {
    "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
    "advertised.listeners": "PLAINTEXT://127.0.0.1:{port}",
    "controller.quorum.voters": "1@127.0.0.1:{controller}",
    "log.dirs": "{folder}/log",
}


def deployed_kafka_settings() -> str:
    """The deployed `server.properties`, for `KafkaBroker(folder, settings=…)`: four places are replaced."""
    settings = (EXAMPLE / "kafka" / "server.properties").read_text()
    for name, place in PLACES.items():
        settings, replaced = re.subn(rf"(?m)^{re.escape(name)}=.*$", lambda _, line=f"{name}={place}": line, settings)
        assert replaced == 1, f"{name} is there {replaced} times"
    return settings
