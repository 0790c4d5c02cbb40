"""A backtest on a shop's own log: train on what was known at a moment, ask for what its visitors did next.

Two things are asked: what a known customer orders next, and which product a visitor looks at next in a visit. Histories
reach up to the moment of each question; the models stop at the cut, as a snapshot without its tail would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import ConfigurationError
from recommender.evaluation.answering import Progress
from recommender.evaluation.files.tokens import Rows
from recommender.evaluation.protocols.task import Part, Task
from recommender.evaluation.run import Report, Settings, evaluate
from recommender.interactions import ORDER, VIEW, Interactions
from recommender.questions import Asking, Questions
from recommender.training import learnable

HORIZON_DAYS_MAX = 28  # asked for after each cut, unless told otherwise
HISTORY_MAX = 500  # the newest of a person's interactions; models look at fewer
METRICS = ("hit_rate", "mrr", "recall", "ndcg")

HistoryUntil = Callable[[datetime | None], Interactions]


class Plan(NamedTuple):
    """What to try: settings, models by name, the number of cuts and the days that follow each."""

    settings: Settings
    models: tuple[str, ...]
    cuts: int
    horizon_days: int | None = None


def run_backtest(history: HistoryUntil, plan: Plan, progress: Progress = lambda step, share: None) -> Report:
    """Train and ask at every cut, with every model.

    Args:
        history: what the facts come to that were known at a moment; all of them for None.

    Raises:
        ConfigurationError: the log has too little for a single cut.

    Cost: a scan of the log and a training for each cut, a training more for each further model.
    """
    everything = learnable(history(None))
    times = _cuts(everything, plan)
    steps, done = len(times) * len(plan.models), 0
    cuts: list[Report] = []
    for after_s, until_s in times:
        until = datetime.fromtimestamp(after_s, UTC)
        known = history(until)
        gap_s = plan.settings.configuration.similar.visit_gap_min * 60
        parts = tuple(part for part in _parts(known, everything, (after_s, until_s), gap_s) if len(part.questions))
        reports: Report = {}
        for model in plan.models if parts else ():
            configuration = plan.settings.configuration.ranking_by(model)
            progress(f"{until.date()} {model}", done / steps)
            reports[model] = evaluate(
                Task(known, None, parts), plan.settings._replace(configuration=configuration)
            ).report
            done += 1
        counts = {part.name: len(part.questions) for part in parts}
        cuts.append({"until": until, "interactions": len(known.kind), "questions": counts, "models": reports})
    progress("done", 1.0)
    return {"models": list(plan.models), "cutoffs": list(plan.settings.cutoffs), "cuts": cuts}


def _cuts(everything: Interactions, plan: Plan) -> list[tuple[int, int]]:
    """Where each training ends, and where the questions after it end; at even distances, the last at the log's end."""
    if len(everything.kind):
        first, last = int(everything.time_s[0]), int(everything.time_s[-1])
        horizon = min(HORIZON_DAYS_MAX * DAY_S, (last - first) // (plan.cuts + 1))
        if plan.horizon_days is not None:
            horizon = plan.horizon_days * DAY_S
        ends = [last - (plan.cuts - 1 - at) * horizon for at in range(plan.cuts)]
        if horizon > 0 and ends[0] - horizon >= first:
            return [(end - horizon, end) for end in ends]
    raise ConfigurationError(
        "the log is too short for that many cuts: import more of it, or ask for fewer or fewer days"
    )


def _parts(known: Interactions, everything: Interactions, span_s: tuple[int, int], gap_s: int) -> Iterator[Part]:
    timeline = _Timeline(known, everything)
    yield Part("next_order", timeline.next_orders(*span_s), METRICS)
    yield Part("next_view", timeline.next_views(*span_s, gap_s), METRICS)


class _Timeline:
    """Everything that happened, person by person, in the numbering of what the models know."""

    def __init__(self, known: Interactions, everything: Interactions) -> None:
        self.row = np.array(Rows(known.products).find(product.encode() for product in everything.products), np.int64)
        person = everything.person[everything.subject]
        self.at = np.argsort(person, kind="stable")
        self.person, self.time_s = person[self.at], everything.time_s[self.at]
        self.kind, self.order = everything.kind[self.at], everything.order[self.at]
        self.product = self.row[everything.product[self.at]]
        self.is_first = np.concatenate(([True], self.person[1:] != self.person[:-1]))[: len(self.at)]
        self.begins = np.maximum.accumulate(np.where(self.is_first, np.arange(len(self.at)), 0))

    def next_orders(self, after_s: int, until_s: int) -> Questions:
        """The first order within the time of everybody who was known before it."""
        asking = Asking("next_basket")
        due = (self.kind == ORDER) & (self.time_s > after_s) & (self.time_s <= until_s)
        lines = np.flatnonzero(due & (self.time_s[self.begins] <= after_s))
        _, firsts = np.unique(self.person[lines], return_index=True)
        for line in lines[firsts].tolist():
            own = slice(line, line + int(np.searchsorted(self.time_s[line : self._end(line)], until_s, side="right")))
            wanted = self.product[own][self.order[own] == self.order[line]]
            before = np.searchsorted(self.time_s[self.begins[line] : line], self.time_s[line])
            asking.add(self._history(self.begins[line], self.begins[line] + before), wanted.tolist())
        return asking.questions()

    def next_views(self, after_s: int, until_s: int, gap_s: int) -> Questions:
        """Every view within the time but the first of its visit; the history is the visit, cut by pauses."""
        asking = Asking("next_item")
        browsing = np.flatnonzero(self.kind != ORDER)
        person, time_s = self.person[browsing], self.time_s[browsing]
        is_new = np.concatenate(([True], (np.diff(person) != 0) | (np.diff(time_s) > gap_s)))[: len(browsing)]
        begins = np.maximum.accumulate(np.where(is_new, np.arange(len(browsing)), 0))
        asked = ~is_new & (self.kind[browsing] == VIEW) & (time_s > after_s) & (time_s <= until_s)
        for at in np.flatnonzero(asked).tolist():
            visit = browsing[begins[at] : at][-HISTORY_MAX:]
            history = zip(*(column[visit].tolist() for column in (self.product, self.time_s, self.kind)), strict=True)
            asking.add(history, [int(self.product[browsing[at]])])
        return asking.questions()

    def _end(self, line: int) -> int:
        """Where a person's interactions end."""
        return int(np.searchsorted(self.person, self.person[line], side="right"))

    def _history(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        own = slice(max(begin, end - HISTORY_MAX), end)
        return zip(self.product[own].tolist(), self.time_s[own].tolist(), self.kind[own].tolist(), strict=True)
