"""Servers for tests from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import Service, copy_of, serving


@pytest.fixture(scope="module")
def example_service(example_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The example shop, served for the tests of a file, which tell it nothing."""
    with serving(copy_of(example_shop, tmp_path_factory.mktemp("served") / "data")) as service:
        yield service


@pytest.fixture
def live_example(example_folder: Path) -> Iterator[Service]:
    """The example shop, served for one test."""
    with serving(example_folder) as service:
        yield service


@pytest.fixture
def live_small(small_folder: Path) -> Iterator[Service]:
    """The small shop, served for one test."""
    with serving(small_folder) as service:
        yield service
