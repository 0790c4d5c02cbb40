"""Which ranker to use: the simplest one, unless a richer one is better on a held slice by more than noise.

Source: Efron and Tibshirani (1993), An introduction to the bootstrap, 13.3 (percentile intervals); the resampled
unit is the query, and both rankers are judged on the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from ingest.vocabulary.ranking import FloatVector
from recommender.kernels.choice import rank_positives
from recommender.ranker.choices import Choices

Metric = Literal["mrr", "ndcg"]
RESAMPLES_MAX = 100_000
STANDARD_ERRORS = 1.96  # on either side of a figure: 95 of 100 times


class ComparisonConfiguration(msgspec.Struct, frozen=True):
    """How rankers are compared: the metric cut at rank `at`, and the bootstrap of the interval around a gain."""

    metric: Metric = "mrr"
    at: int = 20
    resamples: int = 1_000
    confidence: float = 0.95
    seed: int = 1


class Figure(msgspec.Struct, frozen=True):
    """What one ranker reached, as a mean over queries."""

    name: str
    mean: float


class Challenge(msgspec.Struct, frozen=True):
    """A ranker against the best simpler one: the mean gain, its interval, and whether it was taken."""

    challenger: str
    incumbent: str
    gain: float
    low: float
    high: float
    is_taken: bool


class Comparison(msgspec.Struct, frozen=True):
    """What a model card says about the choice of a ranker.

    Attributes:
        queries: how many were judged; left_out: how many had no positive, or no weight.
        figures, challenges: in the order in which the rankers were given.
    """

    configuration: ComparisonConfiguration
    queries: int
    left_out: int
    figures: tuple[Figure, ...]
    challenges: tuple[Challenge, ...]
    chosen: str


def compare(choices: Choices, scores: Mapping[str, FloatVector], configuration: ComparisonConfiguration) -> Comparison:
    """Judge rankers by their scores of a slice that none of them was fitted on.

    Args:
        scores: by name (rows,) float64, the simplest ranker first: it is chosen unless another proves better.

    A challenger is taken if the whole interval of its gain over the ranker chosen so far is above 0. Equal scores share
    the mean of their ranks, so that the order of candidates does not matter.

    Cost: a sort-free count of 1 ns a positive and candidate; resamples · queries draws, 8 bytes a query.
    """
    assert scores
    assert 1 <= configuration.resamples <= RESAMPLES_MAX
    judged = np.flatnonzero((choices.positives() > 0) & (choices.weights() > 0))
    weight = choices.weights()[judged]
    values = {name: query_values(choices, score, configuration)[judged] for name, score in scores.items()}
    chosen, *challengers = values
    challenges = []
    for challenger in challengers:
        challenge = _challenge(chosen, challenger, values, weight, configuration)
        challenges.append(challenge)
        chosen = challenger if challenge.is_taken else chosen
    return Comparison(
        configuration=configuration,
        queries=len(judged),
        left_out=choices.queries - len(judged),
        figures=tuple(Figure(name, _mean(value, weight)) for name, value in values.items()),
        challenges=tuple(challenges),
        chosen=chosen,
    )


def chosen_mean(comparison: Comparison) -> float:
    """The figure of the ranker that answers, in [0, 1]."""
    return next(figure.mean for figure in comparison.figures if figure.name == comparison.chosen)


def noise_of(comparison: Comparison) -> float:
    """Half of the interval around `chosen_mean`, at most: values in [0, 1] of mean m vary by m (1 - m) or less.

    Source: Bhatia and Davis (2000), A better bound on the variance. Queries are counted as of equal weight.
    """
    mean = chosen_mean(comparison)
    return STANDARD_ERRORS * math.sqrt(mean * (1.0 - mean) / max(comparison.queries, 1))


def query_values(choices: Choices, scores: FloatVector, configuration: ComparisonConfiguration) -> FloatVector:
    """(queries,) the metric of each query, 0 where nothing was taken.

    `mrr` is the inverse rank of the best positive, `ndcg` the discounted gain of all over the best possible.
    """
    assert scores.shape == choices.label.shape
    ranks = np.empty(int(choices.label.sum(dtype=np.int64)))
    rank_positives(choices.start, choices.label, np.ascontiguousarray(scores, np.float64), ranks)
    positives = choices.positives()
    values = np.zeros(choices.queries)
    query = np.repeat(np.arange(choices.queries), positives)
    within = ranks <= configuration.at
    if configuration.metric == "mrr":
        np.maximum.at(values, query[within], 1.0 / ranks[within])
        return values
    np.add.at(values, query[within], 1.0 / np.log2(ranks[within] + 1.0))
    best = np.concatenate((np.ones(1), np.cumsum(1.0 / np.log2(np.arange(configuration.at) + 2.0))))
    values /= best[np.minimum(positives, configuration.at)]
    return values


def _challenge(
    incumbent: str,
    challenger: str,
    values: Mapping[str, FloatVector],
    weight: FloatVector,
    configuration: ComparisonConfiguration,
) -> Challenge:
    gain = values[challenger] - values[incumbent]
    low, high = _interval(gain, weight, configuration)
    return Challenge(challenger, incumbent, _mean(gain, weight), low, high, low > 0)


def _interval(gain: FloatVector, weight: FloatVector, configuration: ComparisonConfiguration) -> tuple[float, float]:
    """The percentile interval of the mean over resampled queries; of nothing, all there is: (-1, 1)."""
    queries = len(gain)
    if not queries:
        return -1.0, 1.0
    generator = np.random.default_rng(configuration.seed)
    means = np.empty(configuration.resamples)
    for resample in range(configuration.resamples):
        drawn = generator.integers(0, queries, queries)
        means[resample] = np.sum(gain[drawn] * weight[drawn]) / np.sum(weight[drawn])
    tail = (1.0 - configuration.confidence) / 2.0
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return _rounded(low), _rounded(high)


def _mean(values: FloatVector, weight: FloatVector) -> float:
    return _rounded(np.sum(values * weight) / np.sum(weight)) if len(values) else 0.0


def _rounded(value: float) -> float:
    """Figures of a card have six decimals, so that the last bits of a sum are not in a snapshot."""
    return round(float(value), 6)
