"""A real browser: headless Chromium, driven through chromedriver's WebDriver protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import free_port, wait_for

QUIET = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1800",
]  # fmt: skip
ANSWER_WAIT_MAX_S = 60


class Browser:
    """One window. `run` executes a script in the page and returns what it returns."""

    def __init__(self, driver: str, session: str) -> None:
        self._session = f"{driver}/session/{session}"

    def go(self, url: str) -> None:
        """Load a page."""
        call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`."""
        return call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script: str, what: str) -> Any:
        """The first true value of a script."""
        return wait_for(lambda: self.run(script), what)

    def click(self, selector: str) -> None:
        """Click an element as a person would."""
        found = call("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        call("POST", f"{self._session}/element/{element}/click", {})

    def address(self) -> str:
        """Where the window is."""
        address: str = call("GET", f"{self._session}/url")
        return address

    def products(self, placement: str) -> list[str]:
        """The products of a filled row, once it is filled or has vanished."""
        row = f"document.querySelector('[data-dangol-placement=\"{placement}\"]')"
        filled = f"const row = {row}; return row.hidden || row.querySelector('[data-product-id]:not(.ghost)') !== null"
        self.wait_for(filled, f"the row {placement}")
        found: list[str] = self.run(
            f"const row = {row}; return row.hidden ? [] : "
            "[...row.querySelectorAll('[data-product-id]:not(.ghost)')].map(card => card.dataset.productId)"
        )
        return found


def call(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    """The value a WebDriver command answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=ANSWER_WAIT_MAX_S) as answer:
        return json.load(answer)["value"]


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; skipped where there is none, unless CI insists."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        assert os.environ.get("CI") != "true", "the browser tests need chromium and chromium-driver"
        pytest.skip("no chromium and chromedriver on this machine")
    port = free_port()
    driver = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [chromedriver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    session = None
    try:
        wait_for(lambda: answers(driver), "chromedriver")
        options = {"binary": chromium, "args": [*QUIET, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = call("POST", f"{driver}/session", wanted)["sessionId"]
        yield Browser(driver, session)
    finally:
        if session is not None:
            with contextlib.suppress(OSError):
                call("DELETE", f"{driver}/session/{session}")
        process.terminate()
        process.wait()


def answers(driver: str) -> bool:
    """Whether chromedriver is up."""
    try:
        return bool(call("GET", f"{driver}/status")["ready"])
    except OSError:
        return False
