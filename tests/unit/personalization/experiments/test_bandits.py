"""The learning policies in worlds whose truth is known: what they earn, how they follow, what they keep trying."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Terms
from personalization.experiments.attribution import NOTHING, Change, Decision, Reward
from personalization.experiments.contextual import LinearLearned, LinearPolicy, Sums, chances_of_normals
from personalization.experiments.counting import VALUE_STEPS, Counted, Counts, Place, arms_max, evolve_counted
from personalization.experiments.learning import Learning, checked, periods_max
from personalization.experiments.summing import learned_of, linear_of
from personalization.experiments.thompson import (
    UNLEARNED,
    Learned,
    chances_by_rate,
    comparable_decisions,
    merged,
    prior_orders,
    table,
    weighted_counts,
)
from tests.support.simulated import best_fixed, earned, even_split, learn_rates, learn_situations

ORDERS = Learning(goal="order", floor=0.02)
SEEDS = range(5)


def test_regret_is_a_fifth_of_an_even_split_or_less() -> None:
    rates = (0.030, 0.034, 0.045, 0.028)
    shares = []
    for seed in SEEDS:
        played = learn_rates(lambda _: rates, 120, 1_000, ORDERS, seed)
        shares.append((max(rates) - earned(played)) / (max(rates) - even_split(played)))
    assert np.mean(shares) <= 0.2, shares
    assert max(shares) <= 0.25, shares


def test_orders_that_come_two_days_later_cost_little() -> None:
    rates = (0.030, 0.034, 0.045, 0.028)
    played = learn_rates(lambda _: rates, 120, 1_000, ORDERS, 1, delay=8)
    assert (max(rates) - earned(played)) / (max(rates) - even_split(played)) <= 0.3


def test_an_arm_that_was_shown_on_bad_days_is_not_taken_for_a_bad_one() -> None:
    state = Learned(
        {
            "steady": {0: Counts(9_000, ordered=360), 1: Counts(1_000, ordered=10)},
            "better": {0: Counts(1_000, ordered=48), 1: Counts(9_000, ordered=108)},
        }
    )
    learning = Learning(half_life_s=0.0)
    assert table(state, ["steady", "better"], learning).of("better") > 0.9
    counts = weighted_counts(state, ["steady", "better"], learning)
    assert (
        370 / comparable_decisions(counts[:, :, 0], counts[:, :, 3])[0]
        < 156 / comparable_decisions(counts[:, :, 0], counts[:, :, 3])[1]
    )


def test_where_the_truth_changes_it_beats_the_best_fixed_split_of_hindsight_by_a_fifth() -> None:
    gains = []
    for seed in SEEDS:
        changing = learn_rates(
            lambda at: (0.06, 0.03, 0.03) if at < 80 else (0.03, 0.03, 0.06),
            160,
            1_000,
            Learning(floor=0.02, half_life_s=3 * 86_400.0),
            seed,
        )
        gains.append(earned(changing) / best_fixed(changing) - 1)
    assert min(gains) >= 0.20, gains


def test_it_follows_a_change_within_five_days_and_does_not_without_decay() -> None:
    def rates(at: int) -> tuple[float, float]:
        return (0.06, 0.03) if at < 80 else (0.03, 0.06)

    followed = learn_rates(rates, 100, 1_000, Learning(half_life_s=2 * 86_400.0), 1)
    stayed = learn_rates(rates, 100, 1_000, Learning(half_life_s=0.0), 1)
    assert followed[80].table.of("arm-00") > 0.9
    assert followed[99].table.of("arm-01") > 0.9
    assert stayed[99].table.of("arm-01") < 0.1


def test_no_arm_ever_gets_less_than_the_floor_however_bad_it_is() -> None:
    learning = Learning(floor=0.05)
    played = learn_rates(lambda _: (0.20, 0.01, 0.01), 60, 2_000, learning, 3)
    assert min(min(each.table.probabilities) for each in played) >= 0.05
    assert played[-1].table.of("arm-00") == pytest.approx(0.9, abs=1e-6)


def test_arms_nobody_has_seen_are_shown_alike_and_a_new_one_is_tried() -> None:
    assert table(UNLEARNED, ["b", "a"], ORDERS).probabilities == (0.5, 0.5)
    state = Learned({"old": {9: Counts(10_000, ordered=300)}})
    assert table(state, ["old", "new"], ORDERS).of("new") > 0.2


def test_the_chance_of_being_the_best_is_that_of_sampling_the_posterior() -> None:
    decisions, successes = np.array([400.0, 500.0, 300.0]), np.array([20.0, 31.0, 18.0])
    common = 70 / 1202
    generator = np.random.default_rng(5)
    drawn = generator.beta(1 + successes, 1 / common - 1 + decisions - successes, (400_000, 3))
    sampled = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    assert chances_by_rate(decisions, successes) == pytest.approx(sampled, abs=3e-3)


def test_the_chance_of_being_the_greatest_normal_is_that_of_sampling() -> None:
    means, deviations = np.array([0.1, 0.12, 0.05]), np.array([0.02, 0.03, 0.08])
    drawn = np.random.default_rng(6).normal(means, deviations, (400_000, 3))
    sampled = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    assert chances_of_normals(means, deviations) == pytest.approx(sampled, abs=3e-3)


def test_the_chance_of_earning_the_most_is_that_of_sampling_rates_and_values() -> None:
    orders, decisions, unit = np.array([40, 52, 30]), np.array([1_000, 1_200, 900]), VALUE_STEPS / 100
    values, squares = orders * np.array([4.0, 3.0, 5.0]), orders * np.array([20.0, 12.0, 40.0])
    state = Learned(
        {
            arm: {
                0: Counts(int(decisions[at]), 0, 0, int(orders[at]), int(values[at] * unit), int(squares[at] * unit**2))
            }
            for at, arm in enumerate("abc")
        }
    )
    generator = np.random.default_rng(8)
    common = (orders.sum() + 1) / (decisions.sum() + 2)
    rates = generator.beta(1 + orders, 1 / common - 1 + decisions - orders, (400_000, 3))
    mean = values.sum() / orders.sum()
    variance = squares.sum() / orders.sum() - mean**2
    weight = prior_orders + orders  # Gelman et al., section 3.3, with the arms' common mean and variance as the prior
    spread = prior_orders * variance + squares - values**2 / orders
    spread += prior_orders * orders / weight * (values / orders - mean) ** 2
    means = (prior_orders * mean + values) / weight
    drawn = rates * np.maximum(
        means + np.sqrt(spread / weight / weight) * generator.standard_t(weight, (400_000, 3)), 0
    )
    sampled = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    probabilities = table(state, ["a", "b", "c"], Learning(goal="value", floor=0.0)).probabilities
    assert probabilities == pytest.approx(sampled, abs=5e-3)


def test_for_value_a_dear_order_beats_a_frequent_one() -> None:
    steps = VALUE_STEPS // 100
    state = Learned(
        {
            "frequent": {0: Counts(10_000, ordered=400, value_steps=400 * steps, value_steps_squared=800 * steps**2)},
            "dear": {0: Counts(10_000, ordered=300, value_steps=900 * steps, value_steps_squared=5400 * steps**2)},
        }
    )
    arms = ["frequent", "dear"]
    assert table(state, arms, Learning(goal="order")).of("frequent") > 0.95
    assert table(state, arms, Learning(goal="value")).of("dear") > 0.95
    assert table(state, arms, Learning(goal="value")) == table(state, arms, Learning(goal="value"))


def test_one_enormous_order_does_not_decide() -> None:
    learning = Learning(goal="value", value_e4_max=1_000_000)
    terms = Terms(value_e4_max=1_000_000)
    state = Counted()
    for at in range(400):
        for arm in ("odd", "good"):
            decision = Decision(f"{arm}-{at}", "p", arm, at, terms=terms)
            ordered = at % 20 == 0 or (arm == "good" and at % 20 == 10)
            value = 10**12 if arm == "odd" and at == 0 else 300_000
            reward = Reward(ordered=True, value_e4=value) if ordered else NOTHING
            state = evolve_counted(state, Change(decision, None, reward))
    learned = learned_of([(Place(0, 0, terms, "p"), state)])
    assert table(learned, ["odd", "good"], learning).of("good") > 0.7


def test_what_was_taken_back_leaves_no_trace() -> None:
    decision = Decision("r1", "p", "a", 5_000, (1.0, 0.5))
    made = evolve_counted(Counted(), Change(decision, None, NOTHING))
    bought = Reward(ordered=True, value_e4=123_456)
    then = evolve_counted(made, Change(decision, NOTHING, bought))
    assert then != made
    assert evolve_counted(then, Change(decision, bought, NOTHING)) == made


def test_arms_beyond_what_is_bounded_are_passed_over() -> None:
    state = Counted()
    for at in range(arms_max + 5):
        state = evolve_counted(state, Change(Decision(f"r{at}", "p", f"arm-{at}", at), None, NOTHING))
    assert len(state.counts) == arms_max
    again = evolve_counted(state, Change(Decision("r", "p", "arm-0", 9), None, NOTHING))
    assert again.counts["arm-0"].decisions == 2


def test_a_period_weighs_by_its_age_and_goes_when_there_are_too_many() -> None:
    learning = Learning(half_life_s=4 * 21_600.0)
    state = merged(Learned({"a": {0: Counts(100, ordered=8)}}), Learned({"b": {8: Counts(10)}}))
    assert weighted_counts(state, ["a"], learning)[0, :, [0, 3]].ravel() == pytest.approx([25.0, 2.0])
    later = merged(state, Learned({"b": {periods_max: Counts(1)}}))
    assert later.arms.keys() == {"b"}


def test_where_situations_have_different_winners_context_beats_the_best_fixed_split_by_a_quarter() -> None:
    rates = np.array([[0.10, 0.05, 0.06], [0.05, 0.10, 0.06]])
    gains = []
    for seed in SEEDS:
        played = learn_situations(rates, 80, 500, Learning(goal="click", floor=0.02, half_life_s=0.0), seed)
        value = np.mean(
            [[np.dot(one.probabilities, own) for one, own in zip(each, rates, strict=True)] for each in played]
        )
        gains.append(value / rates.mean(axis=0).max() - 1)
    assert min(gains) >= 0.25, gains
    assert all(min(one.probabilities) >= 0.02 for each in played for one in each)


def test_a_contextual_policy_takes_a_new_arm_for_one_like_all_others() -> None:
    seen = Sums(5_000.0, (5_000.0,), (500.0,), 500.0)
    policy = LinearPolicy(LinearLearned({"seen": seen}), ["seen", "new"], 1, ORDERS)
    assert policy.table([1.0]).of("new") == pytest.approx(0.5, abs=0.02)


def linear_after(*changes: Change, learning: Learning = ORDERS, features: int = 2) -> LinearLearned:
    """What is learned of changes that are counted in periods of 100 s."""
    states: dict[int, Counted] = {}
    for change in changes:
        period = change.decision.at_ms // 100_000
        states[period] = evolve_counted(states.get(period, Counted()), change)
    terms = Terms(period_s=100)
    return linear_of([(Place(0, at, terms, "p"), state) for at, state in states.items()], features, learning)


def test_what_a_contextual_policy_saw_counts_half_after_a_half_life() -> None:
    learning = Learning(half_life_s=100.0)
    decision = Decision("r", "p", "a", 0, (1.0, 2.0))
    first = Change(decision, None, Reward(ordered=True))
    later = Change(msgspec.structs.replace(decision, at_ms=100_000, arm="b"), None, NOTHING)
    state = linear_after(first, later, learning=learning)
    assert state.arms["a"] == Sums(0.5, (0.5, 1.0, 1.0, 2.0), (0.5, 1.0), 0.5)
    assert state.arms["b"] == Sums(1.0, (1.0, 2.0, 2.0, 4.0), (0.0, 0.0), 0.0)
    early = linear_after(first, later, Change(decision, None, NOTHING), learning=learning)
    assert early.arms["a"].decisions == 1.0
    assert linear_after(first, later, learning=Learning(half_life_s=0.0)).arms["a"].decisions == 1.0


def test_a_contextual_policy_passes_over_decisions_with_other_features() -> None:
    decision = Decision("r", "p", "a", 0, (1.0, 2.0))
    other = msgspec.structs.replace(decision, decision_id="q", features=(1.0,))
    both = linear_after(Change(decision, None, NOTHING), Change(other, None, NOTHING))
    assert both == linear_after(Change(decision, None, NOTHING))
    assert linear_after(Change(decision, None, NOTHING), features=3).arms == {}


def test_a_contextual_policy_says_what_is_wrong_with_a_situation() -> None:
    policy = LinearPolicy(LinearLearned(), ["a", "b"], 3, ORDERS)
    assert policy.table([1.0, 0.0, 1.0]).probabilities == (0.5, 0.5)
    with pytest.raises(ConfigurationError, match="3 finite features"):
        policy.table([1.0, 0.0])
    with pytest.raises(ConfigurationError, match="3 finite features"):
        policy.table([1.0, float("nan"), 0.0])
    state = linear_after(Change(Decision("r", "p", "a", 0, (1.0, 2.0)), None, NOTHING))
    with pytest.raises(ConfigurationError, match="learned 2 features"):
        LinearPolicy(state, ["a"], 3, ORDERS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"floor": 1.5}, "minimum exploration"),
        ({"period_s": 0}, "at least a second"),
        ({"value_e4_max": 0}, "cap above 0"),
        ({"half_life_s": -1.0}, "half-life must be from 0"),
        ({"period_s": 60}, "7200 s are kept"),
    ],
)
def test_settings_one_cannot_learn_with_are_refused(changed: dict[str, float], message: str) -> None:
    assert checked(Learning()) == Learning()
    with pytest.raises(ConfigurationError, match=message):
        checked(msgspec.structs.replace(Learning(), **changed))


def test_a_reward_that_is_known_before_its_decision_does_no_harm() -> None:
    state = Learned({"a": {0: Counts(0, ordered=3)}, "b": {0: Counts(5, ordered=-1, value_steps=-7)}})
    for goal in ("order", "value"):
        assert sum(table(state, ["a", "b"], Learning(goal=goal)).probabilities) == 1.0
