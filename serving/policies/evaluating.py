"""`dangol evaluate policy`: what homepages or rows would have earned under another configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec
import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import NoOverlap
from ingest.vocabulary.events import Chosen, Event, HomepageShown, RankingShown, Shown, Terms
from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.arms import RULES_ARM
from personalization.experiments.attributing import shown_decision
from personalization.experiments.attribution import Decision, Reward
from personalization.experiments.learning import Goal
from personalization.experiments.lessons import Lessons
from personalization.experiments.off_policy import Evaluation, FloatMatrix, Logged, estimate, untried_share_max
from serving.configuration import Configuration
from serving.policies.people import Progress, ShownTo, shown_to
from serving.policies.targets import RowTarget, Target, facts_then

if TYPE_CHECKING:
    from serving.engine import Engine

Kind = Literal["drawn", "fixed", "held_out", "open", "nobody"]
"""Drawn; without a choice; of somebody held out; whose window is still open; of whom nobody can tell what they did."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_Decided = tuple["_Choice", dict[str, float]]
_POLICY = "evaluated"  # the name all decisions have here, whoever made them


class Plan(NamedTuple):
    """What is asked: what counts, for how long after a decision, and of how many decisions, the newest.

    Attributes:
        placement: whose ways of ranking are judged; None for the variants of the homepage.
    """

    goal: Goal
    window_days: float
    value_max: float
    limit: int
    placement: str | None = None


class _Choice(NamedTuple):
    """A decision of the log, whatever was decided."""

    event: Shown
    arm: str
    eligible: Mapping[str, float]
    propensity: float
    held_out: bool
    belongs_to_somebody: bool


class ArmSeen(msgspec.Struct, frozen=True):
    """A variant: how often it was drawn and earned anything; its share in the log, and under the target."""

    drawn: int
    rewarded: int
    logged_share: float
    target_share: float


class PolicyEvaluation(msgspec.Struct, frozen=True):
    """What a configuration would have earned for each homepage or row that there was a choice for.

    Attributes:
        configuration: its id.
        people: to whom the decisions were shown.
        left_out: decisions that say nothing, by `Kind`.
        fixed_otherwise: of those without a choice, the share in which the target would show something else; nothing is
            estimated about these.
    """

    configuration: str
    goal: Goal
    window_days: float
    people: int
    arms: dict[str, ArmSeen]
    estimates: Evaluation
    left_out: dict[str, int]
    fixed_otherwise: float


def evaluate_policy(engine: Engine, other: Configuration, plan: Plan, progress: Progress) -> PolicyEvaluation:
    """Estimates from drawn decisions of the log.

    Raises:
        ConfigurationError: the configuration learns.
        NoOverlap: the log has tried too little of what it does.

    Cost: two scans of the log, and some 30 µs a decision.
    """
    table_for, is_asked = _target(engine.configuration, other, plan)
    seen = shown_to(engine, is_asked, plan.limit, progress)
    closed = engine.clock.now() - timedelta(days=plan.window_days)
    made = [_choice_of(event) for event in seen.shown]
    kinds = [(choice, _kind(choice, choice.event.received_at > closed)) for choice in made]
    tables = {kind: [(each, table_for(each.event)) for each, its in kinds if its == kind] for kind in KINDS}
    drawn = tables["drawn"]
    _refuse_what_was_not_tried(drawn, plan.window_days)
    rewards = rewards_of(seen, {choice.event.request_id for choice, _ in drawn}, plan)
    names = sorted({name for choice, table in drawn for name in (*choice.eligible, *table)})
    log, probabilities = _logged(seen, drawn, names, rewards)
    return PolicyEvaluation(
        configuration=other.configuration_id,
        goal=plan.goal,
        window_days=plan.window_days,
        people=len(np.unique(log.customers)),
        arms=_arms(names, log, probabilities, drawn),
        estimates=estimate(log, probabilities),
        left_out={kind: len(tables[kind]) for kind in KINDS if kind != "drawn"},
        fixed_otherwise=1.0 - _mean(table.get(choice.arm, 0.0) for choice, table in tables["fixed"]),
    )


def _target(
    present: Configuration, other: Configuration, plan: Plan
) -> tuple[Callable[[Shown], dict[str, float]], Callable[[Shown], bool]]:
    """What the configuration does on the occasion of a decision, and which of what was shown are asked about."""
    if plan.placement is None:
        target = Target(other)
        return lambda event: target.table(facts_then(event)), lambda event: isinstance(event, HomepageShown)
    table, placement = RowTarget(plan.placement, other, present).table, plan.placement
    return lambda _: table, lambda event: isinstance(event, RankingShown) and event.placement == placement


