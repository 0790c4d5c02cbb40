"""What every import ledger promises: a finished import is found again by its key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from ingest.embedded import SqliteFile
from ingest.ledger import Entry, ImportLedger, import_key
from ingest.ledgers.redis import RedisImportLedger
from ingest.ledgers.sqlite import LEDGER_SCHEMA, SqliteImportLedger
from tests.support.distributed import own_prefix

KEY = import_key(b"content", "csv", b"{}")
WHEN = datetime(2025, 11, 22, 12, 0, 0, 123_000, UTC)


@pytest.fixture(params=["sqlite", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImportLedger]:
    if request.param == "sqlite":
        file = SqliteFile(tmp_path / "ledger.sqlite3", schema=LEDGER_SCHEMA, version=1)
        yield SqliteImportLedger(file)
        file.close()
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield RedisImportLedger(client, own_prefix())


def test_a_finished_import_is_found_by_its_key(ledger: ImportLedger) -> None:
    assert ledger.find(KEY) is None
    ledger.finish(KEY, WHEN, b"a report")
    assert ledger.find(KEY) == Entry(WHEN, b"a report")
    assert ledger.find(import_key(b"other", "csv", b"{}")) is None


def test_an_import_that_finished_again_has_its_last_report(ledger: ImportLedger) -> None:
    ledger.finish(KEY, WHEN, b"first")
    ledger.finish(KEY, WHEN, b"second")
    assert ledger.find(KEY) == Entry(WHEN, b"second")


def test_a_ledger_in_a_file_tells_all_of_its_imports(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "ledger.sqlite3", schema=LEDGER_SCHEMA, version=1)
    ledger = SqliteImportLedger(file)
    ledger.finish(KEY, WHEN, b"first")
    assert list(ledger.all()) == [(KEY, Entry(WHEN, b"first"))]
    file.close()
