"""A real Redis for the tests, which may be stopped, killed, emptied and started again with the same address."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support.kafka import NotToBeHad
from tests.support.ports import free_port

START_S, STOP_S = 30.0, 15.0
SLOTS = 16_384  # of a cluster


class RedisServer:
    """A server with its data in a folder, each write on disk before its answer; `settings` go to its command line."""

    def __init__(self, folder: Path, *settings: str) -> None:
        if shutil.which("redis-server") is None:
            raise NotToBeHad("Redis needs redis-server, which is not on this machine")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.settings = folder, free_port(), settings
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        command = ["redis-server", "--port", str(self.port), "--dir", str(self.folder), *settings, *self.settings]
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

    def save_copy(self, name: str) -> None:
        """Keep a copy of the data as they are on disk now."""
        shutil.copytree(self.folder / "appendonlydir", self.folder / name)

    def restore_copy(self, name: str) -> None:
        """Go back to a copy. The server must be stopped."""
        self.empty()
        shutil.copytree(self.folder / name, self.folder / "appendonlydir")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the server takes connections, but answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextlib.contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[str]:
    """The address of a Redis Cluster of some servers on this machine, which share the slots."""
    servers = [
        RedisServer(folder / f"node-{number}", "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        for number in range(nodes)
    ]
    try:
        for server in servers:
            server.start()
        _join([redis.Redis.from_url(server.url) for server in servers], servers[0])
        yield servers[0].url
    finally:
        for server in servers:
            if server.process is not None:
                server.stop(kill=True)


def _join(clients: list[redis.Redis], first: RedisServer) -> None:
    bus = first.settings[-1]
    share = -(-SLOTS // len(clients))
    for number, client in enumerate(clients):
        last = min((number + 1) * share, SLOTS) - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for client in clients[1:]:
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
    deadline = time.monotonic() + START_S
    for client in clients:
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            assert time.monotonic() < deadline, "the cluster did not form in time"
            time.sleep(0.05)
        client.close()
