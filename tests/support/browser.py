"""A real browser, driven over WebDriver's HTTP protocol by `chromedriver`; nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.service import wait_for

ARGUMENTS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the WebDriver standard gives a reference to an element


class Browser:
    """One window of a fresh profile."""

    def __init__(self, driver_url: str, profile: Path, binary: str) -> None:
        root = ["--no-sandbox"] if os.getuid() == 0 else []
        options = {"binary": binary, "args": [*ARGUMENTS, *root, f"--user-data-dir={profile}"]}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._url = driver_url
        session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._url = f"{driver_url}/session/{session['sessionId']}"

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._send("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """Click the first element of a selector, as a person does: again if the page moved under the pointer."""
        wait_for(lambda: self._clicked(selector), f"a click on {selector}")

    def _clicked(self, selector: str) -> bool:
        found = self._send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        self.run(
            "document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", selector
        )
        try:
            self._send("POST", f"/element/{found}/click", {})
        except AssertionError as error:
            if "click intercepted" in str(error):
                return False
            raise
        return True

    def wait(self, script: str, *arguments: Any, what: str | None = None) -> Any:
        """The first true value that a script returns."""
        return wait_for(lambda: self.run(script, *arguments), what or script)

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def picture(self) -> bytes:
        """What the window shows, as a PNG."""
        return base64.b64decode(self._send("GET", "/screenshot"))

    def complaints(self) -> list[str]:
        """Errors on the browser's console since the last call."""
        entries = self._send("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def close(self) -> None:
        """Close the window."""
        self._send("DELETE", "")

    def _send(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self._url + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answered:
                return json.load(answered)["value"]
        except urllib.error.HTTPError as error:
            told = error.read().decode()
            raise AssertionError(f"the browser refused {method} {path}: {told[:500]}") from None


@contextlib.contextmanager
def browsers(folder: Path) -> Iterator[Callable[[], Browser]]:
    """Opens windows, each with a profile of its own; skips where there is no browser, and fails where CI is true."""
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if binary is None or driver is None:
        why = "no browser: chromium and chromedriver are needed (tests/support/system-packages installs them)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    port = free_port()
    with (folder / "chromedriver.log").open("wb") as said:
        process = subprocess.Popen([driver, f"--port={port}"], stdout=said, stderr=said, start_new_session=True)
    opened: list[Browser] = []

    def new() -> Browser:
        browser = Browser(f"http://127.0.0.1:{port}", folder / f"profile-{len(opened)}", binary)
        opened.append(browser)
        return browser

    try:
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/status"), "chromedriver")
        yield new
        for browser in opened:
            browser.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answered:
        return bool(json.load(answered)["value"]["ready"])
    return False
