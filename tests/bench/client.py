"""A load client in a process of its own: keep-alive connections over epoll, closed loop or paced.

`python -m tests.bench.client` reads a `Job` from standard input and prints a `Load`. Requests that are paced are
timed from when they were due, so that a server that stalls cannot hide it.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections import deque
from itertools import cycle
from typing import Any

import msgspec

LATENCIES_MAX = 200_000
PATIENCE_S = 10.0


class Job(msgspec.Struct):
    """What to send: `rate` a second, or as fast as `connections` allow; in turn, and `again` from the start or not."""

    port: int
    requests: list[bytes]
    seconds: float
    connections: int
    rate: float | None = None
    again: bool = True


class Load(msgspec.Struct):
    """What came of it: seconds it took, answers, answers that were no 200, latencies in seconds."""

    seconds: float
    answered: int
    failed: int
    latencies: list[float]


def load(job: Job) -> Load:
    """Run a job in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench.client"],
        input=msgspec.msgpack.encode(job),
        stdout=subprocess.PIPE,
        check=True,
        timeout=job.seconds + 4 * PATIENCE_S,
    )
    return msgspec.msgpack.decode(finished.stdout, type=Load)


class _Client:
    """The connections and what each is waiting for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests = cycle(job.requests) if job.again else iter(job.requests)
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.due: dict[int, float] = {}
        self.buffers: dict[int, bytearray] = {}
        self.idle: deque[int] = deque()
        self.result = Load(0.0, 0, 0, [])
        for _ in range(job.connections):
            connection = socket.create_connection(("127.0.0.1", job.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = connection.fileno()
            self.sockets[number], self.buffers[number] = connection, bytearray()
            self.poll.register(number, select.EPOLLIN)
            self.idle.append(number)

    def run(self) -> Load:
        began = time.perf_counter()
        end, sent = began + self.job.seconds, 0
        waiting: deque[float] = deque()  # when requests were due that found no free connection
        while True:
            now = time.perf_counter()
            if now < end:
                if self.job.rate is None:
                    waiting.extend([now] * (len(self.idle) - len(waiting)))
                else:
                    while (due := began + sent / self.job.rate) <= now:
                        waiting.append(due)
                        sent += 1
            elif (not self.due and not waiting) or now > end + PATIENCE_S:
                break
            while waiting and self.idle:
                if not self._send(self.idle.popleft(), waiting.popleft()):
                    end = now
                    waiting.clear()
            pause = 0.5 if self.job.rate is None else max(0.0, began + sent / self.job.rate - time.perf_counter())
            for number, _ in self.poll.poll(min(pause, 0.5)):
                self._receive(number)
        self.result.seconds = time.perf_counter() - began
        return self.result

    def _send(self, number: int, due: float) -> bool:
        request = next(self.requests, None)
        if request is None:
            return False
        self.due[number] = due
        self.sockets[number].sendall(request)
        return True

    def _receive(self, number: int) -> None:
        buffer = self.buffers[number]
        buffer += self.sockets[number].recv(262_144)
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = bytes(buffer[:head]).lower()
        at = lower.index(b"content-length:") + 15
        end = lower.find(b"\r", at)
        if len(buffer) < head + 4 + int(lower[at : end if end > 0 else None]):
            return
        result = self.result
        result.answered += 1
        result.failed += not buffer.startswith(b"HTTP/1.1 200")
        if len(result.latencies) < LATENCIES_MAX:
            result.latencies.append(time.perf_counter() - self.due[number])
        del self.due[number]
        buffer.clear()
        self.idle.append(number)


def main() -> None:
    """Read the job, run it, print what came of it."""
    job: Any = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.msgpack.encode(_Client(job).run()))


if __name__ == "__main__":
    main()
