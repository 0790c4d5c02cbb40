"""The whole of `docker-compose.yml` as processes of this machine: its commands and its configuration files.

Only places differ from what an engine would run: addresses, the data folder, where a heartbeat is kept.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.compose import ROOT, read_compose
from tests.support.deployed import deployed_kafka_settings, deployed_redis
from tests.support.deployment import Worker
from tests.support.folded import wait_until_folded
from tests.support.kafka import KafkaBroker
from tests.support.service import STOP_WAIT_MAX_S, Service, dangol

PASSWORD = "of-this-test-0123456789"
CONFIGURATION = "./examples/distributed/dangol.toml:/data/dangol.toml:ro"
PLACES = ("--host", "--port", "--heartbeat")


class Composed:
    """The services of the compose file; `up` starts those of ours that are named, as many as the file says."""

    def __init__(self, folder: Path, broker: KafkaBroker, redis_port: int, **environment: str) -> None:
        self.folder, self.secret = folder / "data", {"DANGOL_REDIS_PASSWORD": PASSWORD}
        self._services: dict[str, Any] = read_compose(self.secret | environment)["services"]
        self._workers: list[Worker] = []
        self.service: Service | None = None
        self.folder.mkdir()
        assert CONFIGURATION in self._services["serve"]["volumes"]
        configured = (ROOT / CONFIGURATION.split(":")[0]).read_text()
        for place, here in (("kafka:9092", broker.address), ("redis:6379", f"127.0.0.1:{redis_port}")):
            assert place in configured
            configured = configured.replace(place, here)
        (self.folder / "dangol.toml").write_text(configured)
        dangol(*self._command("init"), data=self.folder, check=True, variables=self.secret)

    @property
    def names(self) -> set[str]:
        """Every service that the file has."""
        return set(self._services)

    def serve(self) -> Service:
        """The service that collects and answers, ready."""
        arguments = self._command("serve")
        assert arguments.pop(0) == "serve"
        self.service = Service(self.folder, arguments=tuple(arguments), variables=self.secret)
        return self.service.wait_until_ready()

    def up(self, name: str) -> None:
        """All the processes of a service that is not asked over HTTP."""
        for _ in range(int(self._services[name].get("deploy", {}).get("replicas", 1))):
            self._workers.append(Worker(self.folder, self.secret, *self._command(name)))

    def run(self, *words: str) -> str:
        """A command as `docker compose run` gives it to a container; what it printed."""
        return dangol(*words, data=self.folder, check=True, variables=self.secret).stdout

    def wait_until_folded(self) -> None:
        """Wait until the projectors have folded everything that is in the log."""
        wait_until_folded(self.folder, self.secret, STOP_WAIT_MAX_S)

    def down(self) -> list[int]:
        """End everything in order; how each process ended."""
        assert self.service is not None
        statuses = [each.stop() for each in self._workers]
        return [*statuses, self.service.stop()]

    def close(self) -> None:
        """End whatever still runs."""
        for each in (*self._workers, *([] if self.service is None else [self.service])):
            each.kill()

    def _command(self, name: str) -> list[str]:
        """What a service runs, without the options that say where."""
        words = iter(self._services[name]["command"])
        kept: list[str] = []
        for word in words:
            if word in PLACES:
                next(words)
            else:
                kept.append(word)
        return kept


@contextlib.contextmanager
def composed(folder: Path, **environment: str) -> Iterator[Composed]:
    """A broker, a Redis and an initialised shop, ended at the end."""
    broker, redis_server = (
        KafkaBroker(folder / "kafka", deployed_kafka_settings()),
        deployed_redis(folder / "redis", PASSWORD),
    )
    try:
        broker.start()
        redis_server.start()
        with contextlib.closing(Composed(folder, broker, redis_server.port, **environment)) as shop:
            yield shop
    finally:
        redis_server.stop(kill=True)
        broker.stop(kill=True)
        shutil.rmtree(folder / "kafka", ignore_errors=True)
