"""A real Redis for the tests, which may be stopped, killed, emptied and started again with the same address."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import redis

from tests.support.kafka import NotToBeHad
from tests.support.ports import free_port

START_S, STOP_S = 30.0, 15.0


class RedisServer:
    """A server with its data in a folder, each write on disk before it is answered; perhaps as a cluster of one."""

    def __init__(self, folder: Path, *, cluster: bool = False) -> None:
        if shutil.which("redis-server") is None:
            raise NotToBeHad("Redis needs redis-server, which is not on this machine")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self._clustered = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())] if cluster else []
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            *self._clustered,
        ]
        command = ["redis-server", "--port", str(self.port), "--dir", str(self.folder), *settings]
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()[-2_000:]
            assert time.monotonic() < deadline, "Redis did not start in time"
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        """Stop in order, or like a power cut of the process."""
        assert self.process is not None
        self.process.kill() if kill else self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def empty(self) -> None:
        """What a lost disk leaves: nothing. The server must be stopped."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping()) and (not self._clustered or self._has_all_slots(client))
        except redis.RedisError:
            return False

    def _has_all_slots(self, client: redis.Redis) -> bool:
        told = client.execute_command("CLUSTER", "INFO")
        if b"cluster_slots_assigned:0" in told:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        return b"cluster_state:ok" in told
