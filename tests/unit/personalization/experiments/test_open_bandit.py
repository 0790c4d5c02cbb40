"""The estimators on a real log with true probabilities: two policies ran side by side, each judges the other.

The data may not be kept with the code; without it the figures below are what was found, and a run says that these tests
were left out. Data: Saito et al., "Open Bandit Dataset and Pipeline" (2021), 10,000 impressions of each policy.
"""

from __future__ import annotations

import numpy as np
import pytest

from personalization.experiments.off_policy import FOLDS, Evaluation, Logged, estimate, prior_decisions
from tests.support.open_bandit import (
    ITEMS,
    Reference,
    frequencies,
    impressions,
    is_there,
    worked_out,
)

pytestmark = pytest.mark.skipif(not is_there(), reason="asked for by name, and the sample is not there")

# By `worked_out` in tests/support/open_bandit.py: the Thompson policy (its frequencies by position in its own log)
# estimated from the log of the random one, and the random policy from the log of the Thompson one.
THOMPSON_FROM_RANDOM = Reference(0.005656266700835461, 0.005739864701951364, 0.00581113976288758, 2869.2752717879575)
RANDOM_FROM_THOMPSON = Reference(0.003008626327256482, 0.003189423162277403, 0.003217624147661067, 655.7098495873269)
CASES = pytest.mark.parametrize(
    ("log", "other", "reference"),
    [("random", "bts", THOMPSON_FROM_RANDOM), ("bts", "random", RANDOM_FROM_THOMPSON)],
)


def target_of(policy: str):
    """The policy's probability of an item at a position."""
    return frequencies(impressions(policy)) if policy == "bts" else lambda item, position: 1 / ITEMS


def estimated(log: str, other: str) -> Evaluation:
    shown, target = impressions(log), target_of(other)
    tables = {at: [target(item, at) for item in range(ITEMS)] for at in {each.position for each in shown}}
    return estimate(
        Logged(
            np.array([each.item for each in shown]),
            np.array([float(each.click) for each in shown]),
            np.array([each.propensity for each in shown]),
            np.arange(len(shown)),
        ),
        np.array([tables[each.position] for each in shown]),
    )


@CASES
def test_the_reference_figures_follow_from_the_pipelines_formulas(log: str, other: str, reference: Reference) -> None:
    again = worked_out(impressions(log), target_of(other), FOLDS, prior_decisions)
    assert again == pytest.approx(reference, rel=1e-9)


@CASES
def test_the_estimators_agree_with_the_reference_figures(log: str, other: str, reference: Reference) -> None:
    found = estimated(log, other)
    values = (found.ips.value, found.snips.value, found.doubly_robust.value)
    assert values == pytest.approx(reference[:3], rel=1e-6, abs=0)
    assert found.effective_size == pytest.approx(reference.effective_size, rel=1e-6)


@CASES
def test_each_policys_estimate_from_the_others_log_covers_what_it_earned(
    log: str, other: str, reference: Reference
) -> None:
    found = estimated(log, other)
    earned = float(np.mean([each.click for each in impressions(other)]))
    print(f"{other} earned {earned:.5f}; from the log of {log}: {found}")
    for one in (found.ips, found.snips, found.doubly_robust):
        assert one.low <= earned <= one.high
        assert one.high - one.low < earned * 2, "an interval that covers everything proves nothing"
