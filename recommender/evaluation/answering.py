"""Asking the models: the call that answers requests, timed by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import Candidates, FloatVector, History, IntVector, ProductIndex, Purpose
from recommender.live import LiveModels
from recommender.questions import Questions
from recommender.snapshot import Snapshot
from recommender.tail import Tail

WARM_UPS_MAX = 50  # questions asked before the clock runs: caches of the processor, first use of scratch
_TOLD_EVERY = 512
NOBODY = -1

Progress = Callable[[str, float], None]


class Answering(Protocol):
    """What ranks products for a history."""

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        """The products that suit best, best first; at most `limit`, different ones, none of `excluded`."""
        ...


class Answered(NamedTuple):
    """The lists for n questions.

    Attributes:
        ranked: (n, limit) rows, best first, `NOBODY` behind the last of a short list.
        query_s: (n,) seconds of each call.
    """

    ranked: NDArray[np.int32]
    query_s: FloatVector


def models_of(snapshot: Snapshot) -> LiveModels:
    """The models of a snapshot as they answer; product_index is the row in it."""
    index = ProductIndex()
    return LiveModels(snapshot, Tail(index, snapshot), index)


def ask(models: Answering, questions: Questions, limit: int, progress: Progress = lambda step, share: None) -> Answered:
    """Ask every question once, in order.

    Cost: the models' own, and some 3 µs a question.
    """
    ranked = np.full((len(questions), limit), NOBODY, np.int32)
    query_s = np.zeros(len(questions))
    for at in range(min(len(questions), WARM_UPS_MAX)):
        models.ranked(questions.purpose, questions.history(at), limit, questions.excluded.row(at))
    for at in range(len(questions)):
        history, excluded = questions.history(at), questions.excluded.row(at)
        began = time.perf_counter()
        found = models.ranked(questions.purpose, history, limit, excluded).products
        query_s[at] = time.perf_counter() - began
        ranked[at, : len(found)] = found
        if at % _TOLD_EVERY == 0:
            progress("asking", at / len(questions))
    _check(ranked, questions)
    return Answered(ranked, query_s)


def _check(ranked: NDArray[np.int32], questions: Questions) -> None:
    """A list that breaks the rules would make every figure a lie."""
    in_order = np.sort(ranked, axis=1)
    twice = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != NOBODY)
    assert not twice.any(), "a product is twice in a list"
    assert not is_among(ranked, questions.excluded.owners(), questions.excluded.values).any(), "an excluded product"


def is_among(ranked: NDArray[np.int32], owner: NDArray[np.int64], product: IntVector) -> NDArray[np.bool_]:
    """Which entries of the lists (n, limit) are among the products that belong to their row.

    Args:
        owner, product: (m,) the row and the product of each; negative products belong to nobody.
    """
    known = product >= 0
    if not ranked.size or not known.any():
        return np.zeros(ranked.shape, np.bool_)
    width = int(max(ranked.max(), product.max())) + 1
    wanted = np.unique(owner[known] * width + product[known])
    keys = np.arange(len(ranked))[:, None] * width + ranked
    place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    among: NDArray[np.bool_] = (wanted[place] == keys) & (ranked >= 0)
    return among
