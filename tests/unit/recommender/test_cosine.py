"""The item-item build on shops of which every list is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from recommender.models.cosine import WEIGHT_MAX, Neighbours, nearest

COSINE = (0.5, 0.5, 0.0)


def lists_of(groups: list[list[int]], products: int, kept: int = 10, **more: Any) -> list[list[tuple[int, float]]]:
    """Each product's partners with their scores."""
    weight = more.pop("weight", None)
    exponents = more.pop("exponents", COSINE)
    start = np.concatenate(([0], np.cumsum([len(group) for group in groups]))).astype(np.int64)
    product = np.array([each for group in groups for each in group], np.int32)
    return shown(nearest(start, product, weight, products, exponents, kept, **more))


def shown(found: Neighbours) -> list[list[tuple[int, float]]]:
    """Rows of a result."""
    bounds = zip(found.start[:-1], found.start[1:], strict=True)
    pairs = [
        (int(row), round(float(score), 5)) for row, score in zip(found.row.tolist(), found.score.tolist(), strict=True)
    ]
    return [pairs[first:last] for first, last in bounds]


def test_a_partner_is_worth_its_cosine() -> None:
    assert lists_of([[0, 1], [0, 1], [0, 2], [0]], 3) == [
        [(1, 0.70711), (2, 0.5)],
        [(0, 0.70711)],
        [(0, 0.5)],
    ]


def test_equal_scores_are_in_order_of_rows_and_cut_there() -> None:
    assert lists_of([[4, 2, 0, 3, 1]], 5, kept=2) == [
        [(1, 1.0), (2, 1.0)],
        [(0, 1.0), (2, 1.0)],
        [(0, 1.0), (1, 1.0)],
        [(0, 1.0), (1, 1.0)],
        [(0, 1.0), (1, 1.0)],
    ]


def test_weights_count_as_in_the_cosine_of_vectors() -> None:
    weight = np.array([3.0, 4.0, 4.0], np.float32)
    assert lists_of([[0, 1], [0]], 2, weight=weight) == [[(1, 0.6)], [(0, 0.6)]]


def test_large_groups_say_less_when_asked_to() -> None:
    found = lists_of([[0, 1, 2, 3], [0, 3]], 4, exponents=(0.0, 0.0, 1.0))
    assert found[0] == [(3, 0.75), (1, 0.25), (2, 0.25)]


def test_exponents_of_seed_and_partner_are_not_mixed_up() -> None:
    groups = [[0, 1], [0], [0], [0]]
    assert lists_of(groups, 2, exponents=(1.0, 0.0, 0.0)) == [[(1, 0.25)], [(0, 1.0)]]
    assert lists_of(groups, 2, exponents=(0.0, 1.0, 0.0)) == [[(1, 1.0)], [(0, 0.25)]]


def test_only_the_newest_of_a_group_count_within_a_limit() -> None:
    assert lists_of([[0, 1, 2], [2]], 3, limit=2) == [[], [(2, 0.70711)], [(1, 0.70711)]]


@pytest.mark.parametrize("groups", [[], [[]], [[], [0], []]])
def test_a_shop_of_one_product_or_of_nothing_has_no_partners(groups: list[list[int]]) -> None:
    assert lists_of(groups, 1) == [[]]


def test_no_products_at_all_are_no_rows() -> None:
    assert lists_of([], 0) == []


@pytest.mark.parametrize("groups", [254, 255, 256, 257, 65_535, 65_536, 65_537])
def test_counts_beyond_a_narrow_counter_are_right(groups: int) -> None:
    start = np.arange(groups + 1, dtype=np.int64) * 2
    product = np.tile(np.array([0, 1], np.int32), groups)
    assert shown(nearest(start, product, None, 2, (0.0, 0.0, 0.0), 5)) == [[(1, groups)], [(0, groups)]]


@pytest.mark.parametrize("weighed", [False, True])
def test_far_more_partners_than_are_kept_leave_the_best(weighed: bool) -> None:
    random = np.random.default_rng(3)
    groups = [random.permutation(500)[:60] for _ in range(400)]
    matrix = np.zeros((400, 500))
    for place, group in enumerate(groups):
        matrix[place, group] = 1.0
    weight = np.ones(400 * 60, np.float32) if weighed else None
    found = lists_of([group.tolist() for group in groups], 500, 7, weight=weight)
    length = np.sqrt(matrix.sum(axis=0))
    exact = (matrix.T @ matrix) / length / length[:, None]
    np.fill_diagonal(exact, 0.0)
    for row, partners in enumerate(found):
        np.testing.assert_allclose([score for _, score in partners], np.sort(exact[row])[::-1][:7], atol=2e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": [0, 3]}, "groups_start"),
        ({"start": [0, 2, 1, 2]}, "groups_start"),
        ({"start": []}, "groups_start"),
        ({"product": [0, 2]}, "rows must be 0..1"),
        ({"product": [-1, 1]}, "rows must be 0..1"),
        ({"product": [1, 1]}, "twice"),
        ({"weight": [1.0]}, "weights"),
        ({"weight": [1.0, -1.0]}, "weights"),
        ({"weight": [1.0, float("nan")]}, "weights"),
        ({"weight": [1.0, 2 * WEIGHT_MAX]}, "weights"),
        ({"exponents": (0.5, 0.3, 0.0)}, "eighths"),
        ({"exponents": (0.5, 0.5, -1.0)}, "eighths"),
        ({"kept": 0}, "kept"),
        ({"threads": 0}, "threads"),
        ({"limit": 0}, "limit"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_name(changes: dict[str, Any], said: str) -> None:
    asked = {"start": [0, 2], "product": [0, 1], "weight": None, "exponents": COSINE, "kept": 5} | changes
    weight = asked["weight"] if asked["weight"] is None else np.array(asked["weight"], np.float32)
    start, product = np.array(asked["start"], np.int64), np.array(asked["product"], np.int32)
    with pytest.raises(ConfigurationError, match=said):
        nearest(
            start, product, weight, 2, asked["exponents"], asked["kept"], asked.get("threads", 1), changes.get("limit")
        )
