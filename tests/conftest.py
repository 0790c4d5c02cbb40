"""Shops made once for a whole run; a test that changes one takes a copy."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import open_bandit
from tests.support.server_process import NotToBeHad, do_without
from tests.support.service import CATEGORIES, copy_of, dangol, import_example
from tests.support.services import ask_for, service_address
from tests.support.small_shop import make_small_shop

ORDER = ("architecture", "property", "contract", "e2e", "fault")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Functions are named by their argument: their addresses differ between the processes that share the tests."""
    return argname if callable(val) and not isinstance(val, type) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are given out in their order: what is quick and needs no service begins, slow files follow, quick ones end.

    So a first worker does not wait for Kafka, and none is idle for long while the last file of another runs.
    """
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next((at for at, part in enumerate(ORDER) if f"tests/{part}" in item.nodeid), len(ORDER))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let what the chosen tests will need start while others run."""
    if session.config.option.collectonly or not session.items:
        return
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    folder, owner = shared_folder(session.config._tmp_path_factory), owner_of_the_run()
    for fixture, kind in (("kafka_address", "kafka"), ("redis_url", "redis")):
        if fixture in needed:
            ask_for(kind, folder, owner)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out for want of data."""
    if not open_bandit.is_there():
        where = f"name its folder in {open_bandit.FOLDER_VARIABLE}"
        terminalreporter.write_line(f"The Open Bandit sample is not there, so its tests were left out: {where}.")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, whichever of its processes asks."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


def owner_of_the_run() -> int:
    """The process that a run belongs to, whichever of its processes asks."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def service(kind: str, factory: pytest.TempPathFactory) -> str:
    """The address of a service of this run; without it the test is skipped, or fails where nothing may be skipped."""
    try:
        return service_address(kind, shared_folder(factory), owner_of_the_run())
    except NotToBeHad as error:
        do_without(error)


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real Apache Kafka, shared by the tests of a run: each makes topics of its own."""
    return service("kafka", tmp_path_factory)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real Redis, shared by the tests of a run: each has a prefix of its own."""
    return service("redis", tmp_path_factory)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A data folder that the first process of a run makes and the others wait for."""
    place = shared_folder(factory) / name
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            make(place / "data")
            (place / "made").touch()
    return place / "data"


def make_example_shop(folder: Path) -> None:
    """The example shop, by the command line; trained as a person does, so that any training anew is another process."""
    import_example(folder, "--categories", str(CATEGORIES))
    dangol("train", data=folder, check=True, fresh=True)


@pytest.fixture(scope="session")
def example_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example shop, imported and trained; nobody may change it."""
    return made_once(tmp_path_factory, "example", make_example_shop)


@pytest.fixture
def example_folder(example_shop: Path, tmp_path: Path) -> Path:
    """The example shop in a folder of the test's own."""
    return copy_of(example_shop, tmp_path / "data")


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop, trained; nobody may change it."""
    return made_once(tmp_path_factory, "small", make_small_shop)


@pytest.fixture
def small_folder(small_shop: Path, tmp_path: Path) -> Path:
    """The small shop in a folder of the test's own."""
    return copy_of(small_shop, tmp_path / "data")
