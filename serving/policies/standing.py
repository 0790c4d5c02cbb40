"""`dangol report experiment`: how the arms of an experiment stand, by people, from the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from ingest.vocabulary.events import (
    CustomerEvent,
    HomepageShown,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
    Shown,
)
from ingest.vocabulary.ids import OrderId, RequestId, Subject
from personalization.customer.orders import order_lines
from personalization.experiments.comparison import Sums, Verdict, cap_of, judge, winsorised
from personalization.experiments.learning import Goal
from personalization.experiments.lifecycle import Step
from serving.policies.lifecycles import State, find_experiment
from serving.policies.people import Progress, ShownTo, shown_to

if TYPE_CHECKING:
    from serving.engine import Engine


class Plan(NamedTuple):
    """How an experiment is read: what counts, for how many days after somebody entered it, and the days before that
    are compared with; for how many people it was planned; how many of its homepages or rows are read, the newest.
    """

    goal: Goal
    window_days: float
    before_days: float
    planned_people: int
    limit: int


class ExperimentReport(msgspec.Struct, frozen=True):
    """How an experiment stands.

    Attributes:
        began, newest: when the first and the last of its homepages or rows were shown.
        is_whole: whether all of these were read; else who came early counts later, or not at all.
        people: whose window has passed, by arm; waiting: those whose has not.
        moved: people who saw several arms, before and after they were known; they count for the one they were shown
            under the name they are known by.
        cap: what a person's value counts up to; None where values do not count.
        steps: when it was started, changed and stopped, as the log says; the first and the newest.
        moved_at: when people were last moved between arms; they count for the arm of their first homepage.
    """

    experiment: str
    state: State
    steps: tuple[Step, ...]
    moved_at: datetime | None
    control: str
    goal: Goal
    window_days: float
    before_days: float
    planned_people: int
    began: datetime | None
    newest: datetime | None
    is_whole: bool
    people: dict[str, int]
    waiting: int
    moved: int
    cap: float | None
    verdict: Verdict


class _Person:
    """Somebody in an experiment, and what they did before and after they entered it."""

    def __init__(self, entered: datetime) -> None:
        self.arm, self.entered = "", entered
        self.arms: set[str] = set()
        self.rows: set[RequestId] = set()
        self.is_known = False
        self.before = self.after = 0.0

    def enter(self, event: Shown, arm: str, name: Subject) -> None:
        """A homepage or a row of the experiment was shown; facts come oldest first."""
        is_known = event.subject == name
        if not self.arms or (is_known and not self.is_known):
            self.arm, self.is_known = arm, is_known
        self.arms.add(arm)
        self.rows.update(event.rows if isinstance(event, HomepageShown) else (event.request_id,))


def arm_of(event: Shown, experiment: str) -> str | None:
    """The arm of an experiment that was shown; None where the experiment had no part in it."""
    if isinstance(event, HomepageShown):
        if event.experiment == experiment:
            return event.arm or ""
        choice = event.order
    else:
        choice = event.choice
    return choice.arm if choice is not None and choice.experiment == experiment else None


def report_experiment(engine: Engine, name: str, plan: Plan, progress: Progress) -> ExperimentReport:
    """How the arms of an experiment stand, or stood when it was stopped; may be looked at whenever one likes.

    Raises:
        NotFound: neither the configuration nor the log has an experiment of that name.

    Cost: two scans of the log; memory for what the experiment's people ever did.
    """
    experiment, lifecycle, state = find_experiment(engine, name)
    seen = shown_to(engine, lambda event: arm_of(event, name) is not None, plan.limit, progress)
    people = _people(seen, name)
    _note_what_they_did(people, seen, plan)
    closed = engine.clock.now() - timedelta(days=plan.window_days)
    counted = [each for each in people.values() if each.entered <= closed and each.arm in experiment.arms]
    cap = cap_of(np.array([each.before for each in counted])) if plan.goal == "value" else None
    sums = {arm: _sums([each for each in counted if each.arm == arm], cap) for arm in experiment.arms}
    return ExperimentReport(
        experiment=name,
        state=state,
        steps=() if lifecycle is None else lifecycle.steps,
        moved_at=None if lifecycle is None else lifecycle.moved_at,
        control=experiment.control,
        goal=plan.goal,
        window_days=plan.window_days,
        before_days=plan.before_days,
        planned_people=plan.planned_people,
        began=min((each.entered for each in people.values()), default=None),
        newest=seen.shown[-1].occurred_at if seen.shown else None,
        is_whole=seen.is_whole,
        people={arm: each.people for arm, each in sums.items()},
        waiting=sum(each.entered > closed for each in people.values()),
        moved=sum(len(each.arms) > 1 for each in people.values()),
        cap=cap,
        verdict=judge(sums, experiment.arms, experiment.control, planned_people=plan.planned_people),
    )


def _people(seen: ShownTo, experiment: str) -> dict[Subject, _Person]:
    people: dict[Subject, _Person] = {}
    for event in seen.shown:
        name, arm = seen.person(event.subject), arm_of(event, experiment)
        assert arm is not None, event
        if name not in people:
            people[name] = _Person(event.occurred_at)
        people[name].enter(event, arm, name)
    return people


def _note_what_they_did(people: Mapping[Subject, _Person], seen: ShownTo, plan: Plan) -> None:
    """Add up what everybody did before and after they entered."""
    facts = [event for event in seen.facts if isinstance(event, CustomerEvent)]
    called_off = {
        event.order_id
        for event in facts
        if isinstance(event, OrderCancelled) or (isinstance(event, OrderRefunded) and not event.lines)
    }
    before, after = timedelta(days=plan.before_days), timedelta(days=plan.window_days)
    told: set[OrderId] = set()
    for event in facts:
        person = people.get(seen.person(event.subject))
        if person is None:
            continue
        if isinstance(event, OrderCompleted):
            if event.order_id in called_off or event.order_id in told:
                continue
            told.add(event.order_id)
        since = event.occurred_at - person.entered
        if timedelta(0) <= since <= after:
            person.after = _more(person.after, event, plan.goal, person.rows)
        elif -before <= since < timedelta(0):
            person.before = _more(person.before, event, plan.goal, None)


def _more(sum_: float, event: CustomerEvent, goal: Goal, rows: set[RequestId] | None) -> float:
    """The measure after a fact; clicks count on the experiment's own rows, before it on any."""
    match event:
        case RankingClicked() if goal == "click":
            return 1.0 if rows is None or event.request_id in rows else sum_
        case ProductViewed() if goal == "click" and rows is not None:
            return 1.0 if event.request_id in rows else sum_
        case ProductAdded() if goal == "cart":
            return 1.0
        case OrderCompleted() if goal == "order":
            return 1.0
        case OrderCompleted() if goal == "value":
            return sum_ + order_lines(event.lines)[1] / 10_000
    return sum_


def _sums(people: list[_Person], cap: float | None) -> Sums:
    after, before = (np.array([getattr(each, name) for each in people], np.float64) for name in ("after", "before"))
    if cap is not None:
        after, before = winsorised(after, cap), winsorised(before, cap)
    return Sums.of(after, before)
