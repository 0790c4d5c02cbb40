"""A process of its own that appends to a log: `python -m tests.support.append_elsewhere PATH PREFIX COUNT SUBJECTS`.

It prints the id of each fact once that is acknowledged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ingest.embedded import SqliteFile
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.vocabulary.events import ProductViewed
from tests.support.build import fact


def main(path: str, prefix: str, count: str, subjects: str) -> None:
    """Append facts one by one."""
    file = SqliteFile(Path(path), schema=LOG_SCHEMA, version=1)
    log = SqliteEventLog(file)
    for number in range(int(count)):
        event_id = f"{prefix}-{number}"
        log.append([fact(ProductViewed, event_id=event_id, subject=f"subject-{number % int(subjects)}")])
        print(event_id, flush=True)
    file.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
