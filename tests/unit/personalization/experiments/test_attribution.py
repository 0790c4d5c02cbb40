"""Rewards on literal histories: what belongs to which decision, and that it does so once."""

from __future__ import annotations

import msgspec
import pytest

from ingest.vocabulary.events import Terms
from ingest.vocabulary.ids import OrderId
from personalization.experiments.attribution import (
    EMPTY,
    Attribution,
    Decision,
    Reward,
    evolve_added,
    evolve_called_off,
    evolve_clicked,
    evolve_decided,
    evolve_ordered,
    features_max,
    merged,
    pending_max,
)

DAY_MS = 86_400_000
DAY = Terms(window_s=86_400)
ORDER = OrderId("o-1")


def decided(*decisions: tuple[str, str, str, int]) -> Attribution:
    state = EMPTY
    for decision_id, policy, arm, at_ms in decisions:
        state, _ = evolve_decided(state, Decision(decision_id, policy, arm, at_ms, terms=DAY))
    return state


def test_a_click_finds_the_decision_it_names() -> None:
    state = decided(("r1", "home", "a", 0), ("r2", "home", "b", 10))
    state, (change,) = evolve_clicked(state, "r1", 20)
    assert (change.decision.arm, change.after) == ("a", Reward(clicked=True))
    assert evolve_clicked(state, "r1", 30) == (state, ())
    assert evolve_clicked(state, "r3", 30) == (state, ())


def test_an_order_belongs_to_the_last_decision_of_each_policy() -> None:
    state = decided(("r1", "home", "a", 0), ("r2", "home", "b", 10), ("r2", "rows", "x", 10))
    _, changes = evolve_ordered(state, ORDER, 50_000, 20)
    assert [(each.decision.arm, each.after) for each in changes] == [
        ("b", Reward(ordered=True, value_e4=50_000)),
        ("x", Reward(ordered=True, value_e4=50_000)),
    ]


def test_an_order_counts_once_and_several_add_up() -> None:
    state, _ = evolve_ordered(decided(("r1", "home", "a", 0)), ORDER, 50_000, 20)
    assert evolve_ordered(state, ORDER, 50_000, 30) == (state, ())
    _, (change,) = evolve_ordered(state, OrderId("o-2"), 20_000, 40)
    assert change.after == Reward(ordered=True, value_e4=70_000)


@pytest.mark.parametrize(("at_ms", "counts"), [(-1, False), (0, True), (DAY_MS, True), (DAY_MS + 1, False)])
def test_only_what_follows_within_the_window_counts(at_ms: int, counts: bool) -> None:
    state = decided(("r1", "home", "a", 0))
    assert bool(evolve_added(state, at_ms)[1]) == counts
    assert bool(evolve_clicked(state, "r1", at_ms)[1]) == counts
    assert bool(evolve_ordered(state, ORDER, 1, at_ms)[1]) == counts


def test_a_cancelled_order_takes_back_exactly_what_it_gave_and_never_counts_again() -> None:
    before = decided(("r1", "home", "a", 0))
    ordered, _ = evolve_ordered(before, ORDER, 50_000, 20)
    both, _ = evolve_ordered(ordered, OrderId("o-2"), 7, 30)
    one_left, (change,) = evolve_called_off(both, ORDER, 40)
    assert change.after == Reward(ordered=True, value_e4=7)
    none_left, (change,) = evolve_called_off(one_left, OrderId("o-2"), 50)
    assert (none_left.pending, change.after) == (before.pending, Reward())
    assert evolve_called_off(none_left, ORDER, 60) == (none_left, ())
    assert evolve_ordered(none_left, ORDER, 50_000, 40) == (none_left, ())


def test_a_decision_that_comes_again_changes_nothing() -> None:
    state, _ = evolve_clicked(decided(("r1", "home", "a", 0)), "r1", 5)
    assert evolve_decided(state, Decision("r1", "home", "a", 0)) == (state, ())


def test_a_visitor_who_turns_out_to_be_known_brings_what_was_shown() -> None:
    visitor, _ = evolve_ordered(decided(("r1", "home", "a", 0), ("r2", "home", "b", 10)), ORDER, 5, 11)
    known = decided(("r0", "home", "c", 5))
    together = merged(known, visitor)
    assert [each.decision.decision_id for each in together.pending] == ["r1", "r0", "r2"]
    assert evolve_ordered(together, ORDER, 5, 12) == (together, ())
    assert merged(together, EMPTY) == together


def test_a_state_is_bounded_and_survives_its_encoding() -> None:
    state = decided(*((f"r{at}", "home", "a", at) for at in range(pending_max + 5)))
    assert len(state.pending) == pending_max
    assert state.pending[0].decision.decision_id == "r5"
    state, _ = evolve_ordered(state, ORDER, 9, 100)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=Attribution) == state
    with pytest.raises(ValueError, match="at most"):
        evolve_decided(state, Decision("r", "p", "a", 0, (0.0,) * (features_max + 1)))
