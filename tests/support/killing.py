"""Processes of a deployment that are killed and started again while others send to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.ledger import Load
from tests.support.service import Service, wait_for


def workers_of(service: Service) -> list[int]:
    """The worker processes of a server, which answer; a killed one is replaced by the server."""
    tasks = Path(f"/proc/{service.process.pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in children if b"resource_tracker" not in _command_of(child)]


def kill_worker(service: Service, pid: int) -> None:
    """`kill -9` one worker of a server, and wait until the server has another."""
    count = len(workers_of(service))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(now := workers_of(service)) == count and pid not in now, "the server to start another worker")


def replace(running: Load, old: Service, new: Service) -> None:
    """Let senders ask another server, which a client of theirs stands for."""
    running.targets[running.targets.index(old)] = new


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
