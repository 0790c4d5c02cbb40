"""Kept counts become what a policy learned: the sums its tables are worked out from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np

from ingest.vocabulary.ranking import FloatVector
from personalization.experiments import thompson
from personalization.experiments.contextual import LinearLearned, Sums
from personalization.experiments.counting import GOALS, Counted, Counts, Place
from personalization.experiments.learning import Learning, periods_max
from personalization.experiments.thompson import Learned

_HALVES_MAX = 1000.0  # beyond this age nothing of a sum is left


def learned_of(states: Iterable[tuple[Place, Counted]]) -> Learned:
    """What the states of a policy come to for everybody; in any order."""
    partitions: dict[int, dict[str, dict[int, Counts]]] = {}
    for place, counted in states:
        arms = partitions.setdefault(place.partition, {})
        for arm, counts in counted.counts.items():
            arms.setdefault(arm, {})[place.period] = counts
    return reduce(thompson.merged, map(Learned, partitions.values()), thompson.UNLEARNED)


def linear_of(states: Iterable[tuple[Place, Counted]], features: int, learning: Learning) -> LinearLearned:
    """What the states of a policy come to for each situation; those with another number of features are passed over.

    A period weighs half of one that is a half-life later. Sums run period by period, each in the order of its
    partitions, so that equal states give equal sums. Cost: some 8 µs an arm of a state.
    """
    ordered = sorted(states, key=lambda each: (each[0].period, each[0].partition))
    newest = ordered[-1][0].period if ordered else 0
    at, prefix, totals = GOALS.index(learning.goal), f"{features}:", dict[str, FloatVector]()
    for place, counted in ordered:
        age_s = (newest - place.period) * place.terms.period_s
        if newest - place.period >= periods_max:
            continue
        weight = 2.0 ** -min(age_s / learning.half_life_s, _HALVES_MAX) if learning.half_life_s else 1.0
        for name in sorted(counted.linear):
            if name.startswith(prefix):
                arm, linear = name.removeprefix(prefix), counted.linear[name]
                its = (linear.decisions, linear.rewards_squared[at], *linear.products[at], *linear.squares)
                weighed = np.array(its) * weight
                totals[arm] = weighed if arm not in totals else totals[arm] + weighed
    return LinearLearned({arm: _sums(totals[arm], features) for arm in sorted(totals)})


def _sums(total: FloatVector, features: int) -> Sums:
    decisions, rewards_squared = total[:2].tolist()
    products, triangle = total[2 : 2 + features], total[2 + features :]
    squares = np.zeros((features, features))
    rows, columns = np.triu_indices(features)
    squares[rows, columns] = squares[columns, rows] = triangle
    return Sums(decisions, tuple(squares.ravel().tolist()), tuple(products.tolist()), rewards_squared)
