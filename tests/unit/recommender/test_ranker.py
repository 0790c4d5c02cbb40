"""The ranker where the right answer is known, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError, UnusableChoices
from recommender.kernels.choice import score_linear
from recommender.kernels.trees import score_trees
from recommender.ranker.choices import Choices, check
from recommender.ranker.compare import ComparisonConfiguration, compare, query_values
from recommender.ranker.configuration import LogitConfiguration, TreesConfiguration
from recommender.ranker.flattening import flatten, float32_floor
from recommender.ranker.logit import fit_logit, problem_of
from recommender.ranker.trees import Fold, cross_fit, fit_trees
from tests.support.choices import simulated

WEIGHTS = np.array([1.0, -0.5, 0.25, 0.0])
FLAT = LogitConfiguration(l2=1e-6)
SMALL = TreesConfiguration(trees_max=15, leaves=6, rows_in_leaf_min=5, learning_rate=0.2)
TWO = Choices(np.eye(2, dtype=np.float32), np.array([0, 2]), np.array([1, 0], np.uint8))


def test_the_logit_recovers_known_weights_within_four_standard_errors() -> None:
    choices = simulated(WEIGHTS, queries=5_000)
    fit = fit_logit(choices, FLAT)
    with problem_of(choices, FLAT.l2, np.zeros(4), 1) as problem:
        information = problem.evaluate(fit.weights / problem.scale).hessian * 5_000
        errors = np.sqrt(np.diag(np.linalg.inv(information))) * problem.scale
    assert fit.converged
    assert (np.abs(fit.weights - WEIGHTS) < 4 * errors).all()
    assert (errors < 0.03).all()


def test_gradient_and_hessian_are_those_of_finite_differences() -> None:
    choices = simulated(WEIGHTS, queries=30)
    choices.label[:7] = 1  # several positives in a query count too
    choices = choices._replace(weight=np.linspace(0, 3, 30).astype(np.float32))
    beta, small = np.array([0.3, 0.2, -0.7, 0.1]), 1e-5
    with problem_of(choices, 2.0, np.array([0.5, 0.0, 0.0, 1.0]), 1) as problem:
        at = problem.evaluate(beta)
        for feature in range(4):
            apart = np.eye(4)[feature] * small
            above, below = problem.evaluate(beta + apart), problem.evaluate(beta - apart)
            assert (above.loss - below.loss) / (2 * small) == pytest.approx(at.gradient[feature], abs=1e-8)
            assert (above.gradient - below.gradient) / (2 * small) == pytest.approx(at.hessian[feature], abs=1e-8)


def test_one_choice_between_two_gives_the_weights_worked_out_by_hand() -> None:
    # Both features differ by 1, so each spread is 1/2; by symmetry b = -c, and l2 b = 2 / (1 + exp(4 b)).
    b = fit_logit(TWO, LogitConfiguration(l2=1.0)).weights / 2
    assert b[0] == -b[1]
    assert b[0] == pytest.approx(2 / (1 + np.exp(4 * b[0])), abs=4e-6)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_choices_that_say_nothing_leave_the_prior_and_grow_no_trees(labels: list[int]) -> None:
    silent = TWO._replace(label=np.array(labels, np.uint8))
    prior = np.array([2.0, 3.0])
    assert fit_logit(silent, FLAT, prior).weights.tolist() == [2.0, 3.0]
    fit = fit_trees(silent, 15, SMALL)
    score_trees(TWO.features, out := np.ones(2), fit.trees)
    assert (fit.grown, out.tolist()) == (0, [0.0, 0.0])


def test_no_queries_and_single_candidates_leave_the_prior() -> None:
    none = Choices(np.empty((0, 2), np.float32), np.zeros(1, np.int64), np.empty(0, np.uint8))
    single = Choices(np.ones((1, 2), np.float32), np.array([0, 1]), np.ones(1, np.uint8))
    for choices in (none, single):
        assert fit_logit(choices, FLAT, np.array([2.0, 3.0])).weights.tolist() == [2.0, 3.0]
        assert fit_trees(choices, 15, SMALL).grown == 0
        assert cross_fit([Fold(TWO, choices), Fold(choices, TWO)], SMALL).grown == 0


def test_a_feature_that_never_varies_within_a_query_keeps_its_prior() -> None:
    choices = simulated(WEIGHTS)
    choices.features[:, 3] = np.repeat(np.arange(400) * 0.1, np.diff(choices.start))
    fit = fit_logit(choices, FLAT, np.array([0.0, 0.0, 0.0, 0.125]))
    assert fit.weights[3] == 0.125
    assert fit.weights[0] == pytest.approx(1.0, abs=0.4)


def test_the_scale_of_a_feature_does_not_matter_however_large_or_small() -> None:
    choices = simulated(WEIGHTS)
    plain = fit_logit(choices, LogitConfiguration())
    scale = np.array([2.0**100, 2.0**-100, 1.0, 1.0])
    huge = fit_logit(choices._replace(features=choices.features * scale.astype(np.float32)), LogitConfiguration())
    assert (huge.weights * scale).tolist() == plain.weights.tolist()


def test_queries_without_a_positive_and_of_no_weight_change_nothing() -> None:
    choices = simulated(WEIGHTS)
    weight = np.ones(400, np.float32)
    weight[:50] = 0
    zero = fit_logit(choices._replace(weight=weight), FLAT)
    choices.label[: choices.start[50]] = 0
    assert fit_logit(choices, FLAT).weights.tolist() == zero.weights.tolist()
    assert zero.queries == 350


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_no_number_is_refused_with_its_place(value: float) -> None:
    choices = simulated(WEIGHTS)
    choices.features[17, 2] = value
    for fit in (lambda: fit_logit(choices, FLAT), lambda: fit_trees(choices, 15, SMALL)):
        with pytest.raises(UnusableChoices, match="feature 2 of row 17"):
            fit()


@pytest.mark.parametrize(
    "broken",
    [
        TWO._replace(features=np.eye(2)),
        TWO._replace(features=np.asfortranarray(np.ones((2, 2), np.float32))),
        TWO._replace(start=np.array([0, 1])),
        TWO._replace(start=np.array([0, 2, 1, 2])),
        TWO._replace(label=np.array([2, 0], np.uint8)),
        TWO._replace(weight=np.array([-1], np.float32)),
        TWO._replace(features=np.ones((2, 129), np.float32)),
    ],
)
def test_choices_that_do_not_fit_together_are_refused(broken: Choices) -> None:
    with pytest.raises(UnusableChoices):
        check(broken)


def test_settings_out_of_range_are_refused() -> None:
    for make in (lambda: LogitConfiguration(l2=0), lambda: TreesConfiguration(leaves=33)):
        with pytest.raises(ConfigurationError):
            make()


def test_trees_that_bits_cannot_hold_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="33 leaves"):
        flatten("Tree=0\nnum_leaves=33\nend of trees")
    with pytest.raises(ConfigurationError, match="several trees"):
        flatten("num_tree_per_iteration=3\nend of trees")


def test_rounding_thresholds_down_keeps_every_comparison_of_float32() -> None:
    thresholds = np.array([0.1, -0.1, 1e-46, -1e-46, 1e300, -1e300, 3.0])
    rounded = float32_floor(thresholds)
    with np.errstate(over="ignore"):
        values = np.concatenate((rounded, np.nextafter(rounded, np.float32(np.inf)), np.float32([0.0])))
    for threshold, below in zip(thresholds, rounded, strict=True):
        assert ((values <= below) == (values.astype(np.float64) <= threshold)).all()


def test_trees_learn_what_a_weighted_sum_cannot_and_are_chosen_for_it() -> None:
    choices, held = (_crossed(seed) for seed in (1, 2))
    trees, logit = fit_trees(choices, 15, SMALL), fit_logit(choices, LogitConfiguration())
    by_trees, by_logit = np.empty(len(held.label)), np.empty(len(held.label))
    score_trees(held.features, by_trees, trees.trees)
    score_linear(held.features, logit.weights, by_logit)
    comparison = compare(held, {"logit": by_logit, "trees": by_trees}, ComparisonConfiguration())
    assert comparison.chosen == "trees"
    assert comparison.challenges[0].low > 0.1


def test_there_are_as_many_trees_as_order_best_what_no_fold_grew_on() -> None:
    """Counted again by growing each number of them."""
    parts = [simulated(WEIGHTS, seed=seed) for seed in (1, 2, 3)]
    folds = [Fold(parts[at], parts[at - 1]) for at in range(3)]
    configuration = TreesConfiguration(trees_max=40, leaves=6, rows_in_leaf_min=5, learning_rate=0.3, patience=40)
    figures = ComparisonConfiguration(metric="ndcg", at=configuration.evaluated_at)

    def mean(count: int) -> float:
        values = []
        for fit, held, _ in folds:
            score_trees(held.features, scores := np.empty(len(held.label)), fit_trees(fit, count, configuration).trees)
            values.append(query_values(held, scores, figures).mean())
        return float(np.mean(values))

    found = cross_fit(folds, configuration)
    means = [mean(count) for count in range(1, 41)]
    assert 1 < found.grown < 40
    assert means[found.grown - 1] == pytest.approx(max(means), abs=1e-9)
    for (fit, _, _), trees in zip(folds, found.trees, strict=True):
        alone = fit_trees(fit, found.grown, configuration).trees
        assert [array.tobytes() for array in trees] == [array.tobytes() for array in alone]


def _crossed(seed: int) -> Choices:
    choices = simulated(np.zeros(2), queries=600, seed=seed)
    choices.label[:] = 0
    product = choices.features[:, 0] * choices.features[:, 1]
    for first, last in zip(choices.start[:-1], choices.start[1:], strict=True):
        choices.label[first + np.argmax(product[first:last])] = 1
    return choices


def test_a_ranker_that_is_no_better_than_noise_is_not_taken() -> None:
    held = simulated(WEIGHTS)
    scores = held.features @ WEIGHTS
    noisy = scores + np.random.default_rng(1).standard_normal(len(scores)) * 0.01
    comparison = compare(held, {"blend": scores, "noisy": noisy}, ComparisonConfiguration())
    assert comparison.chosen == "blend"
    assert comparison.challenges[0].low <= 0 <= comparison.challenges[0].high
    assert comparison == compare(held, {"blend": scores, "noisy": noisy}, ComparisonConfiguration())


def test_metrics_are_those_worked_out_by_hand() -> None:
    labels = np.array([0, 1, 1, 0, 1, 0, 0], np.uint8)
    held = Choices(np.zeros((7, 1), np.float32), np.array([0, 4, 6, 7]), labels)
    scores = np.array([4.0, 3, 1, 2, 5, 5, 0])
    mrr = query_values(held, scores, ComparisonConfiguration("mrr", 3))
    assert mrr.tolist() == [1 / 2, 1 / 1.5, 0.0]
    ndcg = query_values(held, scores, ComparisonConfiguration("ndcg", 3))
    best = 1 + 1 / np.log2(3)
    assert ndcg == pytest.approx([(1 / np.log2(3)) / best, 1 / np.log2(2.5), 0.0])
    assert compare(held, {"one": scores}, ComparisonConfiguration()).left_out == 1


def test_nothing_to_judge_by_keeps_the_simplest() -> None:
    held = TWO._replace(label=np.zeros(2, np.uint8))
    comparison = compare(held, {"blend": np.zeros(2), "logit": np.ones(2)}, ComparisonConfiguration())
    assert (comparison.chosen, comparison.queries) == ("blend", 0)
