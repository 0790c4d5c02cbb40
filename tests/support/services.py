"""Kafka and Redis, started once for a whole run of the tests by the first process that expects to need them.

`python -m tests.support.services <kafka|redis> <folder> <pid>` keeps a service until the process that the run belongs
to has ended, however it ended. An address in `DANGOL_TEST_KAFKA` or `DANGOL_TEST_REDIS` is used instead.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.kafka import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.server_process import NotToBeHad

ROOT = Path(__file__).parents[2]
POLL_S = 0.5
START_S = 900.0  # the first time, Kafka is fetched
_keepers: list[subprocess.Popen[bytes]] = []  # they outlive this process: nobody waits for them


def service_address(kind: str, folder: Path, owner: int) -> str:
    """The address of a service: the one that the environment names, or one started below `folder` for this run.

    Raises:
        NotToBeHad: it is not on this machine.
    """
    given = os.environ.get(f"DANGOL_TEST_{kind.upper()}")
    if given:
        return given
    told = ask_for(kind, folder, owner) / "address"
    deadline = time.monotonic() + START_S
    while not told.exists():
        assert time.monotonic() < deadline, f"{kind} did not start in time"
        time.sleep(0.05)
    address = told.read_text()
    if address.startswith("!"):
        raise NotToBeHad(address[1:])
    return address


def ask_for(kind: str, folder: Path, owner: int) -> Path:
    """Let a service be started, unless it has been, and wait for nothing; the folder where it will tell its address."""
    place = folder / kind
    place.mkdir(parents=True, exist_ok=True)
    asked = place / "asked"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not asked.exists() and not os.environ.get(f"DANGOL_TEST_{kind.upper()}"):
            asked.touch()
            command = [sys.executable, "-m", "tests.support.services", kind, str(place), str(owner)]
            _keepers.append(subprocess.Popen(command, cwd=ROOT, start_new_session=True))
    return place


def _keep(kind: str, place: Path, owner: int) -> None:
    told, writing = place / "address", place / "address.part"
    try:
        service = KafkaBroker(place / "data") if kind == "kafka" else RedisServer(place / "data")
        service.start()
    except Exception as error:
        writing.write_text(f"!{error}")
        writing.rename(told)
        if isinstance(error, NotToBeHad):
            return
        raise
    try:
        writing.write_text(service.address if isinstance(service, KafkaBroker) else service.url)
        writing.rename(told)
        while _alive(owner):
            time.sleep(POLL_S)
    finally:
        service.stop(kill=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
