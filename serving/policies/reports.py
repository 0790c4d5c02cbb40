"""Reports of experiments for a server that also answers: one at a time, from so many homepages, kept for a minute."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ingest.vocabulary.errors import Unavailable
from serving.policies.lifecycles import find_experiment
from serving.policies.standing import ExperimentReport, Plan, report_experiment

if TYPE_CHECKING:
    from serving.engine import Engine

HOMEPAGES_MAX = 100_000  # the newest of an experiment, some 200 MB while they are read
KEPT = timedelta(minutes=1)
kept_max = 50  # reports, a few KB each


class Reports:
    """Makes reports and keeps them for a minute. Any thread may call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._making = threading.Lock()
        self._kept: OrderedDict[tuple[str, Plan], tuple[datetime, ExperimentReport]] = OrderedDict()

    def report(self, name: str, plan: Plan) -> ExperimentReport:
        """How an experiment stands, at most a minute ago.

        Raises:
            NotFound: neither the configuration nor the log has an experiment of that name.
            Unavailable: another report is being made; ask again.

        Cost: as `report_experiment`, if there is none of the last minute.
        """
        find_experiment(self._engine, name)
        kept = self._recent(name, plan)
        if kept is not None:
            return kept
        if not self._making.acquire(blocking=False):
            raise Unavailable("another report is being made, and one at a time is: ask again in a few seconds")
        try:
            made = report_experiment(self._engine, name, plan, lambda *_: None)
            self._kept[name, plan] = (self._engine.clock.now(), made)
            self._kept.move_to_end((name, plan))
            while len(self._kept) > kept_max:
                self._kept.popitem(last=False)
        finally:
            self._making.release()
        return made

    def _recent(self, name: str, plan: Plan) -> ExperimentReport | None:
        kept = self._kept.get((name, plan))
        if kept is None:
            return None
        at, report = kept
        return report if timedelta(0) <= self._engine.clock.now() - at < KEPT else None
