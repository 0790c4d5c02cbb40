"""A process of its own that appends to a log: `python -m tests.support.append_elsewhere PLACE PREFIX COUNT SUBJECTS`.

A place is the path of a SQLite file, or `kafka BROKER TOPICS REDIS` in one argument. It prints the id of each fact once
that is acknowledged.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from ingest.embedded import SqliteFile
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.vocabulary.events import ProductViewed
from ingest.vocabulary.ports import EventLog
from tests.support.build import fact
from tests.support.distributed import kafka_log


@contextlib.contextmanager
def opened(place: str) -> Iterator[EventLog]:
    """The log at a place, closed at the end."""
    if place.startswith("kafka "):
        with kafka_log(*place.split()[1:]) as log:
            yield log
        return
    file = SqliteFile(Path(place), schema=LOG_SCHEMA, version=1)
    try:
        yield SqliteEventLog(file)
    finally:
        file.close()


def main(place: str, prefix: str, count: str, subjects: str) -> None:
    """Append facts one by one."""
    with opened(place) as log:
        for number in range(int(count)):
            event_id = f"{prefix}-{number}"
            log.append([fact(ProductViewed, event_id=event_id, subject=f"subject-{number % int(subjects)}")])
            print(event_id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
