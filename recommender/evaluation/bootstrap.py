"""How sure a figure is: bootstrap intervals over the questions, and a paired test of two models on the same ones.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 13 (percentile intervals) and ch. 16 (a test
that resamples around the null hypothesis). Questions are taken as independent of each other.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.evaluation.metrics import Judged

RESAMPLES = 1000
CONFIDENCE = 0.95


class Difference(msgspec.Struct, frozen=True):
    """The second model minus the first: the mean, its interval, and how likely one as large is without any cause."""

    difference: float
    interval: tuple[float, float]
    p_value: float


def intervals(judged: Judged, seed: int) -> dict[str, tuple[float, float]]:
    """The 95 % interval of the mean of each metric.

    Cost: some 10 ns a question and resample.
    """
    means = _resampled(judged, seed)
    return {name: _interval(means[:, at]) for at, name in enumerate(judged)}


def differences(first: Judged, second: Judged, seed: int) -> dict[str, Difference]:
    """How much better the second model is than the first on the same questions.

    The p-value is two-sided, at least 1 / (`RESAMPLES` + 1).
    """
    paired = {name: second[name] - first[name] for name in first}
    means = _resampled(paired, seed)
    return {name: _difference(values, means[:, at]) for at, (name, values) in enumerate(paired.items())}


def _difference(values: NDArray[np.float64], means: NDArray[np.float64]) -> Difference:
    mean = float(values.mean()) if len(values) else 0.0
    as_large = int((np.abs(means - mean) >= abs(mean)).sum())
    return Difference(mean, _interval(means), (1 + as_large) / (len(means) + 1))


def _resampled(judged: Judged, seed: int) -> NDArray[np.float64]:
    """The means of resamples with replacement, (RESAMPLES, metrics)."""
    values = np.stack(list(judged.values()), axis=1)
    n = len(values)
    if not n:
        return np.zeros((RESAMPLES, len(judged)))
    generator = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, len(judged)))
    for at in range(RESAMPLES):
        drawn = np.bincount(generator.integers(0, n, n), minlength=n)
        means[at] = drawn @ values / n
    return means


def _interval(means: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
