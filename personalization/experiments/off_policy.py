"""What another policy would have earned, from decisions that were drawn with recorded probabilities.

With w = target's probability / recorded probability of the arm that was drawn:

* IPS: the mean of w·reward. Unbiased.
* SNIPS: the same divided by the mean of w. Slightly biased, less spread.
* DR (doubly robust): the mean of what a model expects under the target, corrected by w·(reward - expected).

Where the log hardly tried what the target does, no formula helps: `estimate` refuses (`NoOverlap`).

Source: Dudík, Langford, Li, "Doubly Robust Policy Evaluation and Learning" (ICML 2011); Swaminathan, Joachims, "The
Self-Normalized Estimator for Counterfactual Learning" (NeurIPS 2015); Saito et al., "Open Bandit Dataset and Pipeline"
(2021), whose formulas these are. The intervals differ: theirs resample rounds, ours take the spread between customers,
because one customer's decisions are not independent, and Hall's "On the Removal of Skewness by Transformation" (JRSS B
1992), because a few heavy decisions make the sums lopsided.
"""

from __future__ import annotations

from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import MalformedEvent, NoOverlap
from ingest.vocabulary.ranking import FloatVector, IntVector

CONFIDENCE = 0.95
FOLDS = 5  # of the reward model: nobody's reward is in the model that judges their own decisions
prior_decisions = 20.0  # an arm's expected reward begins at that of all arms, as if seen in as many decisions
effective_size_min = 100.0  # below, a handful of decisions carries the estimate
untried_share_max = 0.01  # of the target's decisions that go to arms the log never drew; their rewards are unknown
WEIGHT_ERRORS_MAX = 5.0  # standard errors that the mean weight may be away from 1
_SUM_ERROR = 1e-6
_SKEWNESS_MIN = 1e-6  # below, the cubic is the identity to rounding

FloatMatrix = NDArray[np.float64]


class Logged(msgspec.Struct, frozen=True):
    """Decisions of the log that were drawn, n of them; those of people who were held out are left out.

    Attributes:
        arms: which arm was drawn, as a column of the target; shape (n,).
        rewards: what it earned; shape (n,).
        propensities: with which probability it was drawn, in (0, 1]; shape (n,).
        customers: who it was for, as any integers; shape (n,).
    """

    arms: IntVector
    rewards: FloatVector
    propensities: FloatVector
    customers: IntVector


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """A mean reward per decision, with its 95 % interval."""

    value: float
    low: float
    high: float


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """What the target would have earned per decision, by each estimator, and how much of the log speaks about it.

    Attributes:
        logged: what the policy of the log earned.
        rewarded: decisions that earned anything; with fewer than some 30 the intervals promise more than they hold.
        effective_size: (Σw)² / Σw²: as many decisions of the target itself would say as much.
        weight_max: the largest w.
        untried_share: of the target's decisions, those that go to arms the log never drew.
    """

    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    logged: Estimate
    decisions: int
    rewarded: int
    effective_size: float
    weight_max: float
    untried_share: float


def estimate(log: Logged, target: FloatMatrix) -> Evaluation:
    """Every estimator of a target policy.

    Args:
        target: the target's probability of each arm in the situation of each decision; shape (n, arms), rows sum to 1.

    Raises:
        MalformedEvent: shapes, probabilities or rewards that cannot be; says which.
        NoOverlap: the log tried too little of what the target does; says by which measure.

    Cost: some 20 times reading `target`.
    """
    _check(log, target)
    weights = target[np.arange(len(log.arms)), log.arms] / log.propensities
    untried = _untried_share(log, target)
    effective_size = _effective_size(weights)
    _refuse_without_overlap(weights, untried, effective_size)
    expected = expected_rewards(log, target.shape[1])
    _, customers = np.unique(log.customers, return_inverse=True)
    ips = weights * log.rewards
    snips_value = ips.mean() / weights.mean()
    snips_influence = snips_value + weights * (log.rewards - snips_value) / weights.mean()
    return Evaluation(
        ips=_estimate(ips, customers),
        snips=_estimate(snips_influence, customers),
        doubly_robust=_estimate(doubly_robust_rounds(log, target, expected), customers),
        logged=_estimate(log.rewards, customers),
        decisions=len(weights),
        rewarded=int(np.count_nonzero(log.rewards)),
        effective_size=effective_size,
        weight_max=float(weights.max()),
        untried_share=untried,
    )


