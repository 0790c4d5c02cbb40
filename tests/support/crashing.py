"""A process that appends and is to die: `python -m tests.support.crashing FOLDER ROUND STRIKE_AT AFTER`.

It prints the number of each batch once that is acknowledged. STRIKE_AT 0 means that somebody else kills it.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from ingest.vocabulary.events import CustomerIdentified, Event, OrderCompleted, ProductViewed
from tests.support.build import fact, product
from tests.support.embedded import embedded
from tests.support.faults import Fault, break_writer


def batch(round_: int, number: int) -> list[Event]:
    """What is appended together: always the same facts for a round and number."""
    name = f"{round_}-{number}"
    return [
        fact(ProductViewed, event_id=f"view-{name}", subject=f"subject-{number % 5}"),
        fact(OrderCompleted, order_id=f"o-{name}", subject=f"subject-{number % 3}"),
        fact(CustomerIdentified, event_id=f"who-{name}", subject=f"visitor-{name}", known=f"subject-{number % 5}"),
        product(f"p-{number % 7}", event_id=f"product-{name}", title=name),
    ]


def main(folder: str, round_: str, strike_at: str, after: str) -> None:
    """Append until death."""
    with embedded(Path(folder)) as dangol:
        break_writer(dangol.file, Fault(int(strike_at), after=after == "after", crash=True))
        for number in itertools.count():
            dangol.log.append(batch(int(round_), number))
            print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
