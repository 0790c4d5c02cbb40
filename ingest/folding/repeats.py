"""Which of the facts in a log count: a log that several processes write may hold one twice.

A collector that dies between the log's acknowledgement and its own note leaves a fact whose sender will send it again.
The claim of an event id says which of the two places counts; whoever folds leaves out the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest.vocabulary.events import RankingShown, Recorded


class Repeats(Protocol):
    """Tells facts that count from those that are there twice."""

    def without(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """The facts of a batch that count.

        Raises:
            Unavailable: it cannot be told now.
        """
        ...


def is_claimed(recorded: Recorded) -> bool:
    """Whether a fact is appended once; shown lists have an id of our own making and nobody sends them again."""
    return not isinstance(recorded.event, RankingShown)
