"""The metrics of ranked lists, for each question by itself.

Relevance is binary. Source: Järvelin, Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002), with
log2(position + 1) as discount and the best possible list as ideal; Manning, Raghavan, Schütze, "Introduction to
Information Retrieval" (2008), ch. 8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector
from recommender.evaluation.answering import is_among
from recommender.questions import Ragged

METRICS = ("hit_rate", "mrr", "recall", "precision", "ndcg", "phr")

Judged = dict[str, FloatVector]


def judge(ranked: NDArray[np.int32], targets: Ragged, metrics: Sequence[str], cutoffs: Sequence[int]) -> Judged:
    """Every metric at every cut-off, (n,) each, by names such as `ndcg@10`.

    `hit_rate` and `phr` (person-wise hit ratio): whether any target is in the list; `mrr`: one over the position of the
    first; `recall`: the share of the targets; `precision`: the share of the cut-off; `ndcg`: as above.
    Targets that nobody can rank count as missed. A question without targets scores 0.

    Args:
        ranked: (n, limit) rows, best first, -1 behind the last; `limit` is at least every cut-off.
        targets: n rows of different products, -1 for those that are not in the catalogue.
    """
    hits = is_among(ranked, targets.owners(), targets.values)
    wanted = targets.sizes()
    return {f"{metric}@{k}": _scores(metric, hits[:, :k], wanted, k) for metric in metrics for k in cutoffs}


def _scores(metric: str, hits: NDArray[np.bool_], wanted: CountVector, k: int) -> FloatVector:
    found: FloatVector = hits.sum(axis=1).astype(np.float64)
    if metric in ("hit_rate", "phr"):
        return np.minimum(found, 1.0)
    if metric == "mrr":
        return np.where(found > 0, 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)
    if metric == "recall":
        return found / np.maximum(wanted, 1)
    if metric == "precision":
        return found / k
    assert metric == "ndcg", metric
    discount = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.concatenate(([1.0], np.cumsum(discount)))[np.minimum(wanted, k)]
    gained: FloatVector = (hits * discount).sum(axis=1) / ideal
    return gained