def doubly_robust_rounds(log: Logged, target: FloatMatrix, expected: FloatMatrix) -> FloatVector:
    """What each decision says about the target, whose mean is DR; `expected` has the shape of `target`."""
    rounds = np.arange(len(log.arms))
    weights = target[rounds, log.arms] / log.propensities
    corrected: FloatVector = (target * expected).sum(axis=1) + weights * (log.rewards - expected[rounds, log.arms])
    return corrected


def expected_rewards(log: Logged, arms: int) -> FloatMatrix:
    """A reward model: each arm's mean over the other folds of customers, shrunk to that of all arms; (n, arms)."""
    _, customers = np.unique(log.customers, return_inverse=True)
    folds = customers % FOLDS
    expected = np.empty((len(log.arms), arms))
    for fold in range(FOLDS):
        others = folds != fold
        drawn = np.bincount(log.arms[others], minlength=arms)
        earned = np.bincount(log.arms[others], weights=log.rewards[others], minlength=arms)
        common = earned.sum() / max(drawn.sum(), 1)
        expected[~others] = (earned + prior_decisions * common) / (drawn + prior_decisions)
    return expected


def _estimate(rounds: FloatVector, customers: NDArray[np.intp]) -> Estimate:
    """The mean, with the spread between customers and its skewness; without bounds where there is only one."""
    value, n = float(rounds.mean()), len(rounds)
    deviations = np.asarray(np.bincount(customers, weights=rounds - value), np.float64)
    count = len(deviations)
    if count < 2:
        return Estimate(value, -np.inf, np.inf)
    error = float(np.sqrt((deviations @ deviations) * count / (count - 1))) / n
    quantile = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    skewness = _skewness(deviations) / np.sqrt(count)
    return Estimate(value, *(value - error * unskewed(each, skewness) for each in (quantile, -quantile)))


def _skewness(deviations: FloatVector) -> float:
    variance = float(deviations @ deviations) / len(deviations)
    return float((deviations**3).mean()) / variance**1.5 if variance > 0 else 0.0


def unskewed(quantile: float, skewness: float) -> float:
    """The quantile of a mean's t with this skewness (over the root of n), by inverting Hall's cubic."""
    if abs(skewness) < _SKEWNESS_MIN:
        return quantile
    return float(3 / skewness * (np.cbrt(1 + skewness * (quantile - skewness / 6)) - 1))


def _effective_size(weights: FloatVector) -> float:
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _untried_share(log: Logged, target: FloatMatrix) -> float:
    tried = np.bincount(log.arms, minlength=target.shape[1]) > 0
    return float(target[:, ~tried].sum() / len(target))


def _refuse_without_overlap(weights: FloatVector, untried: float, effective_size: float) -> None:
    if untried > untried_share_max:
        raise NoOverlap(
            f"{untried:.1%} of what the policy would choose was never drawn in the log; at most "
            f"{untried_share_max:.0%} may be unknown: let the running policy explore these arms first"
        )
    if effective_size < effective_size_min:
        raise NoOverlap(
            f"{len(weights)} decisions of the log say as much about the policy as {effective_size:.1f} of its own "
            f"would; {effective_size_min:.0f} are needed: wait for more, or ask about a policy that is nearer"
        )
    error = float(weights.std()) / np.sqrt(len(weights))
    if abs(float(weights.mean()) - 1) > WEIGHT_ERRORS_MAX * error + untried + _SUM_ERROR:
        raise NoOverlap(
            f"the weights average {weights.mean():.3f} instead of 1: in some situations the log could not draw what "
            "the policy would choose, or the recorded probabilities are not those it drew with"
        )


def _check(log: Logged, target: FloatMatrix) -> None:
    n = len(log.arms)
    if n == 0 or target.shape[0] != n or not len(log.rewards) == len(log.propensities) == len(log.customers) == n:
        raise MalformedEvent("a log to evaluate a policy on needs decisions, each with its reward and probabilities")
    if log.arms.min() < 0 or log.arms.max() >= target.shape[1]:
        raise MalformedEvent(f"arms are columns 0 to {target.shape[1] - 1} of the policy's table")
    if not (np.isfinite(log.propensities).all() and (log.propensities > 0).all() and (log.propensities <= 1).all()):
        raise MalformedEvent("a recorded probability must be above 0 and at most 1")
    if not np.isfinite(log.rewards).all():
        raise MalformedEvent("a reward must be a finite number")
    if not ((target >= 0).all() and np.abs(target.sum(axis=1) - 1).max() <= _SUM_ERROR):
        raise MalformedEvent("a policy's probabilities must not be negative, and sum to 1 in every decision")
