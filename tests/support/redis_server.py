"""A real Redis for the tests, which may be stopped, killed, emptied and started again with the same address."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support.ports import free_port
from tests.support.server_process import NotToBeHad, ServerProcess

JOIN_S = 30.0
SLOTS = 16_384  # of a cluster


class RedisServer(ServerProcess):
    """A server with its data in a folder, each write on disk before its answer; `settings` go to its command line."""

    def __init__(self, folder: Path, *settings: str) -> None:
        if shutil.which("redis-server") is None:
            raise NotToBeHad("Redis needs redis-server, which is not on this machine")
        super().__init__(folder)
        self.port, self.settings = free_port(), settings
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """A server that writes everything to its disk."""
        settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        return ["redis-server", "--port", str(self.port), "--dir", str(self.folder), *settings, *self.settings]

    def answers(self) -> bool:
        """Whether it does what it is asked."""
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

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


@contextlib.contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """A Redis Cluster of some servers on this machine, which share the slots."""
    servers = [
        RedisServer(folder / f"node-{number}", "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        for number in range(nodes)
    ]
    try:
        for server in servers:
            server.start()
        _join([redis.Redis.from_url(server.url) for server in servers], servers[0])
        yield servers
    finally:
        for server in servers:
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
    deadline = time.monotonic() + JOIN_S
    for client in clients:
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            assert time.monotonic() < deadline, "the cluster did not form in time"
            time.sleep(0.05)
        client.close()
