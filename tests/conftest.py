"""Shops made once for a whole run; a test that changes one takes a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.service import CATEGORIES, copy_of, dangol, import_example
from tests.support.small_shop import make_small_shop


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Functions are named by their argument: their addresses differ between the processes that share the tests."""
    return argname if callable(val) and not isinstance(val, type) else None


@pytest.fixture(scope="session")
def example_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example shop, imported and trained by the command line; nobody may change it."""
    folder = tmp_path_factory.mktemp("example") / "data"
    import_example(folder, "--categories", str(CATEGORIES))
    dangol("train", data=folder, check=True)
    return folder


@pytest.fixture
def example_folder(example_shop: Path, tmp_path: Path) -> Path:
    """The example shop in a folder of the test's own."""
    return copy_of(example_shop, tmp_path / "data")


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop, trained; nobody may change it."""
    return make_small_shop(tmp_path_factory.mktemp("small") / "data")


@pytest.fixture
def small_folder(small_shop: Path, tmp_path: Path) -> Path:
    """The small shop in a folder of the test's own."""
    return copy_of(small_shop, tmp_path / "data")
