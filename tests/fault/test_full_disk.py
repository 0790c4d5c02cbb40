"""A full disk: one clear error, nothing acknowledged is lost, and with room again everything goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.test_kill import assert_each_in_the_log_once, assert_verified
from tests.support.service import EXAMPLE_IMPORT, Service, copy_of, dangol, serving, told
from tests.support.small_shop import MUGS, view

MEGABYTE = 1_048_576
SMALL_DISK_MB = 12


def assert_clear(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("dangol: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "written" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; only where nothing can be mounted and nobody counts on it, there is none."""
    absent = pytest.fail if os.environ.get("CI") else pytest.skip
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m", "dangol-test", str(place)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        absent("there is no mount command to make a small disk with")
    if mounted.returncode != 0:
        absent(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_an_import_onto_a_disk_that_fills_up_is_one_clear_line_and_is_continued_with_room(
    example_shop: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    dangol("init", data, check=True)
    assert_clear(dangol(*EXAMPLE_IMPORT, data=data, file_bytes_max=4 * MEGABYTE))
    assert_verified(data)
    taken = told("status", data=data)["facts"]
    assert dangol(*EXAMPLE_IMPORT, data=data).returncode == 0
    assert_verified(data)
    whole = told("status", data=example_shop)["facts"]
    assert taken < told("status", data=data)["facts"] == whole


def test_a_small_disk_fills_up_while_importing_and_a_larger_one_continues(small_disk: Path, tmp_path: Path) -> None:
    assert_clear(dangol(*EXAMPLE_IMPORT, data=small_disk / "data"))
    larger = copy_of(small_disk / "data", tmp_path / "larger")
    assert_verified(larger)
    assert dangol(*EXAMPLE_IMPORT, data=larger).returncode == 0
    assert_verified(larger)


def fill_until_refused(service: Service) -> list[dict[str, object]]:
    """Views until the server says that it cannot keep one; those it acknowledged."""
    acknowledged: list[dict[str, object]] = []
    for number in itertools.count():
        batch = [
            {**view(f"v-{number}-{each}", MUGS[0], customer_id=f"c-{number}-{each}"), "list_id": "x" * 90}
            for each in range(100)
        ]
        answered = service.send_json("POST", "/v1/events", {"events": batch})
        if answered.status != 200:
            assert answered.status == 503, answered
            assert answered.json["code"] == "unavailable"
            assert answered.headers["retry-after"]
            return acknowledged
        assert {result["status"] for result in answered.json["results"]} == {"accepted"}
        acknowledged += batch
        assert number < 2_000, "the disk never filled up"
    raise AssertionError


def test_a_server_on_a_disk_that_fills_up_says_so_goes_on_answering_and_recovers(small_folder: Path) -> None:
    largest = max(path.stat().st_size for path in small_folder.glob("*.sqlite3*"))
    with serving(small_folder, file_bytes_max=largest + 2 * MEGABYTE) as service:
        acknowledged = fill_until_refused(service)
        assert len(service.row("home.popular")) == 10, "answers go on"
        assert service.send("GET", "/healthz").status == 200
        for process in processes_of(service):
            resource.prlimit(process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        more = view("v-after", MUGS[1], customer_id="c-after")
        assert service.tell(more) == ["accepted"], "with room again it goes on without a restart"
        acknowledged.append(more)
    assert_each_in_the_log_once(small_folder, acknowledged)
    assert_verified(small_folder)


def test_a_server_on_a_small_disk_says_so_goes_on_answering_and_recovers(small_folder: Path, small_disk: Path) -> None:
    data = copy_of_whole(small_folder, small_disk / "data")
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(free // 2))
    with serving(data) as service:
        acknowledged = fill_until_refused(service)
        assert len(service.row("home.popular")) == 10
        ballast.unlink()
        more = view("v-after", MUGS[1], customer_id="c-after")
        assert service.tell(more) == ["accepted"]
        acknowledged.append(more)
    assert_each_in_the_log_once(data, acknowledged)
    assert_verified(data)


def processes_of(service: Service) -> list[int]:
    """The processes of a server's group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(int(entry.name)) == service.process.pid:
                    found.append(int(entry.name))
    return found


def copy_of_whole(folder: Path, target: Path) -> Path:
    """A copy on another file system, where nothing can be linked."""
    import shutil

    shutil.copytree(folder, target)
    return target
