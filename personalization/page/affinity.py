"""What the situation does to a row: what is wanted more in it than otherwise comes further up, and says so."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from ingest.vocabulary.ranking import Candidates, IntVector
from ingest.vocabulary.situations import Part, Parts, in_words, parts_of
from personalization.page.lifting import lifted
from personalization.page.request import RowRequest
from personalization.page.row import Pick
from personalization.page.shelf import Models

OF_THE_PERSON = frozenset({"recently_viewed", "buy_again"})
"""What somebody did themselves stays in the order in which they did it."""

worth_saying = 1.2  # times as much; less is nothing that a shopper would notice


def situation_of(request: RowRequest, models: Models) -> Parts:
    """The parts of a request's situation that make a difference to what is wanted."""
    return () if request.context is None else models.telling(parts_of(request.context))


def situated(candidates: Candidates, parts: Parts, models: Models) -> Candidates:
    """The candidates in the order that a situation gives them."""
    return lifted(candidates, models.affinity(parts, candidates.products))


def wanted_more(candidates: Candidates, parts: Parts, models: Models) -> dict[str, int]:
    """How many of the candidates are wanted more because of each part, in words."""
    return {
        f"learned: {in_words(part)}": int(np.count_nonzero(models.affinity((part,), candidates.products) > 1.0))
        for part in parts
    }


def favoured(picks: tuple[Pick, ...], parts: Parts, models: Models) -> tuple[Pick, ...]:
    """The picks with what speaks for them most in a situation, in words, where it is worth saying."""
    concerned = [at for at, pick in enumerate(picks) if pick.kind not in OF_THE_PERSON and pick.kind != "pinned"]
    if not parts or not concerned:
        return picks
    products: IntVector = np.array([picks[at].product_index for at in concerned], np.int32)
    strongest, lifts = models.strongest(parts, products)
    told = list(picks)
    for at, part, lift in zip(concerned, strongest.tolist(), lifts.tolist(), strict=True):
        if lift >= worth_saying:
            told[at] = replace(picks[at], favour=_favour(parts[part], lift))
    return tuple(told)


def _favour(part: Part, lift: float) -> str:
    return f"wanted {lift:.1f} times as much as usual {in_words(part)}"