def _choice_of(event: Shown) -> _Choice:
    if isinstance(event, HomepageShown):
        belongs = event.learner is not None or event.experiment is not None
        return _Choice(event, event.variant, event.eligible, event.propensity, event.held_out, belongs)
    choice = event.choice or Chosen(RULES_ARM)
    belongs = choice.learner is not None or choice.experiment is not None
    return _Choice(event, choice.arm, choice.eligible, choice.propensity, choice.held_out, belongs)


def rewards_of(seen: ShownTo, decisions: Collection[RequestId], plan: Plan) -> Mapping[RequestId, float]:
    """What each decision earned: 1 for a click, cart or order, or the value of orders up to the cap."""
    terms = Terms(window_s=round(plan.window_days * DAY_S))

    def decided(event: Event) -> tuple[Decision, ...]:
        if isinstance(event, Shown) and event.request_id in decisions:
            return (shown_decision(event, _POLICY, "", terms),)
        return ()

    lessons = Lessons(decided)
    earned: dict[RequestId, Reward] = {}
    for event in seen.facts:
        for change in lessons.learn(event):
            earned[RequestId(change.decision.decision_id)] = change.after
    return {decision: _worth(reward, plan) for decision, reward in earned.items()}


def _worth(reward: Reward, plan: Plan) -> float:
    match plan.goal:
        case "click":
            return float(reward.clicked)
        case "cart":
            return float(reward.added)
        case "order":
            return float(reward.ordered)
        case "value":
            return min(reward.value_e4 / 10_000, plan.value_max)


def _kind(choice: _Choice, is_open: bool) -> Kind:
    if choice.held_out:
        return "held_out"
    if len(choice.eligible) < 2:
        return "fixed"
    if not choice.belongs_to_somebody:
        return "nobody"
    return "open" if is_open else "drawn"


def _refuse_what_was_not_tried(drawn: Sequence[_Decided], window_days: float) -> None:
    """Refuses where the log could not have drawn what the target shows.

    Raises:
        NoOverlap: says how often.
    """
    if not drawn:
        raise NoOverlap(
            f"the log has no drawn decision that is {window_days:g} days old: learning and experiments draw them"
        )
    outside = 1.0 - _mean(
        sum(share for name, share in table.items() if choice.eligible.get(name, 0.0) > 0) for choice, table in drawn
    )
    if outside > untried_share_max:
        raise NoOverlap(
            f"{outside:.1%} of what the configuration would show could not be drawn in the situations of the log; at "
            f"most {untried_share_max:.0%} may be unknown: let the running policy try these variants there first"
        )


def _logged(
    seen: ShownTo, drawn: Sequence[_Decided], names: Sequence[str], rewards: Mapping[RequestId, float]
) -> tuple[Logged, FloatMatrix]:
    """The decisions as columns, and the target's probabilities of each variant in them."""
    at = {name: column for column, name in enumerate(names)}
    people: dict[Subject, int] = {}
    target = np.zeros((len(drawn), len(names)))
    for row, (_, table) in enumerate(drawn):
        for name, share in table.items():
            target[row, at[name]] = share
    log = Logged(
        arms=np.array([at[choice.arm] for choice, _ in drawn], np.int32),
        rewards=np.array([rewards.get(choice.event.request_id, 0.0) for choice, _ in drawn]),
        propensities=np.array([choice.propensity for choice, _ in drawn]),
        customers=np.array(
            [people.setdefault(seen.person(choice.event.subject), len(people)) for choice, _ in drawn], np.int32
        ),
    )
    return log, target


def _arms(names: Sequence[str], log: Logged, target: FloatMatrix, drawn: Sequence[_Decided]) -> dict[str, ArmSeen]:
    count = np.bincount(log.arms, minlength=len(names))
    rewarded = np.bincount(log.arms[log.rewards > 0], minlength=len(names))
    logged = {name: _mean(choice.eligible.get(name, 0.0) for choice, _ in drawn) for name in names}
    return {
        name: ArmSeen(int(count[at]), int(rewarded[at]), logged[name], float(target[:, at].mean()))
        for at, name in enumerate(names)
    }


def _mean(values: Iterable[float]) -> float:
    """The mean; 1 of nothing, where nothing is otherwise."""
    every = list(values)
    return sum(every) / len(every) if every else 1.0
