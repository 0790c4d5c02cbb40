"""Minutes of orders and views while everything is killed at random: nothing is lost, nothing is counted twice.

`DANGOL_SOAK_S` says how long, 300 seconds unless set; `DANGOL_TEST_SEED` repeats a run's chances.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deployed import deployed_kafka_settings, deployed_redis
from tests.support.deployment import Deployment, Worker, deployment
from tests.support.kafka import KafkaBroker
from tests.support.killing import kill_worker, replace, workers_of
from tests.support.ledger import Ledger, Load, assert_counted_once, load
from tests.support.redis_server import RedisServer
from tests.support.server_process import started
from tests.support.service import Service
from tests.support.small_shop import PRODUCTS

SOAK_S = float(os.environ.get("DANGOL_SOAK_S", "300"))
BETWEEN_S = (1.0, 6.0)  # faults
ASLEEP_S_MAX = 14.0  # longer than a group waits for a silent member
RESPAWN_S = 8.0  # a server takes a worker that ends within 5.5 s of its start for hopeless, and ends itself
PASSWORD = "of-this-test-0123456789"


class Soak:
    """A shop under load, and what is done to it."""

    def __init__(self, shop: Deployment, broker: KafkaBroker, store: RedisServer, rng: random.Random) -> None:
        self.shop, self.broker, self.store, self.rng = shop, broker, store, rng
        self.faults: Counter[str] = Counter()
        self.projectors = [shop.projector(), shop.projector()]
        self.trainer = shop.trainer()
        self._worker_killed_at = -RESPAWN_S
        self.answering, self.collecting = shop.serve("--workers", "2"), shop.serve("--role", "collect")
        assert self.collecting.send_json("POST", "/v1/products", {"products": PRODUCTS}).status == 200

    def one_fault(self, running: Load) -> None:
        """Any of them."""
        choices: list[Callable[[Load], None]] = [
            self.kill_projector,
            self.kill_projector,
            self.kill_collector,
            self.kill_worker,
            self.kill_server,
            self.kill_trainer,
            self.sleeping_projector,
            self.projectors_come_and_go,
            self.restart_broker,
            self.restart_redis,
        ]
        fault = self.rng.choice(choices)
        self.faults[fault.__name__] += 1
        fault(running)

    def kill_projector(self, running: Load) -> None:
        self._any_projector().kill()
        self.projectors.append(self.shop.projector())

    def kill_collector(self, running: Load) -> None:
        self.collecting.kill()
        self.collecting = self._another(running, self.collecting, "--role", "collect")

    def kill_worker(self, running: Load) -> None:
        time.sleep(max(self._worker_killed_at + RESPAWN_S - time.monotonic(), 0.0))
        self._worker_killed_at = time.monotonic()
        kill_worker(self.answering, self.rng.choice(workers_of(self.answering)))

    def kill_server(self, running: Load) -> None:
        self.answering.kill()
        self.answering = self._another(running, self.answering, "--workers", "2")

    def kill_trainer(self, running: Load) -> None:
        self.trainer.kill()
        self.trainer = self.shop.trainer()

    def sleeping_projector(self, running: Load) -> None:
        sleeper = self.rng.choice(self.projectors)
        sleeper.pause()
        time.sleep(self.rng.uniform(1.0, ASLEEP_S_MAX))
        sleeper.go_on()

    def projectors_come_and_go(self, running: Load) -> None:
        self.projectors.append(self.shop.projector())
        time.sleep(self.rng.uniform(0.0, 3.0))
        assert self._any_projector().stop() in (0, -signal.SIGTERM)  # not begun yet

    def restart_broker(self, running: Load) -> None:
        self.broker.stop(kill=True)
        time.sleep(self.rng.uniform(0.0, 3.0))
        self.broker.start()

    def restart_redis(self, running: Load) -> None:
        self.store.stop(kill=True)
        time.sleep(self.rng.uniform(0.0, 3.0))
        self.store.start()

    def _any_projector(self) -> Worker:
        return self.projectors.pop(self.rng.randrange(len(self.projectors)))

    def _another(self, running: Load, old: Service, *arguments: str) -> Service:
        new = self.shop.serve(*arguments)
        replace(running, old, new)
        return new


@pytest.mark.soak
def test_minutes_of_kills_and_restarts_lose_and_repeat_nothing(tmp_path: Path, rng: random.Random) -> None:
    secret = {"DANGOL_REDIS_PASSWORD": PASSWORD}
    with (
        started(lambda: KafkaBroker(tmp_path / "kafka", deployed_kafka_settings())) as broker,
        started(lambda: deployed_redis(tmp_path / "redis", PASSWORD)) as store,
        deployment(
            tmp_path / "data", broker.address, f"redis://127.0.0.1:{store.port}/0", prefix="soak", **secret
        ) as shop,
    ):
        ledger, soak = Ledger(), Soak(shop, broker, store, rng)
        begun = time.monotonic()
        with load(ledger, soak.answering, soak.collecting, pause_s=0.0) as running:
            while time.monotonic() < begun + SOAK_S:
                soak.one_fault(running)
                time.sleep(rng.uniform(*BETWEEN_S))
        seconds = time.monotonic() - begun
        print_figures(ledger, soak.faults, seconds)
        shop.wait_until_folded()
        with shop.opened() as engine:
            assert_counted_once(ledger, engine, soak.answering)


def print_figures(ledger: Ledger, faults: Counter[str], seconds: float) -> None:
    """What a run came to."""
    print(
        f"{ledger.size()} events acknowledged in {seconds:.0f} s, {ledger.size() / seconds:.0f}/s; "
        f"{ledger.longest_silence_s:.1f} s without an acknowledgement at most"
    )
    print(f"requests by answer: {dict(ledger.answers)}")
    print(f"faults: {dict(faults)}")
