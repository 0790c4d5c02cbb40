"""Which of the facts in a log count: a log that several processes write may hold one twice.

A collector that dies between the log's acknowledgement and its own note leaves a fact whose sender will send it again.
The claim of an event id says which of the two places counts; whoever folds leaves out the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest.logs.claim_ids import Claim, claim_of, place_of
from ingest.vocabulary.events import Recorded, Shown


class Repeats(Protocol):
    """Tells facts that count from those that are there twice."""

    def without(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """The facts of a batch that count.

        Raises:
            Unavailable: it cannot be told now.
        """
        ...


class Claims(Protocol):
    """Knows the place that counts of each fact that was appended once."""

    def settle(self, places: Sequence[tuple[Claim, int]]) -> list[int]:
        """The place that counts for each claim: the given one, unless another was settled first."""
        ...


class ClaimedFacts:
    """Facts count where their claim was settled first; whoever reads them first settles what nobody has."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def without(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """The facts of a batch that count. Cost: a round trip."""
        places = [(claim_of(each.event), place_of(each.position)) for each in batch if _is_claimed(each)]
        if not places:
            return batch
        counting = iter(zip(places, self._claims.settle(places), strict=True))
        kept = []
        for recorded in batch:
            if _is_claimed(recorded):
                (_, place), counts = next(counting)
                if place != counts:
                    continue
            kept.append(recorded)
        return kept


class EveryFact:
    """A log that holds nothing twice."""

    def without(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """All of them."""
        return batch


EVERY_FACT = EveryFact()


def _is_claimed(recorded: Recorded) -> bool:
    """Whether a fact was appended once; what was shown has an id of our own making and nobody sends it again."""
    return not isinstance(recorded.event, Shown)
