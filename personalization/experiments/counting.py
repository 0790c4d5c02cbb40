"""What was learned, as kept states: by policy, period and log partition, what decisions earned.

Counts are whole numbers, and the sums of a contextual policy are folded in the order of their partition: the same log
gives the same bytes, and partitions are added in their order. What a state holds does not depend on the goal, the
half-life or the floor, so that these may change without counting anew; a decision's terms are part of the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import NamedTuple

import msgspec

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import Event, Recorded, Terms
from personalization.experiments.attributing import DecisionEarned
from personalization.experiments.attribution import NOTHING, Change, Reward
from personalization.experiments.learning import Goal, periods_max

GOALS: tuple[Goal, ...] = ("click", "cart", "order", "value")
VALUE_STEPS = 100_000  # values are counted in this part of their cap; squares then sum within 63 bits
arms_max = 100  # of a policy in a period: variants come and go, and names of arms come from facts


class Counts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Decisions of an arm in a period, how many reached each goal, and sums of value in `VALUE_STEPS` of the cap."""

    decisions: int = 0
    clicked: int = 0
    added: int = 0
    ordered: int = 0
    value_steps: int = 0
    value_steps_squared: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """All of them, in their order."""
        return msgspec.structs.astuple(self)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(int.__add__, self.numbers, other.numbers))


class Linear(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sums of a contextual policy, whatever its goal.

    Attributes:
        squares: the upper triangle of xxᵀ, by rows.
        products, rewards_squared: for each of `GOALS`, x·reward and reward².
    """

    decisions: float
    squares: tuple[float, ...]
    products: tuple[tuple[float, ...], ...]
    rewards_squared: tuple[float, ...]


class Counted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What decisions of a period earned, by arm; `linear` where they had features, by arm and how many those were."""

    counts: Mapping[str, Counts] = {}
    linear: Mapping[str, Linear] = {}


class Place(NamedTuple):
    """Whose counts a state holds."""

    partition: int
    period: int
    terms: Terms
    policy: str

    @property
    def key(self) -> str:
        """The key; of a partition, keys sort by period."""
        terms = self.terms
        numbers = f"{terms.window_s}:{terms.period_s}:{terms.value_e4_max}"
        return f"{self.partition:02d}:{self.period:09d}:{numbers}:{self.policy}"

    @property
    def is_over_at_s(self) -> int:
        """From when on nothing can change the counts, nor are they read."""
        terms = self.terms
        return (self.period + 1) * terms.period_s + max(periods_max * terms.period_s, 2 * terms.window_s)


def place_of_key(key: str) -> Place:
    """The inverse of `Place.key`."""
    partition, period, window_s, period_s, value_e4_max, policy = key.split(":", 5)
    return Place(int(partition), int(period), Terms(int(window_s), int(period_s), int(value_e4_max)), policy)


class LearnedProjection:
    """Folds what decisions earned into a `Counted` a policy, period and partition; a `Projection`."""

    name = "learned"

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(order="sorted")
        self._decoder: msgspec.msgpack.Decoder[Counted] = msgspec.msgpack.Decoder(Counted)

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The counts of the decision's policy and period, in the partition of the fact."""
        event = recorded.event
        if not isinstance(event, DecisionEarned):
            return ()
        decision = event.change.decision
        period = max(decision.at_ms, 0) // (1_000 * decision.terms.period_s)
        return (Place(recorded.position.partition, period, decision.terms, decision.policy).key,)

    def partition_of_key(self, key: str) -> int:
        """The partition a state counts."""
        return int(key[:2])

    def evolve(self, state: Counted | None, recorded: Recorded) -> Counted | None:
        """The counts after the fact. Cost: 5 µs; with features some 40."""
        assert isinstance(recorded.event, DecisionEarned)
        return evolve_counted(state or Counted(), recorded.event.change)

    def derived(self, before: Counted | None, recorded: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

    def consequences(self, state: Counted | None, recorded: Recorded) -> tuple[Event, ...]:
        """Nothing follows."""
        return ()

    def encode(self, state: Counted) -> bytes:
        """The counts as MessagePack: some 50 bytes an arm, with 14 features 2 KB."""
        return self._encoder.encode(state)

    def decode(self, stored: bytes) -> Counted:
        """The inverse of `encode`.

        Raises:
            Corrupt: the bytes are no counts; replay.
        """
        try:
            return self._decoder.decode(stored)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"what was learned cannot be read: {error}") from error


def evolve_counted(state: Counted, change: Change) -> Counted:
    """The counts after a decision was made, or earned more or less; arms beyond `arms_max` are passed over."""
    arm, features, cap_e4 = change.decision.arm, change.decision.features, change.decision.terms.value_e4_max
    if arm not in state.counts and len(state.counts) >= arms_max:
        return state
    counted = counts_of(change, cap_e4)
    kept = state.counts.get(arm)
    counts = {**state.counts, arm: counted if kept is None else kept + counted}
    if not features:
        return msgspec.structs.replace(state, counts=counts)
    name = f"{len(features)}:{arm}"
    sums = _linear_of(change)
    before = state.linear.get(name)
    linear = {**state.linear, name: sums if before is None else _added(before, sums)}
    return Counted(counts, linear)


def counts_of(change: Change, value_e4_max: int) -> Counts:
    """What a change adds to the counts of its arm."""
    before, after = change.before or NOTHING, change.after
    steps_before, steps = value_steps(before, value_e4_max), value_steps(after, value_e4_max)
    return Counts(
        int(change.before is None),
        after.clicked - before.clicked,
        after.added - before.added,
        after.ordered - before.ordered,
        steps - steps_before,
        steps**2 - steps_before**2,
    )


def value_steps(reward: Reward, value_e4_max: int) -> int:
    """A value up to its cap, in `VALUE_STEPS` of it."""
    return round(min(max(reward.value_e4, 0), value_e4_max) * VALUE_STEPS / value_e4_max)


def _linear_of(change: Change) -> Linear:
    x = change.decision.features
    made, cap_e4 = float(change.before is None), change.decision.terms.value_e4_max
    before, after = _rewards(change.before or NOTHING, cap_e4), _rewards(change.after, cap_e4)
    return Linear(
        made,
        tuple(made * one * two for one, two in combinations_with_replacement(x, 2)),
        tuple(tuple((new - old) * each for each in x) for old, new in zip(before, after, strict=True)),
        tuple(new**2 - old**2 for old, new in zip(before, after, strict=True)),
    )


def _rewards(reward: Reward, cap_e4: int) -> tuple[float, ...]:
    """For each of `GOALS`: 0 or 1, or the value as a share of its cap."""
    value = value_steps(reward, cap_e4) / VALUE_STEPS
    return float(reward.clicked), float(reward.added), float(reward.ordered), value


def _added(one: Linear, two: Linear) -> Linear:
    return Linear(
        one.decisions + two.decisions,
        _sum(one.squares, two.squares),
        tuple(_sum(first, second) for first, second in zip(one.products, two.products, strict=True)),
        _sum(one.rewards_squared, two.rewards_squared),
    )


def _sum(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(float.__add__, one, two))


def is_over(key: str, now_s: float) -> bool:
    """Whether counts are neither read nor changed any more, a day of grace added."""
    return now_s > place_of_key(key).is_over_at_s + DAY_S
