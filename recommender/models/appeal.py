"""How much more than usual a product is clicked when it is looked at: clicks over what its positions would bring any.

A product that was shown at the bottom and clicked twice says more than one that was shown at the top and clicked twice;
one that was looked at often and passed over says that it does not appeal. Clicks are taken to be Poisson about
expected × appeal, the appeal to be Gamma of mean 1, so that few clicks say little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from ingest.vocabulary.ranking import FloatVector
from recommender.models.examination import sums
from recommender.shown import ShownLists

STRENGTHS = tuple(0.5 * 2.0**step for step in range(10))  # of the Gamma: as if so many clicks had been as expected
_LEAST_GAIN = 1e-6  # a likelihood that is larger by less is not


class Appeal(NamedTuple):
    """`logs` (products,) of how many times as much as usual a product is clicked where it is looked at, 0 for nothing
    known; `strength` of the prior they are shrunk with.
    """

    logs: FloatVector
    strength: float


def fit_appeal(shown: ShownLists, examined: FloatVector, products: int) -> Appeal:
    """The appeal of each product of a catalogue.

    Args:
        examined: (products shown,) how much each was looked at; ones would take clicks at face value.

    Guarantees: the same for lists in any order; a product that was never shown has 0. Cost: a pass.
    """
    placement = shown.placement[shown.owners()]
    clicked = shown.clicked.astype(np.float64)
    looked_at = sums(placement, examined, len(shown.placements))
    usual = sums(placement, clicked, len(shown.placements)) / np.maximum(looked_at, np.finfo(np.float64).tiny)
    known = shown.product >= 0
    rows = shown.product[known]
    expected = sums(rows, (examined * usual[placement])[known], products)
    clicks = sums(rows, clicked[known], products)
    strength = _strength(clicks[expected > 0], expected[expected > 0])
    logs = np.log((clicks + strength) / (expected + strength)).astype(np.float64)
    return Appeal(np.round(logs, 4), strength)


def _strength(clicks: FloatVector, expected: FloatVector) -> float:
    """The strength under which the clicks are most likely: they are negative binomial."""
    best, most_likely = STRENGTHS[-1], -np.inf
    for strength in STRENGTHS[::-1]:
        share = expected / (expected + strength)
        likely = gammaln(clicks + strength) - gammaln(strength) + strength * np.log1p(-share) + clicks * np.log(share)
        if (total := float(likely.sum())) > most_likely + _LEAST_GAIN:
            best, most_likely = strength, total
    return best
