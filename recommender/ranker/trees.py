"""LambdaMART: boosted trees that learn which of a request's candidates to put above which, by correcting a logit.

Source: Burges (2010), From RankNet to LambdaRank to LambdaMART; Ke et al. (2017), LightGBM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ingest.vocabulary.ranking import FloatVector
from recommender.kernels.choice import score_linear
from recommender.kernels.trees import Trees
from recommender.ranker.choices import Choices, check, only, telling
from recommender.ranker.configuration import TreesConfiguration
from recommender.ranker.flattening import NO_TREES, flatten

if TYPE_CHECKING:
    import lightgbm


class TreesFit(NamedTuple):
    """The trees, and how they were found.

    Attributes:
        queries: how many had something to say; grown: how many trees are kept.
        ndcg: on the slice that ended the growing, as LightGBM counts it; 0 when it says nothing.
    """

    trees: Trees
    queries: int
    grown: int
    ndcg: float


def fit_trees(
    choices: Choices, until: Choices, configuration: TreesConfiguration, weights: FloatVector | None = None
) -> TreesFit:
    """Grow trees on choices until a second slice of them is ordered no better.

    Args:
        until: choices that come after the others; without one that says something all `trees_max` are kept.
        weights: (features,) of a logit whose scores the trees correct: theirs are added to its. None for 0 throughout.

    Guarantees: the same arrays on a second run, for one build of LightGBM. One thread only: with two, LightGBM's leaf
    values differ in their last bits, `deterministic` or not. Choices that say nothing give no trees, which score all 0.

    Raises:
        UnusableChoices: see `check`.
    Cost: some 0.5 µs a row and tree of 15 leaves with 25 features; memory
    beside the choices: a byte a feature and row, 40 bytes a row, and a copy of what remains if any query is left out.
    """
    import lightgbm  # what answers never waits for what only training needs

    check(choices)
    check(until)
    assert choices.features.shape[1] == until.features.shape[1]
    learning, stopping = only(choices, telling(choices)), only(until, telling(until))
    if not learning.queries:
        return TreesFit(flatten(NO_TREES), 0, 0, 0.0)
    train = _dataset(learning, weights)
    callbacks: list[Callable[..., Any]] = []
    slices = []
    if stopping.queries:
        slices.append(_dataset(stopping, weights, train))
        callbacks.append(lightgbm.early_stopping(configuration.patience, verbose=False))
    booster = lightgbm.train(_parameters(configuration), train, configuration.trees_max, slices, callbacks=callbacks)
    grown = booster.best_iteration if stopping.queries else booster.num_trees()
    ndcg = next(iter(next(iter(booster.best_score.values())).values())) if stopping.queries else 0.0
    return TreesFit(flatten(booster.model_to_string(num_iteration=grown)), learning.queries, grown, float(ndcg))


def _dataset(
    choices: Choices, weights: FloatVector | None, reference: lightgbm.Dataset | None = None
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
        params={"verbosity": -1},
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
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
