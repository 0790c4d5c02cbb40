"""Labels for fitting the ranker that come with the training data instead of being cut from it."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.vocabulary.ranking import History, IntVector, Purpose


@dataclass(frozen=True, slots=True)
class Validation:
    """What some people did, and what they took next; all lists have the same length.

    Attributes:
        purpose: what is asked for.
        histories: before the targets; products are rows of the interactions that are trained on.
        targets: rows that should be ranked high, at least one each.
        excluded: rows that are no candidates.
    """

    purpose: Purpose
    histories: list[History]
    targets: list[IntVector]
    excluded: list[IntVector]
