"""Servers for tests from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, deployment
from tests.support.distributed import own_prefix, remove_topics
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


@pytest.fixture
def place(kafka_address: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A new deployment on the Kafka and the Redis that the tests share; nobody uses it yet."""
    prefix = own_prefix()
    with deployment(tmp_path / "new", kafka_address, redis_url, prefix=prefix) as made:
        yield made
    remove_topics(kafka_address, prefix)
