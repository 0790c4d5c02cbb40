"""One evaluation: train, ask, judge; and two models against each other on the same questions."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ingest.vocabulary.ranking import FloatVector
from recommender.configuration import TrainingConfiguration
from recommender.evaluation.answering import Answered, Progress, ask, models_of
from recommender.evaluation.beyond import beyond
from recommender.evaluation.bootstrap import Difference, differences, intervals
from recommender.evaluation.metrics import Judged, judge
from recommender.evaluation.protocols.task import Part, Task
from recommender.training import fit

FIT_SHARE = 0.5  # of the progress that is shown

Report = dict[str, Any]


class Settings(NamedTuple):
    """How to evaluate.

    Attributes:
        cutoffs: the k of every metric.
        questions_max: ask no more than so many of each kind, drawn with the seed; None asks all.
    """

    configuration: TrainingConfiguration
    cutoffs: tuple[int, ...] = (10, 20)
    seed: int = 0
    questions_max: int | None = None


class Outcome(NamedTuple):
    """What came out: for people and programs, and each question's metrics for a comparison."""

    report: Report
    judged: Judged


def evaluate(task: Task, settings: Settings, progress: Progress = lambda step, share: None) -> Outcome:
    """Train a snapshot, ask all questions and judge the answers.

    Returns:
        A report with the metrics by name, `n`, seconds, milliseconds, megabytes, `interval` and `beyond`.

    Cost: the training, the questions, and some 20 µs a question for the figures about them.
    """
    began = time.perf_counter()
    snapshot = fit(task.interactions, settings.configuration, task.validation, _within(progress, 0.0, FIT_SHARE))
    fit_s = time.perf_counter() - began
    models, judged, reports = models_of(snapshot), Judged(), dict[str, Report]()
    query_s = [np.zeros(0)]
    parts = [_sampled(part, settings) for part in task.parts]
    share = (1 - FIT_SHARE) / len(parts)
    for at, part in enumerate(parts):
        told = _within(progress, FIT_SHARE + at * share, share)
        answered = ask(models, part.questions, max(settings.cutoffs), told)
        query_s.append(answered.query_s)
        found = judge(answered.ranked, part.questions.targets, part.metrics, settings.cutoffs)
        judged |= {_named(part, name): values for name, values in found.items()}
        reports[part.name] = _about(part, answered, task, found, settings.seed)
    progress("done", 1.0)
    return Outcome(
        {
            **{name: _mean(values) for name, values in judged.items()},
            "n": sum(len(part.questions) for part in parts),
            "model": settings.configuration.model,
            "seed": settings.seed,
            "products": len(task.interactions.products),
            "interactions": len(task.interactions.kind),
            "fit_s": round(fit_s, 3),
            **_milliseconds(np.concatenate(query_s)),
            "peak_rss_mb": round(peak_rss_mb(), 1),
            "snapshot_mb": round(snapshot.bytes / 1e6, 3),
            "snapshot": snapshot.snapshot_id,
            **_joined(reports),
        },
        judged,
    )


def compare(
    task: Task, settings: Settings, models: tuple[str, str], progress: Progress = lambda step, share: None
) -> Report:
    """Two models on the same questions: each one's report, and the differences of the second from the first."""
    first, second = (
        evaluate(
            task,
            settings._replace(configuration=settings.configuration.ranking_by(model)),
            _within(progress, at / 2, 0.5),
        )
        for at, model in enumerate(models)
    )
    found: dict[str, Difference] = {}
    for names in _of_one_length(first.judged):
        pair = [{name: outcome.judged[name] for name in names} for outcome in (first, second)]
        found |= differences(pair[0], pair[1], settings.seed)
    return {
        "compared": list(models),
        "n": first.report["n"],
        "difference": found,
        "reports": [first.report, second.report],
    }


def peak_rss_mb() -> float:
    """The most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _sampled(part: Part, settings: Settings) -> Part:
    return Part(part.name, part.questions.sampled(settings.questions_max, settings.seed), part.metrics)


def _named(part: Part, metric: str) -> str:
    return f"{part.name}.{metric}" if part.name else metric


def _about(part: Part, answered: Answered, task: Task, judged: Judged, seed: int) -> Report:
    """What stands beside the metrics of one part."""
    return {
        "n": len(part.questions),
        "interval": intervals(judged, seed),
        "beyond": beyond(answered.ranked, part.questions, task.interactions, judged),
    }


def _joined(reports: dict[str, Report]) -> Report:
    """The only part's figures as they are, or those of several under their names."""
    if list(reports) == [""]:
        return {key: value for key, value in reports[""].items() if key != "n"}
    counts = {f"{name}.n": report["n"] for name, report in reports.items()}
    interval = {f"{name}.{metric}": ends for name, each in reports.items() for metric, ends in each["interval"].items()}
    return {**counts, "interval": interval, "beyond": {name: report["beyond"] for name, report in reports.items()}}


def _milliseconds(query_s: FloatVector) -> Report:
    middle, high = np.quantile(query_s, [0.5, 0.99]) if len(query_s) else (0.0, 0.0)
    return {"query_ms_p50": round(float(middle) * 1e3, 4), "query_ms_p99": round(float(high) * 1e3, 4)}


def _mean(values: Sequence[float] | FloatVector) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _of_one_length(judged: Judged) -> list[list[str]]:
    """The metrics of each part, which has a number of questions of its own."""
    by_part: dict[str, list[str]] = {}
    for name in judged:
        by_part.setdefault(name.rpartition(".")[0], []).append(name)
    return list(by_part.values())


def _within(progress: Progress, begin: float, share: float) -> Callable[[str, float], None]:
    """Progress of a step as progress of the whole."""
    return lambda step, done: progress(step, begin + share * done)
