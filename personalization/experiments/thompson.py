"""Thompson sampling by table: an arm is as probable as it is to be the best one, given what was counted.

Counts are kept by arm and period in integers, so that they add up in any order: two states merge exactly. Old periods
weigh less by a half-life and are dropped in the end, which lets the table follow a change.

Source: Russo, Van Roy, Kazerouni, Osband, Wen, "A Tutorial on Thompson Sampling" (2018), sections 3 and 6.3 (change),
where an arm is drawn by one sample of the posterior. We work out the probabilities that this would have and draw from
them, so that they can be recorded. Value of an order: the normal model with unknown variance of Gelman et al.,
"Bayesian Data Analysis", 3rd ed., section 3.3, on values cut off at a cap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, stdtrit

from ingest.vocabulary.ranking import FloatVector
from personalization.experiments.counting import Counts
from personalization.experiments.draws import Propensities, table_of
from personalization.experiments.learning import Learning, periods_max

FloatMatrix = NDArray[np.float64]

QUANTILES = 128  # points of the quadrature: 3e-5 was the largest error of a probability in 40 random cases
VALUE_QUANTILES = 48  # of the order value, for each of its two parts


def _quadrature(points: int) -> tuple[FloatVector, FloatVector]:
    """Points within (0, 1) and their weights, which sum to 1 (Gauss and Legendre)."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (nodes + 1) / 2, weights / 2


QUADRATURE, VALUE_QUADRATURE = _quadrature(QUANTILES), _quadrature(VALUE_QUANTILES)
FITTING_ROUNDS = 100  # of periods' rates; in simulated logs what was left was 0.007 standard errors of an arm's rate
prior_orders = 5.0  # an arm's order value begins at that of all arms, as if seen in as many orders


