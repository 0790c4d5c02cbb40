"""Off-policy estimates where the truth is known, by hand or by construction, and where nothing can be said."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ingest.vocabulary.errors import MalformedEvent, NoOverlap
from personalization.experiments.off_policy import (
    FOLDS,
    Logged,
    doubly_robust_rounds,
    estimate,
    expected_rewards,
    prior_decisions,
    unskewed,
)

RATES = np.array([[0.30, 0.10, 0.20], [0.05, 0.40, 0.10]])  # situations by arms
TARGET = np.array([[0.7, 0.1, 0.2], [0.1, 0.8, 0.1]])
RUNNING = np.array([[0.3, 0.4, 0.3], [0.4, 0.2, 0.4]])
TRUTH = float((RATES * TARGET).sum(axis=1).mean())


def logged(n: int, seed: int, per_customer: int = 1) -> tuple[Logged, np.ndarray]:
    """Decisions of the running policy in situations that come alike, and the target's table for each."""
    generator = np.random.default_rng(seed)
    situations = generator.integers(0, 2, n)
    arms = (generator.random((n, 1)) > RUNNING[situations].cumsum(axis=1)[:, :-1]).sum(axis=1)
    rewards = (generator.random(n) < RATES[situations, arms]).astype(float)
    customers = np.arange(n) // per_customer
    return Logged(arms, rewards, RUNNING[situations, arms], customers), TARGET[situations]


def test_the_estimates_are_those_worked_out_by_hand() -> None:
    # Arms 0 and 1 drawn half the time each; the target wants 0 in three of four. 100 decisions of each kind below.
    # w: 3/2 for arm 0, 1/2 for arm 1. Sum of w·r: 100 · (3/2 · 1 + 3/2 · 0 + 1/2 · 1 + 1/2 · 1) = 250 of 400.
    arms = np.tile([0, 0, 1, 1], 100)
    rewards = np.tile([1.0, 0.0, 1.0, 1.0], 100)
    found = estimate(Logged(arms, rewards, np.full(400, 0.5), np.arange(400)), np.tile([0.75, 0.25], (400, 1)))
    assert found.ips.value == pytest.approx(float(Fraction(5, 8)))
    assert found.snips.value == pytest.approx(float(Fraction(5, 8)))
    assert found.logged.value == pytest.approx(0.75)
    assert found.effective_size == pytest.approx(float(Fraction(400 * 400, 500)))  # (Σw)² = 400², Σw² = 200 (9/4 + 1/4)
    assert found.weight_max == 1.5
    # DR with an expectation of 1/2 everywhere: 1/2 + mean of w (r - 1/2) = 1/2 + 100 (3/4 - 3/4 + 1/4 + 1/4) / 400.
    log = Logged(arms, rewards, np.full(400, 0.5), np.arange(400))
    rounds = doubly_robust_rounds(log, np.tile([0.75, 0.25], (400, 1)), np.full((400, 2), 0.5))
    assert rounds.mean() == pytest.approx(float(Fraction(5, 8)))


def test_nobodys_reward_is_in_the_model_that_judges_them() -> None:
    arms = np.array([0, 0, 1, 1, 0])
    rewards = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    log = Logged(arms, rewards, np.full(5, 0.5), np.arange(5))
    assert FOLDS == 5  # every customer is a fold
    expected = expected_rewards(log, 3)
    # Without the first: arm 0 earned 1 of 2, arm 1 2 of 2, all 3 of 4.
    assert expected[0] == pytest.approx(
        [
            (1 + prior_decisions * 0.75) / (2 + prior_decisions),
            (2 + prior_decisions * 0.75) / (2 + prior_decisions),
            0.75,
        ]
    )


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = {"ips": 0, "snips": 0, "doubly_robust": 0}
    runs = 400
    for seed in range(runs):
        found = estimate(*logged(2_000, seed))
        for name in inside:
            one = getattr(found, name)
            inside[name] += one.low <= TRUTH <= one.high
    print({name: held / runs for name, held in inside.items()})
    assert min(inside.values()) / runs >= 0.93
    assert max(inside.values()) / runs <= 0.975


def test_intervals_of_lopsided_logs_hold_the_truth_more_often_than_normal_ones() -> None:
    rates = np.random.default_rng(1).gamma(2, 0.0025, 34)
    running = np.random.default_rng(2).dirichlet(np.full(34, 0.5)) * 0.83 + 0.005
    truth, inside, normal, runs = float(rates.mean()), 0, 0, 300
    for seed in range(runs):
        generator = np.random.default_rng(seed)
        arms = generator.choice(34, 2_000, p=running)
        clicked = (generator.random(2_000) < rates[arms]).astype(float)
        log = Logged(arms, clicked, running[arms], np.arange(2_000))
        found = estimate(log, np.full((2_000, 34), 1 / 34)).ips
        inside += found.low <= truth <= found.high
        normal += abs(found.value - truth) <= 1.96 * np.std(clicked / running[arms] / 34) / np.sqrt(2_000)
    print(f"{inside} of {runs} intervals hold the truth, {normal} normal ones")
    assert normal / runs < 0.8
    assert inside / runs > 0.9


@pytest.mark.parametrize("skewness", [-0.4, 1e-9, 0.05, 0.6])
def test_removing_skewness_inverts_halls_cubic(skewness: float) -> None:
    for quantile in (-1.96, 0.0, 1.96):
        t = unskewed(quantile, skewness)
        cubic = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
        assert cubic == pytest.approx(quantile, abs=1e-8)


