"""Arms are compared by sums over people: differences and lifts with intervals, CUPED, and whether to believe them.

A person counts once, in the arm they are in, with what they did in a window of fixed length since they entered, and is
added when that window has passed: the sequences are about outcomes that do not change any more. Money is winsorised: a
person's value counts up to a cap that is fixed before the experiment, a high quantile of buyers in the pre-period. The
interval is then about the capped mean; without a cap one order of a thousand pounds decides the result.

Source: Deng, Xu, Kohavi, Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data" (WSDM 2013) for CUPED, with one coefficient for all arms. Several arms against a control are
corrected by Bonferroni.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ranking import FloatVector
from personalization.experiments.sequences import (
    ALPHA,
    UNKNOWN,
    Interval,
    interval,
    people_min,
    split_is_wrong,
    split_p_value,
    tightest_at,
)

WINSORISED_QUANTILE = 0.99  # of buyers; the one in a hundred above it counts as the ninety-ninth
RELATIVE_ERRORS_MIN = 5.0  # a lift over a mean that is nearer to 0 than this many standard errors has no meaning


class Sums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """People of an arm: how many, and sums of their outcome y and of x, the same measure in the pre-period."""

    people: int = 0
    y: float = 0.0
    y_squared: float = 0.0
    x: float = 0.0
    x_squared: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, outcomes: FloatVector, before: FloatVector | None = None) -> Sums:
        """The sums of some people; `before` is 0 for who was not there in the pre-period, and absent without one."""
        x = np.zeros_like(outcomes) if before is None else before
        sums = (outcomes.sum(), outcomes @ outcomes, x.sum(), x @ x, outcomes @ x)
        return cls(len(outcomes), *map(float, sums))

    def __add__(self, other: Sums) -> Sums:
        both = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Sums(*(one + two for one, two in both))

    def __sub__(self, other: Sums) -> Sums:
        both = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Sums(*(one - two for one, two in both))


class Compared(msgspec.Struct, frozen=True, gc=False):
    """An arm against the control.

    Attributes:
        mean, control_mean: of the outcome, adjusted by CUPED.
        difference: in the unit of the outcome.
        lift: relative to the control's mean; unknown where that is too near to 0.
        variance_reduction: the share of the difference's variance that CUPED took away.
    """

    arm: str
    people: int
    mean: float
    control_mean: float
    difference: Interval
    lift: Interval
    variance_reduction: float


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What an experiment says now. Where `split_is_wrong`, nothing in `compared` may be believed."""

    compared: tuple[Compared, ...]
    split_p_value: float
    split_is_wrong: bool


def cap_of(values: FloatVector, quantile: float = WINSORISED_QUANTILE) -> float:
    """The cap for winsorising: a quantile of the positive values of the pre-period; infinite if there are none."""
    bought = values[values > 0]
    return float(np.quantile(bought, quantile)) if len(bought) else math.inf


def winsorised(values: FloatVector, cap: float) -> FloatVector:
    """Values above the cap count as the cap; shape (n,) in and out."""
    return np.minimum(values, cap)


def judge(
    arms: Mapping[str, Sums],
    weights: Mapping[str, float],
    control: str,
    *,
    planned_people: int,
    alpha: float = ALPHA,
) -> Verdict:
    """Every arm against the control, as it may be read at any moment.

    Args:
        arms: the sums of each arm; an arm nobody is in may be absent.
        weights: as the experiment is configured.
        planned_people: in the experiment when it is to be read; the intervals are narrowest there. Never change it
            while the experiment runs.
        alpha: how probable it may be that any interval ever misses; shared by the arms.

    Raises:
        ConfigurationError: the control has no weight, or somebody is in an arm without one.
    """
    if control not in weights:
        raise ConfigurationError(f"the control {control!r} is none of the arms {sorted(weights)}")
    counts = {arm: sums.people for arm, sums in arms.items()}
    others = [arm for arm in weights if arm != control]
    theta = cuped_coefficient(arms)
    own_alpha = alpha / max(len(others), 1)
    share = {arm: (weights[arm] + weights[control]) / sum(weights.values()) for arm in others}
    compared = tuple(
        _compare(
            arm,
            arms.get(arm, Sums()),
            arms.get(control, Sums()),
            theta,
            tightest_at(planned_people * share[arm], own_alpha),
            own_alpha,
        )
        for arm in others
    )
    return Verdict(compared, split_p_value(counts, weights), split_is_wrong(counts, weights))


def cuped_coefficient(arms: Mapping[str, Sums]) -> float:
    """How much of a person's x to take from their y: cov(x, y) / var(x) within arms; 0 where x does not vary."""
    covariance = sum(sums.xy - sums.x * sums.y / sums.people for sums in arms.values() if sums.people)
    variance = sum(sums.x_squared - sums.x**2 / sums.people for sums in arms.values() if sums.people)
    scale = sum(sums.x_squared for sums in arms.values())
    return covariance / variance if variance > 1e-12 * scale else 0.0


def _compare(arm: str, treated: Sums, control: Sums, theta: float, rho: float, alpha: float) -> Compared:
    n = treated.people + control.people
    if min(treated.people, control.people) < people_min:
        nan = math.nan
        return Compared(arm, treated.people, nan, nan, UNKNOWN, UNKNOWN, 0.0)
    x_of_both = (treated.x + control.x) / n
    mean, variance = _adjusted(treated, theta, x_of_both)
    control_mean, control_variance = _adjusted(control, theta, x_of_both)
    difference = interval(mean - control_mean, math.sqrt(variance + control_variance), n, rho, alpha)
    lift = UNKNOWN
    if control_mean > RELATIVE_ERRORS_MIN * math.sqrt(control_variance):
        ratio = mean / control_mean
        error = math.sqrt(variance + ratio**2 * control_variance) / control_mean
        lift = interval(ratio - 1, error, n, rho, alpha)
    unadjusted = _adjusted(treated, 0.0, 0.0)[1] + _adjusted(control, 0.0, 0.0)[1]
    reduction = 1 - (variance + control_variance) / unadjusted if unadjusted else 0.0
    return Compared(arm, treated.people, mean, control_mean, difference, lift, reduction)


def _adjusted(sums: Sums, theta: float, x_of_both: float) -> tuple[float, float]:
    """The mean of y - theta (x - its mean in both arms), and the variance of that mean."""
    n = sums.people
    mean_x, mean_y = sums.x / n, sums.y / n
    squares = (
        sums.y_squared
        - n * mean_y**2
        - 2 * theta * (sums.xy - n * mean_x * mean_y)
        + theta**2 * (sums.x_squared - n * mean_x**2)
    )
    return mean_y - theta * (mean_x - x_of_both), max(squares, 0.0) / (n - 1) / n
