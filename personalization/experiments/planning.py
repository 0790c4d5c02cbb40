"""How long an experiment must run to see an effect, and which effect a duration can show: for the sequential test.

The test is significant at the latest when its interval after the planned number of people excludes 0. The power is
worked out for that moment alone; earlier looks only add to it.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.sequences import ALPHA, people_min, radii, tightest_at

POWER = 0.8
people_planned_max = 10**10  # more people than there are


class Plan(msgspec.Struct, frozen=True, gc=False):
    """An experiment's size: people in all arms, days, and the smallest difference it shows with the wanted power."""

    people: int
    days: int
    difference: float


class Measure(msgspec.Struct, frozen=True, gc=False):
    """What is known of the outcome before: mean and variance a person, and its correlation with the pre-period.

    Attributes:
        variance: a person's, as the comparison takes it, on the mean of both arms.
    """

    mean: float
    variance: float
    correlation: float = 0.0

    @classmethod
    def of_rate(cls, rate: float, relative_difference: float = 0.0) -> Measure:
        """An outcome of 0 or 1, which in the other arm is 1 more often by a share of the rate."""
        other = rate * (1 + relative_difference)
        variances = rate * (1 - rate), other * (1 - other)
        return cls(rate, (max(variances) + sum(variances) / 2) / 2)


def detectable_difference(
    measure: Measure, people: int, *, arms: int = 2, power: float = POWER, alpha: float = ALPHA
) -> float:
    """The smallest difference to the control that is found with this power by this many people, in equal arms.

    CUPED leaves 1 - correlation² of the variance. With several arms alpha is shared, as in the comparison.
    """
    _check(measure, arms, power, alpha)
    compared = people * 2 / arms
    own_alpha = alpha / (arms - 1)
    left = measure.variance * (1 - measure.correlation**2)
    standard_error = math.sqrt(4 * left / compared)
    n = np.array([compared], np.float64)
    boundary = math.sqrt(compared) * float(radii(n, tightest_at(compared, own_alpha), own_alpha)[0])
    return standard_error * (boundary + NormalDist().inv_cdf(power))


def plan(
    measure: Measure,
    relative_difference: float,
    people_per_day: float,
    *,
    arms: int = 2,
    power: float = POWER,
    alpha: float = ALPHA,
) -> Plan:
    """The least people, and whole days, that show a change of the mean by this share of it.

    Args:
        people_per_day: new people who enter the experiment on a day, all arms together.

    Raises:
        ConfigurationError: nothing can be planned with these numbers; the message says why.
    """
    wanted = abs(relative_difference * measure.mean)
    if not (wanted > 0 and people_per_day > 0):
        raise ConfigurationError("a plan needs a difference other than 0 and people who enter each day")
    low, high = people_min * arms, people_min * arms
    while detectable_difference(measure, high, arms=arms, power=power, alpha=alpha) > wanted:
        low, high = high, high * 2
        if high > people_planned_max:
            raise ConfigurationError(f"no {people_planned_max} people show a change by {relative_difference:.2%}")
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_difference(measure, middle, arms=arms, power=power, alpha=alpha) > wanted:
            low = middle
        else:
            high = middle
    difference = detectable_difference(measure, high, arms=arms, power=power, alpha=alpha)
    return Plan(high, math.ceil(high / people_per_day), difference)


def _check(measure: Measure, arms: int, power: float, alpha: float) -> None:
    if arms < 2 or not (0 < power < 1 and 0 < alpha < 1):
        raise ConfigurationError(f"arms must be 2 or more, power and alpha within 0 and 1: {arms}, {power}, {alpha}")
    if not (measure.variance > 0 and math.isfinite(measure.variance) and -1 < measure.correlation < 1):
        raise ConfigurationError(f"an outcome needs a variance above 0 and a correlation within -1 and 1: {measure}")