def test_the_interval_of_snips_is_that_of_leaving_each_customer_out() -> None:
    arms = np.repeat([0, 1], [230, 170])  # the weights average 1.075, as may happen by chance
    rewards = (np.arange(400) % 2).astype(float)
    found = estimate(Logged(arms, rewards, np.full(400, 0.5), np.arange(400)), np.tile([0.75, 0.25], (400, 1)))
    weights = np.where(arms == 0, 1.5, 0.5)
    without = (weights @ rewards - weights * rewards) / (weights.sum() - weights)
    error = np.sqrt(399 / 400 * ((without - without.mean()) ** 2).sum())
    assert found.snips.high - found.snips.low == pytest.approx(2 * 1.96 * error, rel=0.01)


def test_decisions_of_one_customer_count_as_the_same_evidence_not_more() -> None:
    log, target = logged(2_000, 1)
    four = Logged(*(np.repeat(each, 4) for each in (log.arms, log.rewards, log.propensities, log.customers)))
    once, repeated = estimate(log, target), estimate(four, np.repeat(target, 4, axis=0))
    assert repeated.ips.value == pytest.approx(once.ips.value)
    assert (repeated.ips.low, repeated.ips.high) == pytest.approx((once.ips.low, once.ips.high))


def test_a_policy_is_estimated_from_its_own_log_as_what_it_earned() -> None:
    log, _ = logged(2_000, 2)
    rate = log.rewards.mean()
    own = np.zeros((2_000, 3))
    rows = np.arange(2_000)
    own[rows, log.arms] = log.propensities
    own[rows, (log.arms + 1) % 3] = 1 - log.propensities
    found = estimate(log, own)
    assert found.ips.value == found.logged.value == found.snips.value == pytest.approx(rate)
    assert found.effective_size == pytest.approx(2_000)


def test_the_model_narrows_the_interval_where_rewards_are_large_and_alike() -> None:
    log, target = logged(4_000, 3)
    high = Logged(log.arms, log.rewards + 10.0, log.propensities, log.customers)
    found = estimate(high, target)
    widths = [each.high - each.low for each in (found.doubly_robust, found.ips)]
    assert widths[0] < widths[1] / 5
    assert found.doubly_robust.low <= TRUTH + 10 <= found.doubly_robust.high


def test_it_refuses_where_the_log_never_drew_what_the_policy_would() -> None:
    log, target = logged(2_000, 4)
    wanting = np.hstack([target * 0.9, np.full((2_000, 1), 0.1)])
    with pytest.raises(NoOverlap, match=r"10\.0% of what the policy would choose was never drawn"):
        estimate(log, wanting)
    assert estimate(log, np.hstack([target * 0.995, np.full((2_000, 1), 0.005)])).untried_share == pytest.approx(0.005)


def test_it_refuses_where_the_log_never_drew_it_in_that_situation() -> None:
    generator = np.random.default_rng(5)
    situations = generator.integers(0, 2, 4_000)  # arm 0 only in the first, arm 1 only in the second, arm 2 in both
    arms = np.where(generator.random(4_000) < 0.5, situations, 2)
    log = Logged(arms, np.ones(4_000), np.full(4_000, 0.5), np.arange(4_000))
    with pytest.raises(NoOverlap, match=r"average 0\.5"):
        estimate(log, np.tile([0.5, 0.5, 0.0], (4_000, 1)))


def test_it_refuses_where_a_handful_of_decisions_carries_the_estimate() -> None:
    generator = np.random.default_rng(6)
    arms = (generator.random(20_000) < 0.002).astype(int)
    log = Logged(arms, np.ones(20_000), np.where(arms, 0.002, 0.998), np.arange(20_000))
    with pytest.raises(NoOverlap, match="say as much about the policy as"):
        estimate(log, np.tile([0.0, 1.0], (20_000, 1)))


def test_it_refuses_probabilities_that_are_not_those_it_drew_with() -> None:
    log, target = logged(4_000, 7)
    with pytest.raises(NoOverlap, match="recorded probabilities are not those"):
        estimate(Logged(log.arms, log.rewards, log.propensities * 0.7, log.customers), target)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("propensities", 0.0, "above 0"),
        ("propensities", 1.1, "above 0"),
        ("propensities", np.nan, "above 0"),
        ("rewards", np.inf, "finite"),
        ("arms", 3, "columns 0 to 2"),
        ("arms", -1, "columns 0 to 2"),
    ],
)
def test_a_log_that_cannot_be_is_refused(name: str, value: float, message: str) -> None:
    log, target = logged(500, 8)
    getattr(log, name)[7] = value
    with pytest.raises(MalformedEvent, match=message):
        estimate(log, target)


def test_a_table_that_cannot_be_is_refused() -> None:
    log, target = logged(500, 9)
    with pytest.raises(MalformedEvent, match="sum to 1"):
        estimate(log, target * 1.01)
    with pytest.raises(MalformedEvent, match="needs decisions"):
        estimate(log, target[:-1])
    nothing = np.zeros(0, int)
    with pytest.raises(MalformedEvent, match="needs decisions"):
        estimate(Logged(nothing, nothing * 1.0, nothing * 1.0, nothing), np.zeros((0, 3)))
