"""Dead letters tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ingest.importer import replay_letter
from ingest.vocabulary.errors import DangolError

if TYPE_CHECKING:
    from serving.engine import Engine


class Tried(msgspec.Struct, frozen=True):
    """What became of letters: taken now, known already, still refused."""

    accepted: int
    repeated: int
    refused: int


def replay_letters(engine: Engine, letters: Sequence[int]) -> Tried:
    """Try letters again, all of them if none is named; a letter whose facts are all in is removed.

    Raises:
        NotFound: a named letter does not exist.
    """
    chosen = [engine.dead_letters.get(letter) for letter in letters] if letters else list(engine.dead_letters.all())
    accepted = repeated = refused = 0
    for letter in chosen:
        try:
            outcomes = engine.collector.collect(replay_letter(letter, received_at=engine.clock.now()))
        except DangolError as error:
            if error.retryable:
                raise
            refused += 1
            continue
        if any(outcome.status == "refused" for outcome in outcomes):
            refused += 1
            continue
        engine.dead_letters.remove([letter.letter])
        if any(outcome.status == "accepted" for outcome in outcomes):
            accepted += 1
        else:
            repeated += 1
    return Tried(accepted, repeated, refused)
