"""What the log on SQLite promises beyond every event log."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.vocabulary.events import ProductViewed
from ingest.vocabulary.ports import EventLog
from tests.contract.conftest import SqliteLogBackend
from tests.support.build import NOON, fact, views
from tests.support.embedded import read_all


@pytest.fixture
def backend(tmp_path: Path) -> SqliteLogBackend:
    """A file of the test's own."""
    return SqliteLogBackend(tmp_path)


def test_appenders_at_the_same_time_share_commits(backend: SqliteLogBackend, log: EventLog) -> None:
    waiting = threading.Semaphore(0)

    def append(thread: int) -> None:
        waiting.release()
        log.append(views(1, subject=f"s-{thread}"))

    with ThreadPoolExecutor(16) as threads:
        with backend.hold_commits() as commits:
            done = [threads.submit(append, thread) for thread in range(16)]
            for _ in done:
                assert waiting.acquire(timeout=60)
        for each in done:
            each.result()
    assert commits() < 16
    assert len(read_all(log)) == 16


def test_a_claim_that_has_run_out_leaves_the_file(log: EventLog) -> None:
    (event,) = views(1)
    log.append([event])
    log.append([fact(ProductViewed, occurred_at=NOON + timedelta(days=7))])
    assert log.find(event.event_id) == event
    log.append([fact(ProductViewed, occurred_at=NOON + timedelta(days=8))])
    assert log.find(event.event_id) is None
