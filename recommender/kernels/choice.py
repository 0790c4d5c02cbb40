"""The conditional logit's loops: sums over queries in their order, so that a block of them has one result."""

from __future__ import annotations

import math

import numpy as np

from ingest.vocabulary.ranking import CountVector, FloatVector
from recommender.kernels import kernel, row_kernel
from recommender.kernels.arrays import Array


@kernel
def score_linear(features: Array, weights: FloatVector, out: FloatVector) -> None:
    """Scores of candidates: a weighted sum in double precision, features in their order.

    Args:
        features: (rows, features) float32; weights: (features,); out: (rows,), overwritten.
    """
    assert features.shape[1] == len(weights)
    for row in range(features.shape[0]):
        total = 0.0
        for feature in range(len(weights)):
            total += weights[feature] * float(features[row, feature])
        out[row] = total


@row_kernel
def rank_positives(start: CountVector, label: Array, scores: FloatVector, out: FloatVector) -> None:
    """The rank of each positive among its query's candidates, from 1; equal scores share the mean of their ranks.

    Args:
        label, scores: (rows,); out: (positives,), in the order of rows.
    """
    found = 0
    for query in range(len(start) - 1):
        for positive in range(start[query], start[query + 1]):
            if label[positive]:
                above, equal = 0, 0
                for row in range(start[query], start[query + 1]):
                    above += scores[row] > scores[positive]
                    equal += scores[row] == scores[positive]
                out[found] = above + (equal + 1) / 2
                found += 1


@row_kernel
def add_spread(
    features: Array, start: CountVector, queries: CountVector, weight: FloatVector, out: FloatVector
) -> None:
    """Add each query's variance of each feature, times its weight, to `out` (features,).

    What does not vary within a query adds exactly nothing: sums of equal floats of 24 bits are exact in doubles.
    """
    width = features.shape[1]
    mean, squares = np.empty(width), np.empty(width)
    for query in queries:
        first, last = start[query], start[query + 1]
        mean[:], squares[:] = 0.0, 0.0
        for row in range(first, last):
            for feature in range(width):
                mean[feature] += float(features[row, feature])
        for feature in range(width):
            mean[feature] /= last - first
        for row in range(first, last):
            for feature in range(width):
                apart = float(features[row, feature]) - mean[feature]
                squares[feature] += apart * apart
        for feature in range(width):
            out[feature] += weight[query] * squares[feature] / (last - first)


@row_kernel
def add_choices(
    features: Array,
    start: CountVector,
    label: Array,
    weight: FloatVector,
    queries: CountVector,
    used: CountVector,
    scale: FloatVector,
    beta: FloatVector,
    gradient: FloatVector,
    hessian: Array,
) -> float:
    """The queries' loss; their gradient and the lower half of their Hessian are added to what is given.

    A query's loss is the cross-entropy between its positives, equally likely, and the softmax of its scores.

    Args:
        queries: which of them; used: (n,) which features; scale: (n,) what they are multiplied with.
        beta, gradient: (n,); hessian: (n, n).

    Features are taken relative to the query's first candidate: the softmax does not mind, and large common offsets
    do not eat the digits. Cost: n² / 2 multiplications a row, scratch of n doubles for each row of one query.
    """
    width, longest = len(used), 0
    for query in queries:
        longest = max(longest, start[query + 1] - start[query])
    scaled, share = np.empty((longest, width)), np.empty(longest)
    mean, taken = np.empty(width), np.empty(width)
    loss = 0.0
    for query in queries:
        first, rows = start[query], start[query + 1] - start[query]
        best, positives = -np.inf, 0
        for row in range(rows):
            total = 0.0
            for at in range(width):
                apart = float(features[first + row, used[at]]) - float(features[first, used[at]])
                scaled[row, at] = apart * scale[at]
                total += scaled[row, at] * beta[at]
            share[row] = total
            best = max(best, total)
            positives += label[first + row]
        mass, wanted = 0.0, 0.0
        mean[:], taken[:] = 0.0, 0.0
        for row in range(rows):
            if label[first + row]:
                wanted += share[row] - best
                for at in range(width):
                    taken[at] += scaled[row, at]
            share[row] = math.exp(share[row] - best)
            mass += share[row]
        loss += weight[query] * (math.log(mass) - wanted / positives)
        for row in range(rows):
            share[row] *= weight[query] / mass
        _add_outer(scaled, share, rows, mean, hessian)
        for at in range(width):
            gradient[at] += mean[at] - weight[query] * taken[at] / positives
            for other in range(at + 1):
                hessian[at, other] -= mean[at] * mean[other] / weight[query]
    return loss


@row_kernel
def _add_outer(scaled: Array, share: FloatVector, rows: int, mean: FloatVector, hessian: Array) -> None:
    """Add Σ share · row to `mean` and Σ share · row rowᵀ to the lower half of `hessian`, four rows at a time."""
    width, row = len(mean), 0
    while row + 4 <= rows:
        one, two, three, four = scaled[row], scaled[row + 1], scaled[row + 2], scaled[row + 3]
        for at in range(width):
            first, second = share[row] * one[at], share[row + 1] * two[at]
            third, fourth = share[row + 2] * three[at], share[row + 3] * four[at]
            mean[at] += first + second + third + fourth
            line = hessian[at]
            for other in range(at + 1):
                line[other] += first * one[other] + second * two[other] + third * three[other] + fourth * four[other]
        row += 4
    while row < rows:
        one = scaled[row]
        for at in range(width):
            first = share[row] * one[at]
            mean[at] += first
            for other in range(at + 1):
                hessian[at, other] += first * one[other]
        row += 1
