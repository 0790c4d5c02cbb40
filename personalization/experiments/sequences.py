"""Statistics that may be looked at as often as one likes: confidence sequences, and an alarm for the split.

Sources: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (Annals of Statistics 2024), theorem 2.2 and its choice of rho: Robbins' normal mixture with the
estimated variance. It promises that the whole sequence covers the truth with probability 1 - alpha, asymptotically:
the fewer people there are when one begins to look, the less that means, hence `people_min` and `events_min`. Lindon,
Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022) for the split, where we average over three
priors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from scipy.special import gammaln

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ranking import FloatVector

ALPHA = 0.05
people_min = 200  # in each arm before anything is said; the normal approximation has no meaning with fewer
events_min = 10.0  # expected in each arm, as all people do: buyers, or orders of equal value
SPLIT_ALPHA = 0.001  # a false alarm stops an experiment that is sound
SPLIT_CONCENTRATIONS = (2.0, 200.0, 20_000.0)  # gross faults are found in dozens of people, small ones in 100,000s


class Interval(msgspec.Struct, frozen=True, gc=False):
    """An estimate and where the truth is, at every look together, with probability 1 - alpha. Unbounded if unknown."""

    estimate: float
    low: float
    high: float
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the interval is on one side of 0."""
        return self.low > 0 or self.high < 0


UNKNOWN = Interval(math.nan, -math.inf, math.inf, 1.0)


def tightest_at(n: float, alpha: float = ALPHA) -> float:
    """The rho whose sequence is the narrowest after n people; it must be chosen before the first look."""
    log_alpha = -2 * math.log(alpha)
    return math.sqrt((log_alpha + math.log(log_alpha + 1)) / n)


def radii(n: FloatVector, rho: float, alpha: float = ALPHA) -> FloatVector:
    """Half the width of the sequence in standard deviations of one observation, after each n; shape (k,) in and out."""
    mixed = n * rho**2 + 1
    return np.sqrt(2 * mixed / (n * rho) ** 2 * np.log(np.sqrt(mixed) / alpha))


def interval(estimate: float, standard_error: float, n: float, rho: float, alpha: float = ALPHA) -> Interval:
    """The sequence's interval after n people, and a p-value that is valid at any moment one stops.

    Args:
        standard_error: of the estimate, as for a fixed number of people.
        n: people in all arms that the estimate compares.
    """
    if not (math.isfinite(estimate) and math.isfinite(standard_error)) or n < 1:
        return UNKNOWN
    radius = standard_error * math.sqrt(n) * float(radii(np.array([n], np.float64), rho, alpha)[0])
    return Interval(estimate, estimate - radius, estimate + radius, p_value(estimate, standard_error, n, rho))


def p_value(estimate: float, standard_error: float, n: float, rho: float) -> float:
    """1 over the mixture's likelihood ratio, at most 1: below alpha exactly where the interval excludes 0."""
    if standard_error == 0:
        return 1.0 if estimate == 0 else 0.0
    mixed = n * rho**2 + 1
    exponent = (estimate / standard_error) ** 2 * n * rho**2 / (2 * mixed)
    return min(1.0, math.exp(0.5 * math.log(mixed) - exponent))


def split_p_value(counts: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """How unlikely the numbers of people in the arms are under the weights, at whatever moment one asks.

    Valid sequentially: with probability 1 - alpha it never falls below alpha in an experiment whose split is right.

    Raises:
        ConfigurationError: a weight is not above 0, or people are counted in an arm that has no weight.
    """
    if not weights or min(weights.values()) <= 0 or not counts.keys() <= weights.keys():
        raise ConfigurationError(f"people are counted in the arms {sorted(counts)}, and weights are {dict(weights)}")
    shares = np.array(list(weights.values())) / sum(weights.values())
    people = np.array([counts.get(arm, 0) for arm in weights], np.float64)
    logs = [_log_bayes_factor(people, shares, concentration) for concentration in SPLIT_CONCENTRATIONS]
    return float(min(1.0, np.exp(math.log(len(logs)) - np.logaddexp.reduce(logs))))


def split_is_wrong(counts: Mapping[str, int], weights: Mapping[str, float]) -> bool:
    """Whether the sample ratio does not match: assignment or counting is broken, and no result means anything."""
    return split_p_value(counts, weights) < SPLIT_ALPHA


def _log_bayes_factor(people: FloatVector, shares: FloatVector, concentration: float) -> float:
    """Of a Dirichlet prior around the shares against exactly the shares."""
    prior = concentration * shares
    evidence = gammaln(prior + people) - gammaln(prior)
    total = math.lgamma(concentration) - math.lgamma(concentration + float(people.sum()))
    return float(evidence.sum() + total - (people * np.log(shares)).sum())
