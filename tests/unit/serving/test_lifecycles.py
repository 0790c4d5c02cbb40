"""A server says once which experiments it runs, whatever restarts beside it, and a replay knows it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.vocabulary.errors import NotFound, Unavailable
from ingest.vocabulary.events import ExperimentEvent
from serving.engine import Engine
from serving.policies import reports
from serving.policies.lifecycles import Announcer, find_experiment, lifecycles, list_experiments
from serving.policies.people import Progress
from serving.policies.reports import Reports
from serving.policies.standing import ExperimentReport, Plan, report_experiment
from serving.wiring import open_engine
from tests.support.build import HandClock

VARIANT = '[homepage.variants.bold]\ncontent = { headline = "Bold" }\n'
EXPERIMENT = '[homepage.experiments.headline]\narms = {{ rules = 1, bold = {bold} }}\ncontrol = "rules"\n'


@contextmanager
def engine_with(folder: Path, *, bold: int | None) -> Iterator[Engine]:
    """An engine whose configuration has the experiment, or has none."""
    experiment = "" if bold is None else EXPERIMENT.format(bold=bold)
    (folder / "dangol.toml").write_text(VARIANT + experiment, encoding="utf-8")
    with open_engine(folder, None) as engine:
        yield engine


def opened(folder: Path, *, bold: int | None) -> list[dict[str, Any]]:
    """What an operator reads when a server opens with a configuration."""
    with engine_with(folder, bold=bold) as engine, capture_logs() as logged:
        Announcer(engine).tell()
    return [dict(entry) for entry in logged]


def facts_in(folder: Path) -> list[str]:
    with open_engine(folder, None) as engine:
        every = [each.event for batch in engine.batches(engine.store.positions()) for each in batch]
    return [type(event).__name__ for event in every if isinstance(event, ExperimentEvent)]


def test_workers_and_restarts_say_it_once(tmp_path: Path) -> None:
    with engine_with(tmp_path, bold=1) as engine:
        for worker in (Announcer(engine), Announcer(engine)):
            worker.tell()
            worker.tell()
    assert opened(tmp_path, bold=1) == []
    assert facts_in(tmp_path) == ["ExperimentStarted"]


def test_a_stopped_experiment_comes_back_with_other_arms_only_with_a_warning(tmp_path: Path) -> None:
    for bold, level in ((1, "info"), (None, "info"), (1, "info"), (None, "info"), (3, "warning")):
        (entry,) = opened(tmp_path, bold=bold)
        assert (entry["log_level"], entry["experiment"]) == (level, "headline")
    with open_engine(tmp_path, None) as engine:
        (listed,) = list_experiments(engine)
        assert (listed.state, listed.arms) == ("running", {"rules": 1.0, "bold": 3.0})
        assert listed.since == listed.moved_at == lifecycles(engine)["headline"].steps[-1].at


def test_what_is_only_configured_and_what_is_only_in_the_log_are_told_apart(tmp_path: Path) -> None:
    with engine_with(tmp_path, bold=1) as engine:
        (listed,) = list_experiments(engine)
        assert (listed.state, listed.since) == ("unserved", None)
        assert find_experiment(engine, "headline").lifecycle is None
    opened(tmp_path, bold=1)
    opened(tmp_path, bold=None)
    with open_engine(tmp_path, None) as engine:
        (listed,) = list_experiments(engine)
        assert (listed.state, listed.arms) == ("stopped", {"bold": 1.0, "rules": 1.0})
        assert find_experiment(engine, "headline").experiment.control == "rules"
        with pytest.raises(
            NotFound, match="neither the configuration nor the log has an experiment 'x'; there are: headl"
        ):
            find_experiment(engine, "x")


def test_a_replay_comes_to_the_same_and_says_nothing(tmp_path: Path) -> None:
    opened(tmp_path, bold=1)
    opened(tmp_path, bold=None)
    with open_engine(tmp_path, None) as engine:
        kept = lifecycles(engine)
        assert engine.replay(verify=True, progress=lambda *_: None).difference is None
        engine.replay(verify=False, progress=lambda *_: None)
        assert lifecycles(engine) == kept != {}
    assert opened(tmp_path, bold=None) == []


def test_nothing_is_said_while_lost_states_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine_with(tmp_path, bold=1) as engine:
        announcer = Announcer(engine)
        with monkeypatch.context() as losing:
            losing.setattr(Engine, "is_complete", False)
            announcer.tell()
        assert lifecycles(engine) == {}
        announcer.tell()
        assert lifecycles(engine)["headline"].is_running


def test_reports_are_made_one_at_a_time_and_kept_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def making(engine: Engine, name: str, plan: Plan, progress: Progress) -> ExperimentReport:
        with pytest.raises(Unavailable):
            kept.report(name, plan._replace(goal="value"))
        made.append(plan.goal)
        return report_experiment(engine, name, plan, progress)

    monkeypatch.setattr(reports, "report_experiment", making)
    plan = Plan("order", 7.0, 28.0, 10_000, 1_000)
    with engine_with(tmp_path, bold=1) as engine:
        kept, clock = Reports(engine), HandClock()
        engine.clock = clock
        first = kept.report("headline", plan)
        clock.forward(seconds=59)
        assert kept.report("headline", plan) is first
        clock.forward(seconds=2)
        assert kept.report("headline", plan) is not first
        kept.report("headline", plan._replace(goal="click"))
        assert made == ["order", "order", "click"]
        for days in range(2 * reports.kept_max):
            kept.report("headline", plan._replace(window_days=1.0 + days))
        before = len(made)
        kept.report("headline", plan)
        assert len(made) == before + 1, "the oldest made room"
        with pytest.raises(NotFound):
            kept.report("other", plan)
