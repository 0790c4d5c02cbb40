"""LambdaMART: boosted trees that learn which of a request's candidates to put above which, by correcting a logit.

Source: Burges (2010), From RankNet to LambdaRank to LambdaMART; Ke et al. (2017), LightGBM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.vocabulary.ranking import FloatVector
from recommender.kernels.choice import score_linear
from recommender.kernels.trees import Trees
from recommender.ranker.choices import Choices, check, only, telling
from recommender.ranker.configuration import TreesConfiguration
from recommender.ranker.flattening import NO_TREES, flatten

if TYPE_CHECKING:
    import lightgbm

_THREADS = 1  # said with every data set too: one that says nothing has LightGBM use all, for boosters there are as well


class TreesFit(NamedTuple):
    """The trees, and how they were found.

    Attributes:
        queries: how many had something to say; grown: how many trees there are.
    """

    trees: Trees
    queries: int
    grown: int


class Fold(NamedTuple):
    """Choices that trees grow on, and others that judge them.

    Attributes:
        weights: (features,) of a logit whose scores the trees correct: theirs are added to its. None for 0 throughout.
    """

    fit: Choices
    held: Choices
    weights: FloatVector | None = None


class Crossed(NamedTuple):
    """How many trees order best what they did not grow on, and so many of each fold."""

    grown: int
    trees: list[Trees]


def fit_trees(
    choices: Choices, count: int, configuration: TreesConfiguration, weights: FloatVector | None = None
) -> TreesFit:
    """Grow a number of trees on choices.

    Args:
        count: of trees at most: there are fewer if nothing is left to split.
        weights: see `Fold`.

    Guarantees: the same arrays on a second run, for one build of LightGBM. One thread only: with two, LightGBM's leaf
    values differ in their last bits, `deterministic` or not. Choices that say nothing give no trees, which score all 0.

    Raises:
        UnusableChoices: see `check`.
    Cost: some 0.3 µs a row and tree of 15 leaves with 40 features; memory
    beside the choices: a byte a feature and row, 40 bytes a row, and a copy of what remains if any query is left out.
    """
    import lightgbm  # what answers never waits for what only training needs

    check(choices)
    learning = only(choices, telling(choices))
    if not learning.queries or not count:
        return TreesFit(flatten(NO_TREES), learning.queries, 0)
    booster = lightgbm.train(_parameters(configuration), _dataset(learning, weights, configuration), count)
    return TreesFit(flatten(booster.model_to_string()), learning.queries, booster.num_trees())


def cross_fit(folds: Sequence[Fold], configuration: TreesConfiguration) -> Crossed:
    """Grow trees on all folds at once, as many as order best what each did not grow on: the mean of NDCG over folds.

    The mean of several curves is flat where each of them is noise: one fold's best number is 2 or 200 by chance.
    Growing ends when `patience` further trees did not improve the mean. Of folds that say nothing: no trees.

    Source: Breiman et al. (1984), Classification and Regression Trees, 8.5 (size by cross-validation).

    Guarantees: see `fit_trees`.

    Raises:
        UnusableChoices: see `check`.
    Cost: see `fit_trees`, for each fold.
    """
    growing = [each for each in map(_begun(configuration), folds) if each is not None]
    if len(growing) < len(folds):
        return Crossed(0, [flatten(NO_TREES)] * len(folds))
    means: list[float] = []
    best = 0  # index of the best mean: one tree less than it has
    while len(means) < configuration.trees_max and len(means) - best <= configuration.patience:
        means.append(float(np.mean([_one_more(booster) for booster in growing])))
        best = int(np.argmax(means))
    return Crossed(best + 1, [flatten(booster.model_to_string(num_iteration=best + 1)) for booster in growing])


def _begun(configuration: TreesConfiguration) -> Callable[[Fold], lightgbm.Booster | None]:
    import lightgbm

    def begun(fold: Fold) -> lightgbm.Booster | None:
        check(fold.fit)
        check(fold.held)
        assert fold.fit.features.shape[1] == fold.held.features.shape[1]
        learning, judging = (only(each, telling(each)) for each in (fold.fit, fold.held))
        if not learning.queries or not judging.queries:
            return None
        train = _dataset(learning, fold.weights, configuration)
        booster = lightgbm.Booster(_parameters(configuration), train)
        return booster.add_valid(_dataset(judging, fold.weights, configuration, train), "held")

    return begun


def _one_more(booster: lightgbm.Booster) -> float:
    """Grow a tree; NDCG of what is held."""
    booster.update()
    _, _, ndcg, *_ = booster.eval_valid()[0]
    return float(ndcg)


def _dataset(
    choices: Choices,
    weights: FloatVector | None,
    configuration: TreesConfiguration,
    reference: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    import lightgbm

    sizes, score = np.diff(choices.start), None
    if weights is not None:
        score_linear(choices.features, weights, score := np.empty(len(choices.features)))
    return lightgbm.Dataset(
        choices.features,
        choices.label,
        group=sizes,
        weight=None if choices.weight is None else np.repeat(choices.weight, sizes),
        init_score=score,
        reference=reference,
        params={"verbosity": -1, "max_bin": configuration.bins, "num_threads": _THREADS},
        feature_name=[f"f{feature}" for feature in range(choices.features.shape[1])],
    )


def _parameters(configuration: TreesConfiguration) -> dict[str, object]:
    """LightGBM's names for the configuration, with all that makes it repeat itself."""
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [configuration.evaluated_at],
        "lambdarank_truncation_level": configuration.truncation,
        "num_leaves": configuration.leaves,
        "learning_rate": configuration.learning_rate,
        "min_data_in_leaf": configuration.rows_in_leaf_min,
        "lambda_l2": configuration.l2,
        "feature_fraction": configuration.feature_share,
        "bagging_fraction": configuration.query_share,
        "bagging_freq": int(configuration.query_share < 1),
        "bagging_by_query": configuration.query_share < 1,
        "seed": configuration.seed,
        "num_threads": _THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
