"""The backtest: what is asked after a cut, that nothing after it is known, and how it is told."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import datetime

import pytest

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Event
from recommender.configuration import TrainingConfiguration
from recommender.evaluation import backtest
from recommender.evaluation.backtest import Plan, run_backtest
from recommender.evaluation.plot import drawn, table
from recommender.evaluation.protocols.task import Part, Task
from recommender.evaluation.run import Outcome, Report, Settings
from recommender.evaluation.run import evaluate as really_evaluate
from recommender.interactions import Interactions, interactions_of
from tests.support.histories import moment, order, view
from tests.support.questions import asked

MINUTE = 1 / (24 * 60)
EVENTS: list[Event] = [
    view("a", 0, "u"), order("1", "ab", 1, "u"), order("2", "bc", 2, "v"), view("c", 3, "w"),
    view("d", 3 + 20 * MINUTE, "w"), view("a", 3 + 60 * MINUTE, "w"),
    view("a", 6, "u"), view("c", 6 + 5 * MINUTE, "u"), order("3", "cd", 7, "u"), order("4", "a", 8, "u"),
    order("5", "a", 8, "stranger"), view("b", 9, "v"), order("6", "ae", 9, "v"), view("a", 10, "x"),
]  # fmt: skip


class Log:
    """Facts, and the moments up to which they were asked for."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events, self.asked = events, list[datetime | None]()

    def __call__(self, until: datetime | None) -> Interactions:
        self.asked.append(until)
        return interactions_of(event for event in self._events if until is None or event.known_at <= until)


def plan(cuts: int = 1, days: int | None = 5, models: tuple[str, ...] = ("auto",)) -> Plan:
    return Plan(Settings(TrainingConfiguration(), cutoffs=(2,)), models, cuts, days)


def test_known_customers_next_orders_and_next_views_of_visits_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Task] = []

    def evaluate(task: Task, settings: Settings) -> Outcome:
        seen.append(task)
        return really_evaluate(task, settings)

    monkeypatch.setattr(backtest, "evaluate", evaluate)
    report = run_backtest(Log(EVENTS), plan())
    (task,) = seen
    parts: dict[str, Part] = {part.name: part for part in task.parts}
    assert task.interactions.products == ("a", "b", "c", "d")
    # What happens in the second of the order is not known before it: v's view of b is not in the history.
    assert asked(task, parts["next_order"]) == [("a a b a c", "c d", ""), ("b c", "a ?", "")]
    assert asked(task, parts["next_view"]) == [("a", "c", "")]
    (cut,) = report["cuts"]
    assert (cut["until"], cut["questions"]) == (moment(5), {"next_order": 2, "next_view": 1})


def test_models_are_trained_on_what_was_known_at_each_cut() -> None:
    log = Log(EVENTS)
    report = run_backtest(log, plan(cuts=3, days=2))
    assert log.asked == [None, moment(4), moment(6), moment(8)]
    assert [cut["interactions"] for cut in report["cuts"]] == [8, 9, 14]


def test_a_cut_after_which_nothing_can_be_asked_has_no_figures() -> None:
    quiet = [view("a", 0, "u"), view("b", 1, "v"), view("a", 4, "w")]
    report = run_backtest(Log(quiet), plan(days=2))
    assert [cut["models"] for cut in report["cuts"]] == [{}]
    assert "nothing happened" in table(report)
    ElementTree.fromstring(drawn(report))


@pytest.mark.parametrize("events", [[], EVENTS[:1]])
def test_a_log_that_is_too_short_is_refused(events: list[Event]) -> None:
    for asked_for in (plan(days=None), plan(cuts=4, days=400)):
        with pytest.raises(ConfigurationError, match="the log is too short"):
            run_backtest(Log(events), asked_for)


def test_the_table_and_the_drawing_have_every_model_at_every_cut() -> None:
    report: Report = run_backtest(Log(EVENTS), plan(cuts=2, days=3, models=("auto", "popularity")))
    header, *rows = table(report).splitlines()
    assert header.split()[:2] == ["until", "model"]
    assert [row.split()[:2] for row in rows] == [
        [f"{moment(day):%Y-%m-%d}", model] for day in (4, 7) for model in ("auto", "popularity")
    ]
    drawing = ElementTree.fromstring(drawn(report))
    texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"auto", "popularity", f"{moment(4):%Y-%m-%d}"} <= set(texts)
    panels = len(header.split()) - 2
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 * panels
