"""The conditional logit: of a request's candidates one is taken with the softmax of a weighted sum of features.

A query with several positives counts as one choice that was equally likely to be any of them. Weights have a Gaussian
prior around the caller's, so a shop without data keeps those, and each choice moves them a little.

Newton's method with a step that is halved while it does not help. It ends at the optimum to rounding error, which
quasi-Newton methods do not: only then is the rounded result the same for any order of sums.

Source: McFadden (1974), Conditional logit analysis of qualitative choice behavior; Boyd and Vandenberghe (2004),
Convex Optimization, 9.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector
from recommender.kernels.choice import add_choices, add_spread
from recommender.ranker.choices import Choices, check, telling
from recommender.ranker.configuration import LogitConfiguration

GRID = 2.0**20  # standardised weights are multiples of its inverse; spreads have so many steps between powers of two
_QUERIES_AT_ONCE = 512  # a block whose sums are added up in their order, whoever computed them
_NEAR = 1e-10  # a gain in loss below which full steps are safe, and losses too coarse to compare
_DONE = 1e-20  # a gain in loss below which the next step ends within rounding error
_SUFFICIENT = 1e-4  # the share of the promised gain that a step must bring
_HALVINGS_MAX = 40
_THINNED_FROM, _THINNED_BY = 4096, 16  # above so many queries, one in so many finds where to begin

Matrix = NDArray[np.float64]


class LogitFit(NamedTuple):
    """Weights for raw features, and how they were found.

    Attributes:
        weights: (features,) of raw features; the prior's where nothing varies.
        queries: how many had something to say; loss: their mean cross-entropy.
        iterations: evaluations of all choices; converged: whether the optimum was reached to rounding error.
    """

    weights: FloatVector
    queries: int
    loss: float
    iterations: int
    converged: bool


class Evaluation(NamedTuple):
    """The penalised mean loss at some weights, its gradient and its Hessian; `bare` is without the penalty."""

    loss: float
    gradient: FloatVector
    hessian: Matrix
    bare: float


def fit_logit(
    choices: Choices, configuration: LogitConfiguration, prior: FloatVector | None = None, threads: int = 1
) -> LogitFit:
    """Weights that explain the choices best.

    Args:
        prior: (features,) weights of raw features to start from and to shrink towards; zeros if None.
        threads: changes the time it takes and nothing else.

    Guarantees: the same bytes for any number of threads; queries or candidates in another order change a standardised
    weight by one step of the grid at most, and hardly ever that; a feature that varies within no query keeps its prior.

    Raises:
        UnusableChoices: see `check`.
    Cost: 0.2 µs a row and iteration with 25 features, some 4 to 7 iterations, and 0.4 µs a row before the first; memory
    beside the choices: 16 bytes a row for a moment, then 8 · features² bytes for every 512 queries.
    """
    check(choices)
    width = choices.features.shape[1]
    start = np.zeros(width) if prior is None else np.asarray(prior, np.float64)
    assert start.shape == (width,)
    with problem_of(choices, configuration.l2, start, threads) as problem:
        if not len(problem.queries) or not len(problem.used):
            return LogitFit(start.copy(), len(problem.queries), 0.0, 0, True)
        beta = problem.prior
        if len(problem.queries) >= _THINNED_FROM:
            beta = _descend(problem.thinned(_THINNED_BY), beta, configuration.iterations_max)[0]
        beta, at, iterations, converged = _descend(problem, beta, configuration.iterations_max)
    weights = start.copy()
    weights[problem.used] = np.rint(beta * GRID) / GRID * problem.scale
    return LogitFit(weights, len(problem.queries), at.bare, iterations, converged)


class Problem:
    """The choices with their scales: what the descent asks for losses. Weights in it are standardised.

    Attributes:
        queries: which queries count; used: which features vary; scale: (used,) the inverse of their spread.
        prior: (used,) standardised.
    """

    def __init__(self, choices: Choices, l2: float, prior: FloatVector, pool: ThreadPoolExecutor) -> None:
        self._choices, self._l2, self._pool = choices, l2, pool
        self._weight = choices.weights()
        self.queries = telling(choices)
        self._total = float(self._weight[self.queries].sum())
        spread = self._spread()
        self.used: CountVector = np.flatnonzero(spread > 0)
        self.scale: FloatVector = 1.0 / spread[self.used]
        self.prior: FloatVector = prior[self.used] / self.scale

    def thinned(self, every: int) -> Problem:
        """The same with one in so many of the queries: its optimum is near, and cheaper to find."""
        thin = copy(self)
        thin.queries = self.queries[::every]
        thin._total = float(self._weight[thin.queries].sum())
        return thin

    def evaluate(self, beta: FloatVector) -> Evaluation:
        """Loss, gradient and Hessian at standardised weights. Cost: one pass over the choices."""
        width = len(beta)
        loss, gradient, hessian = 0.0, np.zeros(width), np.zeros((width, width))
        for block_loss, block_gradient, block_hessian in self._pool.map(
            lambda block: self._block(block, beta), self._blocks()
        ):
            loss += block_loss
            gradient += block_gradient
            hessian += block_hessian
        apart = beta - self.prior
        hessian += np.tril(hessian, -1).T
        hessian[np.diag_indices(width)] += self._l2
        penalised = loss + 0.5 * self._l2 * float(np.sum(apart * apart))
        gradient = (gradient + self._l2 * apart) / self._total
        return Evaluation(penalised / self._total, gradient, hessian / self._total, loss / self._total)

    def _block(self, block: CountVector, beta: FloatVector) -> tuple[float, FloatVector, Matrix]:
        gradient, hessian = np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
        features, start, label, _ = self._choices
        loss = add_choices(features, start, label, self._weight, block, self.used, self.scale, beta, gradient, hessian)
        return loss, gradient, hessian

    def _spread(self) -> FloatVector:
        """(features,) standard deviation within queries, on the grid, 0 for none."""
        variance = np.zeros(self._choices.features.shape[1])

        def of_block(block: CountVector) -> FloatVector:
            sums = np.zeros_like(variance)
            add_spread(self._choices.features, self._choices.start, block, self._weight, sums)
            return sums

        for sums in self._pool.map(of_block, self._blocks()):
            variance += sums
        mantissa, exponent = np.frexp(np.sqrt(variance / max(self._total, np.finfo(np.float64).tiny)))
        return np.ldexp(np.rint(mantissa * GRID) / GRID, exponent)

    def _blocks(self) -> list[CountVector]:
        return [self.queries[at : at + _QUERIES_AT_ONCE] for at in range(0, len(self.queries), _QUERIES_AT_ONCE)]


@contextmanager
def problem_of(choices: Choices, l2: float, prior: FloatVector, threads: int) -> Iterator[Problem]:
    """A problem while its threads live; `prior` for raw features."""
    with ThreadPoolExecutor(threads) as pool:
        yield Problem(choices, l2, prior, pool)


def _descend(problem: Problem, beta: FloatVector, iterations_max: int) -> tuple[FloatVector, Evaluation, int, bool]:
    """Newton's method: weights, what they cost, evaluations, whether it arrived."""
    at, iterations = problem.evaluate(beta), 1
    while iterations < iterations_max:
        step = np.linalg.solve(at.hessian, -at.gradient)
        gain = -float(np.sum(at.gradient * step)) / 2
        if gain <= _DONE:
            return beta + step, at, iterations, True
        size, halvings = 1.0, 0
        new = problem.evaluate(beta + step)
        iterations += 1
        while gain > _NEAR and not new.loss <= at.loss - 2 * _SUFFICIENT * size * gain and halvings < _HALVINGS_MAX:
            size, halvings = size / 2, halvings + 1
            new = problem.evaluate(beta + size * step)
            iterations += 1
        beta, at = beta + size * step, new
    return beta, at, iterations, False
