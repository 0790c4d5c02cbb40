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
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ranking import FloatVector
from personalization.experiments.contextual import greatest_of_normals
from personalization.experiments.sequences import (
    ALPHA,
    UNKNOWN,
    Interval,
    events_min,
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


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How an arm stands now among all, control included, in the Bayesian reading; not corrected for peeking.

    Attributes:
        best: the probability that it is the best arm, before any opinion.
        loss: what choosing it costs a person on average, in the unit of the outcome: the expected lead of the best arm.
    """

    arm: str
    best: float
    loss: float


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What an experiment says now. Where `split_is_wrong`, nothing else in it may be believed.

    Attributes:
        compared: every arm but the control; decide by these.
        standings: every arm; none before all have enough people.
    """

    compared: tuple[Compared, ...]
    standings: tuple[Standing, ...]
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
    standings = _standings({arm: arms.get(arm, Sums()) for arm in weights}, theta)
    return Verdict(compared, standings, split_p_value(counts, weights), split_is_wrong(counts, weights))


def cuped_coefficient(arms: Mapping[str, Sums]) -> float:
    """How much of a person's x to take from their y: cov(x, y) / var(x) within arms; 0 where x does not vary."""
    covariance = sum(sums.xy - sums.x * sums.y / sums.people for sums in arms.values() if sums.people)
    variance = sum(sums.x_squared - sums.x**2 / sums.people for sums in arms.values() if sums.people)
    scale = sum(sums.x_squared for sums in arms.values())
    return covariance / variance if variance > 1e-12 * scale else 0.0


def _compare(arm: str, treated: Sums, control: Sums, theta: float, rho: float, alpha: float) -> Compared:
    both = treated + control
    if not _enough((treated, control), both):
        return Compared(arm, treated.people, math.nan, math.nan, UNKNOWN, UNKNOWN, 0.0)
    mean, variance = _adjusted(treated, both, theta)
    control_mean, control_variance = _adjusted(control, both, theta)
    difference = interval(mean - control_mean, math.sqrt(variance + control_variance), both.people, rho, alpha)
    lift = UNKNOWN
    if control_mean > RELATIVE_ERRORS_MIN * math.sqrt(control_variance):
        ratio = mean / control_mean
        error = math.sqrt(variance + ratio**2 * control_variance) / control_mean
        lift = interval(ratio - 1, error, both.people, rho, alpha)
    unadjusted = _adjusted(treated, both, 0.0)[1] + _adjusted(control, both, 0.0)[1]
    reduction = 1 - (variance + control_variance) / unadjusted if unadjusted else 0.0
    return Compared(arm, treated.people, mean, control_mean, difference, lift, reduction)


def _standings(arms: Mapping[str, Sums], theta: float) -> tuple[Standing, ...]:
    """By a flat prior and normal posteriors of the means; the expected maximum by quadrature."""
    together = sum(arms.values(), Sums())
    if not _enough(arms.values(), together):
        return ()
    means, variances = np.array([_adjusted(sums, together, theta) for sums in arms.values()]).T
    deviations = np.maximum(np.sqrt(variances), np.finfo(np.float64).tiny)
    best, greatest = greatest_of_normals(means, deviations)
    return tuple(Standing(arm, float(best[at]), max(float(greatest - means[at]), 0.0)) for at, arm in enumerate(arms))


def _enough(arms: Iterable[Sums], together: Sums) -> bool:
    """Whether the least arm has enough people, and enough of them did something, if they do as all people do.

    (Σy)² / Σy² is the number of buyers where all buy alike, and less where a few buy most.
    """
    least = min(sums.people for sums in arms)
    if least < people_min or not together.y_squared:
        return False
    return together.y**2 / together.y_squared * least / together.people >= events_min


def _adjusted(sums: Sums, together: Sums, theta: float) -> tuple[float, float]:
    """The mean of y - theta (x - its mean over all arms), and the variance of that mean.

    A person's variance is at least that over all arms: in a small arm where nobody has bought yet it would be 0, and
    one would be sure of what nobody knows.
    """
    mean = sums.y / sums.people - theta * (sums.x / sums.people - together.x / together.people)
    return mean, max(_variance(sums, theta), _variance(together, theta)) / sums.people


def _variance(sums: Sums, theta: float) -> float:
    """Of y - theta x over people."""
    n, mean_x, mean_y = sums.people, sums.x / sums.people, sums.y / sums.people
    squares = (
        sums.y_squared
        - n * mean_y**2
        - 2 * theta * (sums.xy - n * mean_x * mean_y)
        + theta**2 * (sums.x_squared - n * mean_x**2)
    )
    return max(squares, 0.0) / (n - 1)
