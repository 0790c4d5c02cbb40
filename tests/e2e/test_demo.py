"""`dangol demo`, from nothing to a shop that answers, and again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.client import Client, ids
from tests.support.service import DANGOL, dangol, environment, free_port, told, wait_for


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[tuple[Client, float, str]]:
    """The demo on a free port: a client, the seconds until it was ready, and what it printed until then."""
    port = free_port()
    client, began = Client("127.0.0.1", port), time.monotonic()
    said = folder.with_name(f"demo-{port}.log")
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [*DANGOL, "demo", "--port", str(port), "--data", str(folder)],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )

    def is_ready() -> bool:
        assert process.poll() is None, said.read_text()
        with contextlib.suppress(OSError):
            return client.send("GET", "/readyz").json["status"] == "pass"
        return False

    try:
        wait_for(is_ready, "the demo", within_s=900)
        yield client, time.monotonic() - began, said.read_text()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_demo_is_ready_from_nothing_and_ready_again_without_importing_or_training(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo(folder) as (client, seconds, said):
        print(f"first start: ready after {seconds:.1f} s")
        assert f"http://127.0.0.1:{client.port}/" in said
        together = client.get("/v1/recommendations/product.bought-together", product_ids="85123A")
        assert together["degraded"] == []
        home = client.send("GET", "/")
        assert home.status == 200
        assert b"data-dangol-placement" in home.body
        newest = client.row("home.popular")
    facts = told("status", data=folder)["facts"]
    with demo(folder) as (client, seconds, _):
        third = dangol("demo", "--port", str(free_port()), data=folder)
        assert third.returncode == 1
        assert "http://" not in third.stdout + third.stderr, "pages of another server"
        print(f"second start: ready after {seconds:.1f} s")
        again = client.get("/v1/recommendations/product.bought-together", product_ids="85123A")
        assert again["snapshot"] == together["snapshot"]
        assert ids(again["items"]) == ids(together["items"])
        assert ids(client.row("home.popular")) == ids(newest)
    assert told("status", data=folder)["facts"] == facts + 2, "the two rows that were shown, and nothing else"
