"""What accuracy does not tell: how much of the catalogue is shown, how evenly, how expected it is, whom it helps.

Source: Gini index and coverage as in Ricci et al., "Recommender Systems Handbook" (2nd ed. 2015), ch. 8; novelty as
mean self-information after Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems"
(PNAS 2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector
from recommender.evaluation.answering import is_among
from recommender.evaluation.metrics import Judged, judge
from recommender.interactions import Interactions
from recommender.questions import Questions

NEW_SHARE = 0.1  # products first seen in the newest tenth of the interactions are new
LENGTHS = (0, 1, 2, 3, 6, 11, 21, 51)  # where each class of history lengths begins


def beyond(
    ranked: NDArray[np.int32],
    questions: Questions,
    interactions: Interactions,
    judged: Judged,
) -> dict[str, Any]:
    """The figures of one set of answered questions; those of lists are for lists as long as they were asked for."""
    shown = np.bincount(ranked[ranked >= 0], minlength=len(interactions.products))
    return {
        "coverage": float((shown > 0).mean()) if len(shown) else 0.0,
        "gini": gini(shown),
        "novelty_bits": _novelty(shown, interactions),
        "new_products_share": _share_of_new(shown, interactions),
        "repeats_share": _share_of_repeats(ranked, questions),
        "list_length": float((ranked >= 0).sum(axis=1).mean()) if len(ranked) else 0.0,
        "new_targets": _of_targets(ranked, questions, judged, repeated=False),
        "repeated_targets": _of_targets(ranked, questions, judged, repeated=True),
        "unknown_targets_share": float((questions.targets.values < 0).mean()) if len(questions.targets.values) else 0.0,
        "by_history_length": _by_length(questions, judged),
    }


def gini(counts: CountVector) -> float:
    """0 where all products are shown equally often, towards 1 where one takes all."""
    n, total = len(counts), int(counts.sum())
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * np.sort(counts)).sum() / (n * total))


def _novelty(shown: CountVector, interactions: Interactions) -> float:
    """The mean of -log2 of the share of a shown product in all interactions."""
    counts = np.bincount(interactions.product, minlength=len(shown))
    known = (shown > 0) & (counts > 0)
    if not known.any():
        return 0.0
    information = -np.log2(counts[known] / counts.sum())
    return float((information * shown[known]).sum() / shown[known].sum())


def _share_of_new(shown: CountVector, interactions: Interactions) -> float | None:
    """How much of what is shown came into the shop lately; None where nothing has an order in time."""
    time_s = interactions.time_s
    if not shown.sum() or not len(time_s) or time_s[0] == time_s[-1]:
        return None
    first = np.full(len(shown), np.iinfo(np.int64).max)
    np.minimum.at(first, interactions.product, time_s)
    since = time_s[int((1 - NEW_SHARE) * (len(time_s) - 1))]
    return float(shown[first > since].sum() / shown.sum())


def _of_targets(ranked: NDArray[np.int32], questions: Questions, judged: Judged, *, repeated: bool) -> dict[str, Any]:
    """The metrics with only those targets that are, or are not, in the history; over questions that have any."""
    targets, width = questions.targets, int(questions.products.values.max(initial=0)) + 1
    seen = np.unique(questions.products.owners() * width + questions.products.values)
    owner = targets.owners()
    is_repeated = np.isin(owner * width + targets.values, seen) & (targets.values >= 0) & (targets.values < width)
    some = targets.where(is_repeated == repeated)
    asked = some.sizes() > 0
    metrics = list(dict.fromkeys(name.split("@")[0] for name in judged))
    cutoffs = list(dict.fromkeys(int(name.split("@")[1]) for name in judged))
    return _summary(judge(ranked, some, metrics, cutoffs), asked)


def _by_length(questions: Questions, judged: Judged) -> list[dict[str, Any]]:
    sizes = questions.products.sizes()
    found = []
    for low, following in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        chosen = (sizes >= low) & (sizes < following if following is not None else True)
        if chosen.any():
            name = f"{low}+" if following is None else str(low) if following == low + 1 else f"{low}-{following - 1}"
            found.append({"length": name, **_summary(judged, chosen)})
    return found


def _summary(judged: Judged, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    n = int(chosen.sum())
    means = {name: float(values[chosen].mean()) for name, values in judged.items()} if n else {}
    return {"n": n, **means}


def _share_of_repeats(ranked: NDArray[np.int32], questions: Questions) -> float:
    """The share of shown products that the history already has."""
    shown = ranked >= 0
    among = is_among(ranked, questions.products.owners(), questions.products.values)
    return float(among.sum() / shown.sum()) if shown.any() else 0.0
