"""Laws of drawing, assigning, attributing and learning, for any weights, people and histories."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.events import Terms
from ingest.vocabulary.ids import OrderId, RequestId
from personalization.experiments import thompson
from personalization.experiments.assignment import Experiment, assign
from personalization.experiments.attribution import (
    EMPTY,
    Attribution,
    Change,
    Decision,
    Reward,
    credited_orders_max,
    evolve_added,
    evolve_called_off,
    evolve_clicked,
    evolve_decided,
    evolve_ordered,
    pending_max,
)
from personalization.experiments.contextual import LinearPolicy, chances_of_normals
from personalization.experiments.counting import Counted, LearnedProjection, Place, evolve_counted, place_of_key
from personalization.experiments.draws import SHARES, draw, table_of, uniform
from personalization.experiments.learning import Learning, periods_max
from personalization.experiments.off_policy import Logged, estimate
from personalization.experiments.summing import learned_of, linear_of

HOUR_MS = 3_600_000
names = st.sampled_from("abcdefgh")
weights = st.dictionaries(names, st.floats(0, 1e300), min_size=1)
TERMS = Terms(window_s=86_400)
LEARNING = Learning(goal="value", half_life_s=86_400.0, floor=0.03)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("decided"), st.integers(0, 60), st.sampled_from("ab"), st.integers(0, 60)),
        st.tuples(st.just("clicked"), st.integers(0, 60), st.just(""), st.integers(0, 60)),
        st.tuples(st.just("added"), st.just(0), st.just(""), st.integers(0, 60)),
        st.tuples(st.just("ordered"), st.integers(0, 30), st.just(""), st.integers(0, 60)),
        st.tuples(st.just("called off"), st.integers(0, 30), st.just(""), st.just(0)),
    ),
    max_size=60,
)


def fold(history: list[tuple[str, int, str, int]]) -> tuple[Attribution, list[Change]]:
    state, changes = EMPTY, []
    for kind, number, policy, hour in history:
        at_ms, order = hour * HOUR_MS, OrderId(f"o{number}")
        if kind == "decided":
            decision = Decision(f"r{number}", policy, "xyz"[number % 3], at_ms, (1.0, float(number % 2)), TERMS)
            state, changed = evolve_decided(state, decision)
        elif kind == "clicked":
            state, changed = evolve_clicked(state, RequestId(f"r{number}"), at_ms)
        elif kind == "added":
            state, changed = evolve_added(state, at_ms)
        elif kind == "ordered":
            state, changed = evolve_ordered(state, order, 10_000 * number, at_ms)
        else:
            state, changed = evolve_called_off(state, order, at_ms)
        changes += changed
    return state, changes


@given(weights, st.floats(0, 1))
def test_propensities_sum_to_exactly_one_and_no_arm_is_below_the_floor(given: dict[str, float], part: float) -> None:
    floor = part / len(given)
    table = table_of(given, floor=floor)
    assert sum(table.shares) == SHARES
    assert sum(table.probabilities) == sum(reversed(table.probabilities)) == math.fsum(table.probabilities) == 1.0
    assert min(table.shares) >= math.floor(floor * SHARES)
    total = math.fsum(weight / max(given.values()) for weight in given.values()) if any(given.values()) else 0
    for arm, weight in given.items():
        share = weight / max(given.values()) / total if total else 1 / len(given)
        assert table.of(arm) == pytest.approx(floor + (1 - floor * len(given)) * share, abs=2 * len(given) / SHARES)


@given(weights, st.text(max_size=20))
def test_a_draw_is_repeatable_and_of_an_arm_that_had_a_chance(given: dict[str, float], request: str) -> None:
    table = table_of(given)
    drawn = draw(table, "draw", request)
    assert drawn == draw(table_of(dict(reversed(given.items()))), "draw", request)
    assert drawn.propensity == table.of(drawn.arm) > 0


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_hashes_tell_all_parts_apart(one: list[str], two: list[str]) -> None:
    assert 0 <= uniform(*one) < 1
    assert (uniform(*one) == uniform(*two)) == (one == two)


@given(st.dictionaries(names, st.floats(0.01, 1), min_size=2), st.floats(0, 1), st.floats(0, 1), st.text(max_size=20))
def test_an_assignment_only_ever_begins_as_an_experiment_grows(
    arms: dict[str, float], first: float, second: float, customer: str
) -> None:
    experiment = Experiment(name="e", arms=arms, control=min(arms))
    small, large = sorted((first, second))
    before = assign(msgspec.structs.replace(experiment, admitted=small), customer)
    after = assign(msgspec.structs.replace(experiment, admitted=large), customer)
    assert before in (None, after)
    assert after in (None, assign(experiment, customer))


@given(steps)
def test_attribution_is_bounded_and_its_changes_are_what_it_holds(history: list[tuple[str, int, str, int]]) -> None:
    state, changes = fold(history)
    assert len(state.pending) <= pending_max
    assert len(state.orders) <= credited_orders_max
    told: dict[tuple[str, str], Reward] = {}
    for change in changes:
        name = (change.decision.policy, change.decision.decision_id)
        assert change.before == told.get(name)
        told[name] = change.after
    assert all(told[each.decision.policy, each.decision.decision_id] == each.reward for each in state.pending)
    assert all(reward.value_e4 >= 0 and (reward.ordered or reward.value_e4 == 0) for reward in told.values())
    credited = [order for order in state.orders.values() if order.decisions]
    assert all(len({policy for policy, _ in each.decisions}) == len(each.decisions) for each in credited)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Attribution) == state


def counted(parts: Sequence[Sequence[Change]]) -> list[tuple[Place, Counted]]:
    """The states of some partitions, each with the changes of its part."""
    states: dict[Place, Counted] = {}
    for partition, changes in enumerate(parts):
        for change in changes:
            period = change.decision.at_ms // (1_000 * TERMS.period_s)
            place = Place(partition, period, TERMS, "p")
            states[place] = evolve_counted(states.get(place, Counted()), change)
    return list(states.items())


@given(steps, st.integers(0, 60), st.randoms(use_true_random=False))
def test_what_is_learned_does_not_depend_on_the_order_or_on_who_counted(
    history: list[tuple[str, int, str, int]], cut: int, random
) -> None:
    _, changes = fold(history)
    whole = learned_of(counted([changes]))
    shuffled = changes.copy()
    random.shuffle(shuffled)
    parts = counted([shuffled[:cut], shuffled[cut:]])
    assert learned_of(parts) == learned_of(parts[::-1]) == whole
    assert all(len(periods) <= periods_max for periods in whole.arms.values())
    table = thompson.table(whole, ["x", "y", "z"], LEARNING)
    assert table == thompson.table(whole, ["z", "y", "x"], LEARNING)
    assert sum(table.probabilities) == 1.0
    assert min(table.probabilities) >= 0.03


@given(steps, st.integers(0, 60))
def test_linear_sums_of_partitions_come_to_what_one_fold_has(
    history: list[tuple[str, int, str, int]], cut: int
) -> None:
    _, changes = fold(history)
    parts = counted([changes[:cut], changes[cut:]])
    whole, both = (linear_of(each, 2, LEARNING) for each in (counted([changes]), parts))
    assert linear_of(parts[::-1], 2, LEARNING) == both
    assert both.arms.keys() == whole.arms.keys()
    for arm, sums in whole.arms.items():
        for one, other in zip(msgspec.structs.astuple(sums), msgspec.structs.astuple(both.arms[arm]), strict=True):
            assert np.array(other) == pytest.approx(np.array(one), abs=1e-9)
    table = LinearPolicy(whole, ["x", "y", "z"], 2, LEARNING).table([1.0, 1.0])
    assert sum(table.probabilities) == 1.0
    assert min(table.probabilities) >= 0.03


@given(steps)
def test_counts_survive_their_encoding_and_their_keys_say_whose_they_are(
    history: list[tuple[str, int, str, int]],
) -> None:
    projection = LearnedProjection()
    for place, state in counted([fold(history)[1]]):
        assert projection.decode(projection.encode(state)) == state
        assert place_of_key(place.key) == place
        assert projection.partition_of_key(place.key) == place.partition


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(1e-6, 1)), min_size=1, max_size=6))
def test_chances_of_being_the_greatest_are_probabilities(variables: list[tuple[float, float]]) -> None:
    means, deviations = np.array(variables).T
    chances = chances_of_normals(means, deviations)
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1)


@given(st.integers(2, 5), st.integers(0, 1_000))
def test_a_policy_that_is_the_logs_own_is_estimated_as_what_it_earned(arms: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = table_of({str(arm): 0.2 + generator.random() for arm in range(arms)}).probabilities
    drawn = generator.choice(arms, 400, p=table)
    rewards = generator.random(400)
    log = Logged(drawn, rewards, np.array(table)[drawn], np.arange(400))
    found = estimate(log, np.tile(table, (400, 1)))
    assert (found.ips.value, found.snips.value) == pytest.approx((rewards.mean(), rewards.mean()))
    assert found.doubly_robust.value == pytest.approx(rewards.mean(), abs=0.1)
    assert found.effective_size == pytest.approx(400)
