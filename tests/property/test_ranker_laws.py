"""Scores equal LightGBM's to the last bit; threads and orders change nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.kernels.choice import score_linear
from recommender.kernels.trees import score_trees
from recommender.ranker.configuration import LogitConfiguration, TreesConfiguration
from recommender.ranker.flattening import flatten
from recommender.ranker.logit import GRID, fit_logit
from recommender.ranker.trees import Fold, cross_fit
from tests.support.choices import reordered, simulated

WEIGHTS = np.array([1.0, -0.5, 0.25])
seeds = st.integers(0, 2**31 - 1)
ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-35, -1e-35, 2e-35, 1e-45, 3.4e38], np.float32)


@settings(max_examples=40)
@given(seeds, st.integers(2, 32), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 600))
def test_bits_give_what_lightgbm_predicts_to_the_last_bit(
    seed: int, leaves: int, trees: int, use_missing: bool, zero_as_missing: bool, rows: int
) -> None:
    random = np.random.default_rng(seed)
    features = _odd(random, 300)
    target = np.clip(np.nan_to_num(features[:, 0]), -5, 5) + features[:, 1:].argmax(1) + random.standard_normal(300)
    parameters = {
        "num_leaves": leaves,
        "min_data_in_leaf": 3,
        "use_missing": use_missing,
        "zero_as_missing": zero_as_missing,
        "num_threads": 1,
        "verbosity": -1,
    }
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, target), trees)
    asked = _odd(random, rows)
    score_trees(asked, out := np.empty(rows), flatten(booster.model_to_string()))
    if rows:
        assert np.array_equal(out, booster.predict(asked, raw_score=True))


def _odd(random: np.random.Generator, rows: int) -> np.ndarray:
    """Floats of which a fifth are values that comparisons trip over."""
    features = np.round(random.standard_normal((rows, 4)), 1).astype(np.float32)
    return np.where(random.random((rows, 4)) < 0.2, random.choice(ODD, (rows, 4)), features).astype(np.float32)


@settings(max_examples=30)
@given(seeds, st.integers(1, 60))
def test_the_order_of_queries_and_candidates_changes_no_weight(seed: int, queries: int) -> None:
    choices = simulated(WEIGHTS, queries, seed)
    plain, other = (fit_logit(each, LogitConfiguration()) for each in (choices, reordered(choices, seed)))
    spread = np.std(choices.features, axis=0)
    assert (np.abs(plain.weights - other.weights) * spread <= 8 / GRID).all()


def test_the_number_of_threads_changes_no_byte_of_a_logit() -> None:
    choices = simulated(WEIGHTS, 6_000)
    one, two = (fit_logit(choices, LogitConfiguration(), threads=threads) for threads in (1, 2))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert one.converged


def test_runs_beside_each_other_in_several_threads_change_no_byte_of_the_trees() -> None:
    folds = [Fold(simulated(WEIGHTS, 3_000, seed), simulated(WEIGHTS, 500, seed + 3)) for seed in range(3)]
    configuration = TreesConfiguration(trees_max=20, query_share=0.8, feature_share=0.7)
    with ThreadPoolExecutor(
        4
    ) as threads:  # more than there are cores: what is summed in turns is summed in another order
        first, *others = threads.map(lambda _: cross_fit(folds, configuration), range(12))
    for other in others:
        assert 1 < first.grown == other.grown
        for trees, again in zip(first.trees, other.trees, strict=True):
            assert all(array.tobytes() == same.tobytes() for array, same in zip(trees, again, strict=True))


@settings(max_examples=30)
@given(seeds, st.integers(0, 40))
def test_a_linear_score_is_the_sum_in_the_order_of_features(seed: int, rows: int) -> None:
    features = np.random.default_rng(seed).standard_normal((rows, 3)).astype(np.float32)
    score_linear(features, WEIGHTS, out := np.empty(rows))
    expected = [sum(float(value) * weight for value, weight in zip(row, WEIGHTS, strict=True)) for row in features]
    assert out.tolist() == expected
