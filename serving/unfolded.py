"""What could not be folded, as letters that an operator finds beside those of senders."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.dead_letters import DeadLetter
from ingest.folding.fold import Poison
from ingest.vocabulary.codec import encode_event


def letters_of(poison: Sequence[Poison]) -> list[DeadLetter]:
    """What could not be folded, as letters."""
    return [
        DeadLetter(
            source=f"fold:{each.projection}",
            code="unfoldable",
            detail=each.reason,
            place=f"partition {each.recorded.position.partition}, offset {each.recorded.position.offset}",
            payload=encode_event(each.recorded.event).hex(),
        )
        for each in poison
    ]
