"""`dangol report attribution`: what rows and homepages earned, from the log; each order counts once.

A homepage is credited as the learner credits it: what happens within the window goes to the newest one before it. A
page has several rows at once, so a cart or an order goes to the row that was clicked last. The code is the learner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from ingest.vocabulary.clock import DAY_S, epoch_ms
from ingest.vocabulary.events import (
    Chosen,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    Event,
    HomepageShown,
    ProductViewed,
    RankingClicked,
    Shown,
    Terms,
)
from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.arms import RULES_ARM
from personalization.experiments.attributing import TEACHING, shown_decision
from personalization.experiments.attribution import NOTHING, Decision, Reward
from personalization.experiments.lessons import Lessons, in_order_of_reception
from serving.policies.people import Newest, Progress, counted, with_their_names

if TYPE_CHECKING:
    from serving.engine import Engine

Period = Literal["all", "month", "week", "day"]
PERIODS: tuple[Period, ...] = get_args(Period)
_ROW, _PAGE = "row", "page"  # the policies of this report


class Plan(NamedTuple):
    """What is asked: what was shown in the last so many days, how long it may earn something, told by which periods.

    Attributes:
        limit: of rows and homepages, the newest.
    """

    last_days: float
    window_days: float
    by: Period
    limit: int


class Earned(msgspec.Struct, frozen=True):
    """What one kind of row or homepage earned.

    Attributes:
        name: the placement, or the variant.
        arm: the way it was ranked, or the order of its rows; `rules` is as configured.
        period: its first day; empty where all is one.
        shown, clicked, added, ordered: how many, and how many of these led to a click, a cart, an order.
        revenue: of those orders that were not called off, in the shop's currency.
    """

    name: str
    arm: str
    period: str
    shown: int
    clicked: int
    added: int
    ordered: int
    revenue: float


class AttributionReport(msgspec.Struct, frozen=True):
    """What rows and homepages earned.

    Attributes:
        since: only what was shown from then on.
        is_whole: whether all of it was read.
    """

    since: datetime
    window_days: float
    is_whole: bool
    rows: tuple[Earned, ...]
    pages: tuple[Earned, ...]


class _Kind(NamedTuple):
    policy: str
    name: str
    arm: str
    period: str


def report_attribution(engine: Engine, plan: Plan, progress: Progress) -> AttributionReport:
    """What rows and homepages earned.

    Cost: two scans of the log; memory for what was shown, and for what people did after it.
    """
    since = engine.clock.now() - timedelta(days=plan.last_days)
    newest, facts = _read(engine, since, plan.limit, progress)
    terms = Terms(window_s=max(round(plan.window_days * DAY_S), 1))
    shown = {event.request_id: event for event in newest.sorted()}
    lessons = Lessons(lambda event: _decisions(event, shown, terms))
    earned: dict[tuple[str, str], Reward] = {}
    for event in in_order_of_reception(facts):
        owner = None if isinstance(event, Shown) else shown.get(_row_of(event) or RequestId(""))
        if owner is not None and isinstance(event, CustomerEvent):
            lessons.same_person(owner.subject, event.subject)
        for change in lessons.learn(event):
            earned[change.decision.policy, change.decision.decision_id] = change.after
    kinds: dict[_Kind, list[Reward]] = {}
    for event in shown.values():
        kind = _kind(event, plan.by)
        kinds.setdefault(kind, []).append(earned.get((kind.policy, event.request_id), NOTHING))
    told = [(kind, _earned(kind, rewards)) for kind, rewards in sorted(kinds.items())]
    rows, pages = (tuple(each for kind, each in told if kind.policy == policy) for policy in (_ROW, _PAGE))
    return AttributionReport(since, plan.window_days, newest.is_whole, rows, pages)


def _read(engine: Engine, since: datetime, limit: int, progress: Progress) -> tuple[Newest, list[Event]]:
    """What was shown, without that of people who were forgotten, and what may have come of it."""
    cut = engine.store.positions()
    total = sum(offset + 1 for offset in cut)
    known: dict[Subject, Subject] = {}
    clickers: dict[RequestId, Subject] = {}  # who clicked on a row, whoever it was shown to
    erased: set[Subject] = set()
    found = Newest(limit)
    for event in counted(engine.events(cut, None), "finding what was shown", total, progress):
        if isinstance(event, Shown) and event.received_at >= since:
            found.put(event)
        elif (row := _row_of(event)) is not None and event.received_at >= since and isinstance(event, CustomerEvent):
            clickers[row] = event.subject
        elif isinstance(event, CustomerIdentified) and event.known != event.subject:
            known[event.subject] = event.known
        elif isinstance(event, CustomerErased):
            erased.add(event.subject)
    newest = Newest(limit, found.is_whole)
    for event in found.sorted():
        if event.subject not in erased:
            newest.put(event)
    ids = {event.request_id for event in newest.sorted()}
    clicked = {clickers[each] for each in ids if each in clickers}
    people = with_their_names({event.subject for event in newest.sorted()} | clicked, known)
    scanned = counted(engine.events(cut, None), "reading what people did", total, progress)
    return newest, list(_facts(scanned, ids, people))


def _facts(events: Iterable[Event], ids: set[RequestId], people: set[Subject]) -> Iterator[Event]:
    """What was shown, and what these people did."""
    for event in events:
        if isinstance(event, Shown):
            if event.request_id in ids:
                yield event
        elif isinstance(event, TEACHING) and not event.imported and event.subject in people:
            yield event


def _row_of(event: Event) -> RequestId | None:
    """The row that a click names."""
    return event.request_id if isinstance(event, RankingClicked | ProductViewed) else None


def _decisions(event: Event, shown: dict[RequestId, Shown], terms: Terms) -> tuple[Decision, ...]:
    """A homepage decides when it is shown, a row when it is clicked."""
    if isinstance(event, HomepageShown):
        return (shown_decision(event, _PAGE, "", terms),)
    row = _row_of(event)
    if row is None or row not in shown or isinstance(shown[row], HomepageShown):
        return ()
    return (Decision(row, _ROW, "", epoch_ms(event.occurred_at), (), terms),)


def _kind(event: Shown, by: Period) -> _Kind:
    period = _period(event.occurred_at, by)
    if isinstance(event, HomepageShown):
        return _Kind(_PAGE, event.variant, (event.order or Chosen(RULES_ARM)).arm, period)
    return _Kind(_ROW, event.placement, (event.choice or Chosen(RULES_ARM)).arm, period)


def _period(moment: datetime, by: Period) -> str:
    day = moment.date()
    match by:
        case "all":
            return ""
        case "month":
            day = day.replace(day=1)
        case "week":
            day -= timedelta(days=day.weekday())
    return day.isoformat()


def _earned(kind: _Kind, rewards: list[Reward]) -> Earned:
    return Earned(
        kind.name,
        kind.arm,
        kind.period,
        shown=len(rewards),
        clicked=sum(each.clicked for each in rewards),
        added=sum(each.added for each in rewards),
        ordered=sum(each.ordered for each in rewards),
        revenue=sum(each.value_e4 for each in rewards) / 10_000,
    )
