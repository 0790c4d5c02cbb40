"""Steps, walks, EASE and factors against what a few lines of Python or a dense matrix make of the definition."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from itertools import product as pairs

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from ingest.vocabulary.ranking import FloatVector, IntVector
from recommender.histories import Histories, distinct, histories_of, postings_of
from recommender.kernels.folding import fold_in
from recommender.models.ease import ease
from recommender.models.factors import Factors, FactorsConfiguration, fit_factors
from recommender.models.neighbours import Neighbours, nothing
from recommender.models.steps import StepsConfiguration, half_life_table, powers, steps, walk
from tests.support.browsing import histories, rows_of, shop_of

Lists = dict[int, dict[int, float]]


def as_dicts(found: Neighbours) -> Lists:
    ends = found.start.tolist()
    return {
        row: dict(zip(found.row[begin:end].tolist(), found.score[begin:end].tolist(), strict=True))
        for row, (begin, end) in enumerate(pairwise(ends))
        if end > begin
    }


def recounted(told: Histories, by: StepsConfiguration) -> Lists:
    """All pairs of entries of a history, weighed by the definition."""
    table, step_s = half_life_table(by.half_life_s)
    spread = np.maximum(np.bincount(told.product, minlength=told.products), 1.0) ** -by.spread
    recency = np.linspace(by.recency, 1.0, len(told))
    total: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for unit in range(len(told)):
        begin, end = told.start[unit : unit + 2].tolist()
        for one, other in pairs(range(begin, end), repeat=2):
            here, there, ahead = int(told.product[one]), int(told.product[other]), other - one
            if here == there or not 0 < abs(ahead) <= by.window:
                continue
            age = 0 if not step_s else abs(int(told.time_s[other] - told.time_s[one])) // step_s
            weight = by.decay ** (abs(ahead) - 1) * (1.0 if ahead > 0 else by.back) * recency[unit]
            weight *= float(table[age]) if age < len(table) else 0.0
            total[here][there] += weight * (end - begin) ** -by.damping * spread[here] * spread[there]
    return {here: {there: value for there, value in each.items() if value > 0} for here, each in total.items()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "configuration",
    [
        StepsConfiguration(),
        StepsConfiguration(window=3, back=0.5, decay=0.5, spread=0.25),
        StepsConfiguration(window=50, back=1.0, decay=1.0, half_life_s=400, damping=0.5, recency=0.2),
        StepsConfiguration(recency=0.0, half_life_s=1),
    ],
)
def test_steps_are_a_recount_of_all_pairs_in_histories(seed: int, configuration: StepsConfiguration) -> None:
    told = histories_of(shop_of(rows_of(seed, 20, 8), 8), 3000)
    found = as_dicts(steps(told, postings_of(told), configuration))
    expected = {here: each for here, each in recounted(told, configuration).items() if each}
    assert {here: set(each) for here, each in found.items()} == {here: set(each) for here, each in expected.items()}
    for here, each in found.items():
        assert each == pytest.approx(expected[here], rel=1e-4)
        assert list(each.values()) == sorted(each.values(), reverse=True)


def test_of_equal_steps_the_smaller_rows_stay() -> None:
    told = histories("ad", "ac", "ab")
    found = steps(told, postings_of(told), StepsConfiguration(kept=2))
    assert as_dicts(found) == {0: {1: 1.0, 2: 1.0}}


def test_weights_that_vanish_are_no_neighbours() -> None:
    told = histories("abc")
    assert as_dicts(steps(told, postings_of(told), StepsConfiguration(decay=1e-30, window=3))) == {
        0: {1: 1.0, 2: pytest.approx(1e-30)},
        1: {2: 1.0},
    }
    assert as_dicts(steps(told, postings_of(told), StepsConfiguration(decay=1e-50, window=3))) == {
        0: {1: 1.0},
        1: {2: 1.0},
    }
    assert not as_dicts(steps(told, postings_of(told), StepsConfiguration(recency=0.0)))


def test_only_the_wanted_rows_are_worked_out_and_threads_change_no_byte() -> None:
    told = histories_of(shop_of(rows_of(5, 30, 9), 9), 3000)
    all_of, postings = steps(told, postings_of(told), StepsConfiguration()), postings_of(told)
    some = as_dicts(steps(told, postings, StepsConfiguration(), wanted=np.array([2, 5], np.int32)))
    assert some == {here: each for here, each in as_dicts(all_of).items() if here in (2, 5)}
    again = steps(told, postings, StepsConfiguration(), threads=2)
    assert [part.tobytes() for part in again] == [part.tobytes() for part in all_of]
    assert not len(steps(told, postings, StepsConfiguration(), wanted=np.zeros(0, np.int32)).row)


@pytest.mark.parametrize("width", [1, 2, 9])
def test_two_steps_multiply_the_shares_of_both(width: int) -> None:
    told = histories_of(shop_of(rows_of(6, 30, 9), 9), 3000)
    first = steps(told, postings_of(told), StepsConfiguration())
    lists = as_dicts(first)
    cut = {here: dict(list(each.items())[:width]) for here, each in lists.items()}
    expected: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for here, each in cut.items():
        for middle, value in each.items():
            onward = cut.get(middle, {})
            for there, further in onward.items():
                if there != here:
                    expected[here][there] += value / sum(each.values()) * further / sum(onward.values())
    found = as_dicts(walk(first, first, width, 9))
    assert found.keys() == expected.keys()
    for here, each in found.items():
        assert each == pytest.approx(expected[here], rel=1e-4)
    assert not as_dicts(walk(nothing(9), first, width, 9))


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_ease_is_the_closed_form(damping: float) -> None:
    told = distinct(histories_of(shop_of(rows_of(7, 40, 8), 9), None))  # one product is in no history
    dense = np.zeros((len(told), 9))
    dense[told.unit, told.product] = 1.0
    weight = np.maximum(dense.sum(axis=1), 1.0) ** -damping
    inverse = np.linalg.inv(dense.T @ (weight[:, None] * dense) + 3.0 * np.eye(9))
    expected = -inverse / np.diag(inverse)
    found = as_dicts(ease(told, 3.0, 4, damping))
    assert 8 not in found
    for here in range(9):
        best = [other for other in np.argsort(-expected[here]) if other != here and expected[here, other] > 1e-9][:4]
        assert list(found.get(here, {})) == best
        assert [found[here][other] for other in best] == pytest.approx(expected[here, best], rel=1e-6)


def test_ease_of_nobody_has_no_neighbours() -> None:
    assert not as_dicts(ease(histories(products=3), 1.0, 5))


FACTORS = FactorsConfiguration(factors=6, regularization=0.5, alpha=4.0, iterations=5)


def folded(taken: IntVector, factors: Factors) -> FloatVector:
    """What a history says of every product, but for a factor."""
    most, width = len(taken), factors.folding.shape[1]
    person = np.zeros(width, np.float32)
    fold_in(taken, most, factors.folding.reshape(-1), np.zeros((most, most)), np.zeros(most), person)
    return factors.folding.astype(np.float64) @ person


def test_somebody_who_is_folded_in_wants_what_implicit_says_a_user_wants() -> None:
    told = distinct(histories_of(shop_of(rows_of(8, 40, 9), 10), None))
    factors = fit_factors(told, FACTORS)
    matrix = sparse.csr_matrix((np.ones(len(told.product), np.float32), told.product, told.start), (len(told), 10))
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=6, regularization=0.5, alpha=5.0, iterations=5, random_state=1, num_threads=1, use_gpu=False
        )
    model.item_factors = factors.product
    for user in range(0, len(told), 7):
        own = told.product[told.start[user] : told.start[user + 1]]
        expected = factors.product @ model.recalculate_user(user, matrix[user])
        assert folded(own, factors) * 5.0 / 4.0 == pytest.approx(expected, rel=2e-3, abs=4e-4)
    assert not factors.product[9].any(), "nobody took it"
    assert factors.product[:9].any(axis=1).all()
    assert [part.tobytes() for part in fit_factors(told, FACTORS)] == [part.tobytes() for part in factors]


def test_factors_of_nobody_are_zero_and_of_too_many_are_those_of_the_newest() -> None:
    nobody = fit_factors(histories(products=3), FACTORS)
    assert not nobody.product.any()
    assert not folded(np.array([1], np.int32), nobody).any()
    told = histories("ab", "bc", "cd", products=5)
    newest = FactorsConfiguration(factors=2, regularization=0.5, alpha=4.0, entries_max=5)
    assert fit_factors(told, newest).product.any(axis=1).tolist() == [False, True, True, True, False]


def test_half_lives_and_powers_are_what_they_say() -> None:
    table, step_s = half_life_table(800)
    assert (float(table[8]), float(table[16]), step_s) == (pytest.approx(0.5), pytest.approx(0.25), 100)
    assert half_life_table(0)[1] == 0
    assert powers(0.5, 3).tolist() == [1.0, 0.5, 0.25]
