"""Metrics, intervals and what lies beyond accuracy, on lists small enough to count by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from recommender.evaluation.beyond import beyond, gini
from recommender.evaluation.bootstrap import RESAMPLES, differences, intervals
from recommender.evaluation.metrics import METRICS, judge
from recommender.interactions import VIEW
from recommender.questions import Asking
from tests.support.questions import ragged, task_of

LISTS = np.array([[4, 2, 7, 1], [3, 5, -1, -1], [-1, -1, -1, -1], [9, 8, 6, 5]], np.int32)
TARGETS = ragged([[2, 1], [3], [1], [-1, 5, 7]])
HALF, THIRD = 1 / math.log2(3), 1 / math.log2(4)  # discounts of positions 2 and 3
LAST = 1 / math.log2(5)
TRIALS = 60


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("hit_rate@4", [1, 1, 0, 1]),
        ("hit_rate@1", [0, 1, 0, 0]),
        ("phr@2", [1, 1, 0, 0]),
        ("mrr@4", [1 / 2, 1, 0, 1 / 4]),
        ("mrr@3", [1 / 2, 1, 0, 0]),
        ("recall@4", [1, 1, 0, 1 / 3]),
        ("recall@2", [1 / 2, 1, 0, 0]),
        ("precision@4", [2 / 4, 1 / 4, 0, 1 / 4]),
        ("ndcg@4", [(HALF + LAST) / (1 + HALF), 1, 0, LAST / (1 + HALF + THIRD)]),
        ("ndcg@2", [HALF / (1 + HALF), 1, 0, 0]),
        ("ndcg@1", [0, 1, 0, 0]),
    ],
)
def test_metrics_are_those_that_were_counted_by_hand(name: str, by_hand: list[float]) -> None:
    metric, _, cutoff = name.partition("@")
    assert judge(LISTS, TARGETS, [metric], [int(cutoff)])[name] == pytest.approx(by_hand)


def test_questions_without_a_target_or_without_anything_score_nothing() -> None:
    assert [judge(LISTS[:1], ragged([[]]), [metric], [4])[f"{metric}@4"].tolist() for metric in METRICS] == [[0]] * 6
    assert judge(LISTS[:0], ragged([]), ["ndcg"], [4])["ndcg@4"].shape == (0,)


def test_the_gini_index_is_0_for_equals_and_grows_with_inequality() -> None:
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    assert gini(np.array([1, 3])) == pytest.approx(1 / 4)
    assert gini(np.zeros(3, np.int64)) == 0


def test_intervals_are_the_same_for_a_seed_and_others_for_another() -> None:
    judged = {"hit_rate@1": (np.arange(200) % 3 == 0).astype(float)}
    assert intervals(judged, 1) == intervals(judged, 1)
    assert intervals(judged, 1) != intervals(judged, 2)
    low, high = intervals(judged, 1)["hit_rate@1"]
    assert low < 67 / 200 < high


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random, truth, held = np.random.default_rng(7), 0.3, 0
    for trial in range(TRIALS):
        low, high = intervals({"m": (random.random(150) < truth).astype(float)}, trial)["m"]
        held += low <= truth <= high
    assert held / TRIALS >= 0.85


def test_one_question_or_none_has_an_interval_that_is_a_point() -> None:
    assert intervals({"m": np.array([0.5])}, 0)["m"] == (0.5, 0.5)
    assert intervals({"m": np.zeros(0)}, 0)["m"] == (0.0, 0.0)


def test_a_difference_that_is_none_is_not_significant_and_a_large_one_is() -> None:
    random = np.random.default_rng(3)
    first = random.random(500)
    noise = random.normal(0, 0.1, 500)
    same = differences({"m": first}, {"m": first}, 0)["m"]
    assert (same.difference, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)
    better = differences({"m": first}, {"m": first + 0.2 + noise}, 0)["m"]
    assert better.p_value == pytest.approx(1 / (RESAMPLES + 1))
    assert better.interval[0] < better.difference < better.interval[1]
    assert better.interval[0] > 0


def test_a_test_without_a_cause_finds_one_about_as_rarely_as_it_says() -> None:
    random = np.random.default_rng(11)
    found = [
        differences({"m": random.random(100)}, {"m": random.random(100)}, trial)["m"].p_value < 0.05
        for trial in range(TRIALS)
    ]
    assert 0.0 < np.mean(found) <= 0.15


def test_new_and_repeated_targets_and_lengths_of_history_are_told_apart(tmp_path: Path) -> None:
    interactions = task_of(tmp_path, "next-item", train="a a a a\nb b b\nc c\nd\n", test="a\tb\n").interactions
    asking, ranked = Asking("next_item"), np.array([[0, 1], [0, 1], [2, -1]], np.int32)
    asking.add([(0, 0, VIEW)], [1])
    asking.add([(0, 0, VIEW), (1, 1, VIEW)], [0, 2])
    asking.add([], [-1])
    questions = asking.questions()
    judged = judge(ranked, questions.targets, ["hit_rate"], [2])
    found = beyond(ranked, questions, interactions, judged)
    assert found["repeated_targets"] == {"n": 1, "hit_rate@2": 1.0}
    assert found["new_targets"] == {"n": 3, "hit_rate@2": pytest.approx(1 / 3)}
    assert found["unknown_targets_share"] == 1 / 4
    assert found["by_history_length"] == [
        {"length": "0", "n": 1, "hit_rate@2": 0.0},
        {"length": "1", "n": 1, "hit_rate@2": 1.0},
        {"length": "2", "n": 1, "hit_rate@2": 1.0},
    ]
    assert found["coverage"] == 3 / 4
    assert found["list_length"] == pytest.approx(5 / 3)
    assert found["repeats_share"] == pytest.approx(3 / 5)
    assert found["gini"] == pytest.approx(gini(np.array([2, 2, 1, 0])))
    # Of ten interactions a has 4, b 3, c 2, d 1; shown are a twice, b twice, c once.
    expected = -(2 * math.log2(0.4) + 2 * math.log2(0.3) + math.log2(0.2)) / 5
    assert found["novelty_bits"] == pytest.approx(expected)
    assert found["new_products_share"] == pytest.approx(0)
