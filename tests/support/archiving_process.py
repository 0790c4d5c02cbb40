"""A process that appends and archives and is to die: `python -m tests.support.archiving_process FOLDER ROUND`.

It prints a line when it begins. ROUND numbers what it appends, so that no round repeats another.
"""

from __future__ import annotations

import itertools
import sys
from datetime import timedelta
from pathlib import Path

from ingest.archive.archivist import Archivist
from ingest.vocabulary.events import Event, ProductViewed
from tests.support.build import NOON, fact
from tests.support.embedded import embedded

CHUNK_FACTS = 40


def batch(round_: int, number: int) -> list[Event]:
    """What is appended together: a few subjects, several times a day."""
    at = NOON + timedelta(hours=6 * (50 * round_ + number))
    return [
        fact(ProductViewed, event_id=f"view-{round_}-{number}-{each}", subject=f"s-{each % 3}", occurred_at=at)
        for each in range(150)
    ]


def main(folder: str, round_: str) -> None:
    """Append, archive and compact until death."""
    with embedded(Path(folder), ()) as dangol:
        archivist = Archivist(dangol.log, Path(folder) / "archive", chunk_facts_max=CHUNK_FACTS)
        print("begun", flush=True)
        for number in itertools.count():
            dangol.log.append(batch(int(round_), number))
            archivist.catch_up()
            if number % 3 == 0:
                archivist.compact()


if __name__ == "__main__":
    main(*sys.argv[1:])
