"""The score of a pair of products, the test that it is no accident, and a bounded list in order of score.

Only + − × ÷ √ and comparisons in a fixed order: IEEE 754 rounds these in one way, so machines agree on every bit.

Source: the generalised cosine of Aiolli, "Efficient top-n recommendation for very large scale binary rated datasets"
(RecSys 2013), with damping by basket size and shrinkage; we add a fast-decaying and an undecayed copy.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector, IntVector
from recommender.decay import ONE
from recommender.kernels import row_kernel

# The columns of `tuning`, the parameters of the score.
SHRINK, WEIGHT_RAW, WEIGHT_SLOW, WEIGHT_FAST, Z_MIN, COMMON_MIN, UNTESTED_ORDERS = range(7)

Matrix = NDArray[Any]
_UNIT = 1.0 / ONE  # a power of two: exact


@row_kernel
def norm(total: float, shrink: float) -> float:
    """(total + shrink)^(3/8): what a product's own weight is damped by as a partner; its square, as a seed."""
    root = math.sqrt(math.sqrt(math.sqrt(total + shrink)))
    return root * root * root


@row_kernel
def pair_score(
    raw: float, slow: float, fast: float, seed: FloatVector, norms: Matrix, partner: int, at: int, tuning: FloatVector
) -> float:
    """How strongly a seed suggests a partner.

    Args:
        raw, slow, fast: the pair's fixed-point sums; seed: (3,) its norms, squared; norms: (products, …) those of all,
        from column `at` on.
    """
    return float(
        tuning[WEIGHT_RAW] * (raw * _UNIT / (seed[0] * norms[partner, at]))
        + tuning[WEIGHT_SLOW] * (slow * _UNIT / (seed[1] * norms[partner, at + 1]))
        + tuning[WEIGHT_FAST] * (fast * _UNIT / (seed[2] * norms[partner, at + 2]))
    )


@row_kernel
def is_significant(common: int, seed: int, partner: int, orders: int, tuning: FloatVector) -> bool:
    """Whether `common` orders of two products are more than chance explains.

    A z-score against independence with a continuity correction. In a shop's first orders the test has no power and
    only the least number in common, not below chance, is asked for.
    """
    if common < tuning[COMMON_MIN]:
        return False
    expected = float(seed) * float(partner) / float(orders)
    if orders < tuning[UNTESTED_ORDERS]:
        return float(common) >= expected
    margin = float(common) - 0.5 - expected
    if margin <= 0.0:
        return False
    variance = expected * (1.0 - float(seed) / float(orders)) * (1.0 - float(partner) / float(orders))
    return bool(margin * margin >= tuning[Z_MIN] * tuning[Z_MIN] * variance)


@row_kernel
def price_factor(price: float, other: float, weight: float) -> float:
    """1 for equal prices, down to 1 - `weight` for prices worlds apart; 1 where one is unknown (0)."""
    if price <= 0.0 or other <= 0.0:
        return 1.0
    return 1.0 - weight + weight * (min(price, other) / max(price, other))


@row_kernel
def insert_ranked(
    scores: FloatVector, items: IntVector, ties: IntVector, count: int, limit: int, score: float, item: int, tie: int
) -> int:
    """Keep the best `limit` items, by score and then by the smaller tie; returns how many there are now.

    Cost: O(log limit) to refuse, O(limit) to accept.
    """
    if count == limit and (score < scores[count - 1] or (score == scores[count - 1] and tie >= ties[count - 1])):
        return count
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if scores[middle] > score or (scores[middle] == score and ties[middle] < tie):
            low = middle + 1
        else:
            high = middle
    if count < limit:
        count += 1
    for place in range(count - 1, low, -1):
        scores[place] = scores[place - 1]
        items[place] = items[place - 1]
        ties[place] = ties[place - 1]
    scores[low], items[low], ties[low] = score, item, tie
    return count
