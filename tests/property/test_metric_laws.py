"""Metrics against formulas written another way, and laws that hold for any lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.evaluation.metrics import METRICS, judge
from tests.support.questions import ragged

ROWS = 12
questions = st.lists(
    st.tuples(
        st.lists(st.integers(0, ROWS - 1), max_size=6, unique=True),
        st.tuples(st.sets(st.integers(0, ROWS - 1), max_size=5), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=8,
)


def one_by_one(metric: str, k: int, ranked: list[int], known: set[int], unknown: int) -> float:
    """A metric of one list, with loops and sets."""
    total, top = len(known) + unknown, ranked[:k]
    places = [place for place, product in enumerate(top, start=1) if product in known]
    if metric in ("hit_rate", "phr"):
        return 1.0 if places else 0.0
    if metric == "mrr":
        return 1 / places[0] if places else 0.0
    if metric == "recall":
        return len(places) / total if total else 0.0
    if metric == "precision":
        return len(places) / k
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(total, k) + 1))
    return sum(1 / math.log2(place + 1) for place in places) / ideal if ideal else 0.0


@given(questions, st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True))
def test_all_at_once_is_one_by_one(asked: list[tuple[list[int], tuple[set[int], int]]], cutoffs: list[int]) -> None:
    ranked = np.full((len(asked), 6), -1, np.int32)
    for at, (found, _) in enumerate(asked):
        ranked[at, : len(found)] = found
    targets = ragged([[*sorted(known), *[-1] * unknown] for _, (known, unknown) in asked])
    judged = judge(ranked, targets, METRICS, cutoffs)
    for metric in METRICS:
        for k in cutoffs:
            expected = [one_by_one(metric, k, found, known, unknown) for found, (known, unknown) in asked]
            assert judged[f"{metric}@{k}"] == pytest.approx(expected), metric


@given(questions)
def test_longer_lists_never_hit_less_and_no_metric_leaves_its_bounds(
    asked: list[tuple[list[int], tuple[set[int], int]]],
) -> None:
    ranked = np.full((len(asked), 6), -1, np.int32)
    for at, (found, _) in enumerate(asked):
        ranked[at, : len(found)] = found
    judged = judge(ranked, ragged([sorted(known) for _, (known, _) in asked]), METRICS, [2, 5])
    for metric in ("hit_rate", "mrr", "recall"):
        assert (judged[f"{metric}@2"] <= judged[f"{metric}@5"]).all()
    assert all((values >= 0).all() and (values <= 1 + 1e-12).all() for values in judged.values())