class Learned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts by arm and period, arms and periods in their order; the newest `periods_max` periods."""

    arms: Mapping[str, Mapping[int, Counts]] = {}


UNLEARNED = Learned()


def merged(first: Learned, second: Learned) -> Learned:
    """What both have counted; the order of merging does not matter."""
    newest = max((max(periods) for each in (first, second) for periods in each.arms.values()), default=0)
    arms = {}
    for arm in sorted({*first.arms, *second.arms}):
        one, two = first.arms.get(arm, {}), second.arms.get(arm, {})
        kept = (period for period in sorted({*one, *two}) if period > newest - periods_max)
        periods = {period: one.get(period, Counts()) + two.get(period, Counts()) for period in kept}
        if periods:
            arms[arm] = periods
    return Learned(arms)


def table(state: Learned, eligible: Sequence[str], learning: Learning) -> Propensities:
    """The probability of each eligible arm: that of being the best, and the floor. Arms without data start alike.

    The same state, arms and settings give the same table. Cost: some 8 ms for five arms, with value 13.
    """
    names = sorted(eligible)
    counts = weighted_counts(state, names, learning)
    goal = {"click": 1, "cart": 2, "order": 3, "value": 3}[learning.goal]
    decisions = comparable_decisions(counts[:, :, 0], counts[:, :, goal])
    sums = counts.sum(axis=1)
    if learning.goal == "value":
        chances = _chances_by_value(decisions, sums[:, 3], sums[:, 4], sums[:, 5])
    else:
        chances = chances_by_rate(decisions, sums[:, goal])
    return table_of(dict(zip(names, chances.tolist(), strict=True)), floor=learning.floor)


def weighted_counts(state: Learned, arms: Sequence[str], learning: Learning) -> NDArray[np.float64]:
    """The counts of some arms, each period by its age against the newest one of any arm; (arms, periods, 6).

    Where one partition is ahead of another, a reward may be known before its decision, or be taken back before it
    was given: counts are 0 at least.
    """
    newest = max((max(periods) for periods in state.arms.values()), default=0)
    periods = sorted({period for arm in arms for period in state.arms.get(arm, {})})
    counts = np.zeros((len(arms), len(periods), 6))
    for at, arm in enumerate(arms):
        for period, counted in state.arms.get(arm, {}).items():
            counts[at, periods.index(period)] = counted.numbers
    ages_s = (newest - np.array(periods, np.float64)) * learning.period_s
    weights = np.exp2(-ages_s / learning.half_life_s) if learning.half_life_s else np.ones(len(periods))
    return np.maximum(counts, 0.0) * weights[:, None]


def comparable_decisions(decisions: FloatMatrix, successes: FloatMatrix) -> FloatVector:
    """Decisions of each arm, those of a period counting as much as success was to be had in it; shape (arms,).

    An arm that is shown more lately has more decisions whose orders have not come yet, and one that was shown more on
    a Sunday met other people. Counted plainly, it would look worse or better than it is (Simpson's paradox). Rates are
    taken to be an arm's times a period's, and fitted in turn (iterative proportional fitting). Where arms were
    hardly ever shown in the same period, the fit ends near the plain counts. Both shapes are (arms, periods).
    """
    by_arm, by_period, total = successes.sum(axis=1), successes.sum(axis=0), decisions.sum()
    common = successes.sum() / max(total, 1.0)
    factors = np.ones(decisions.shape[1])
    for _ in range(FITTING_ROUNDS):
        rates = (by_arm + common) / (decisions @ factors + 1.0)
        factors = (by_period + 1.0) / (rates @ decisions + 1.0)
    comparable: FloatVector = decisions @ factors
    return comparable * (total / comparable.sum()) if total else comparable


def chances_by_rate(decisions: FloatVector, successes: FloatVector) -> FloatVector:
    """How probable each arm is to have the highest rate, by quadrature over its own posterior's quantiles.

    The prior is that of an arm like all others: Beta(1, 1/rate - 1) of their common rate, worth one success.
    """
    alpha, beta = _rate_posterior(decisions, successes)
    chances = np.empty(len(alpha))
    for at in range(len(alpha)):
        rates = betaincinv(alpha[at], beta[at], QUADRATURE[0])
        others = [betainc(alpha[each], beta[each], rates) for each in range(len(alpha)) if each != at]
        chances[at] = np.prod(others, axis=0) @ QUADRATURE[1] if others else 1.0
    normalised: FloatVector = chances / chances.sum()
    return normalised


def _rate_posterior(decisions: FloatVector, successes: FloatVector) -> tuple[FloatVector, FloatVector]:
    decisions = np.maximum(decisions, successes)
    rate = (successes.sum() + 1.0) / (decisions.sum() + 2.0)
    return 1.0 + successes, 1.0 / rate - 1.0 + decisions - successes


def _chances_by_value(
    decisions: FloatVector, orders: FloatVector, values: FloatVector, squares: FloatVector
) -> FloatVector:
    """How probable each arm is to earn the most a decision: its rate of orders times the mean value of one.

    By quadrature over both: each arm is a weighted grid of products, looked up in the others' cumulated grids.
    """
    alpha, beta = _rate_posterior(decisions, orders)
    pooled_mean = values.sum() / max(orders.sum(), 1.0)
    pooled_variance = max(squares.sum() / max(orders.sum(), 1.0) - pooled_mean**2, 1.0)
    grids = []
    for at in range(len(orders)):
        mean, deviation, freedom = _mean_posterior(orders[at], values[at], squares[at], pooled_mean, pooled_variance)
        value = np.maximum(mean + deviation * stdtrit(freedom, VALUE_QUADRATURE[0]), 0.0)
        grids.append(np.outer(betaincinv(alpha[at], beta[at], VALUE_QUADRATURE[0]), value).ravel())
    weights = np.outer(VALUE_QUADRATURE[1], VALUE_QUADRATURE[1]).ravel()
    chances = np.empty(len(orders))
    for at in range(len(orders)):
        below = [_share_below(grids[each], weights, grids[at]) for each in range(len(orders)) if each != at]
        chances[at] = np.prod(below, axis=0) @ weights if below else 1.0
    normalised: FloatVector = chances / chances.sum()
    return normalised


def _share_below(grid: FloatVector, weights: FloatVector, points: FloatVector) -> FloatVector:
    """The weight of the grid below each point, and half of what equals it."""
    order = np.argsort(grid)
    cumulated = np.concatenate([[0.0], np.cumsum(weights[order])])
    ranked = grid[order]
    left, right = np.searchsorted(ranked, points, "left"), np.searchsorted(ranked, points, "right")
    share: FloatVector = (cumulated[left] + cumulated[right]) / 2
    return share


def _mean_posterior(
    n: float, total: float, squares: float, prior_mean: float, prior_variance: float
) -> tuple[float, float, float]:
    """Location, scale and degrees of freedom of the mean, which is t-distributed."""
    mean = total / n if n > 0 else prior_mean
    spread = max(squares - n * mean**2, 0.0)
    weight = prior_orders + n
    location = (prior_orders * prior_mean + n * mean) / weight
    between = prior_orders * n / weight * (mean - prior_mean) ** 2
    variance = (prior_orders * prior_variance + spread + between) / weight
    return location, float(np.sqrt(variance / weight)), weight
