"""Which variants work, learned from the log: facts gather as they are committed and are folded once a minute.

Facts are folded by when they were received, once they are old enough that none before them is still to come. So a
server that was started anew, and reads its log from the beginning, has the tables of one that ran all the time. What is
older than the periods that are kept is passed over.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ingest.vocabulary.clock import DAY_S, Clock, epoch_ms
from ingest.vocabulary.events import Event, ProductViewed, Recorded
from personalization.experiments import contextual, thompson
from personalization.experiments.attribution import Change
from personalization.experiments.draws import Propensities
from personalization.experiments.learning import Learning, periods_max
from personalization.experiments.lessons import TEACHING, Lessons, in_order_of_reception
from personalization.homepage.features import FEATURE_NAMES
from serving.home.settings import LearningSettings

SETTLE_S = 5.0  # a fact is in the log, and known here, so long after it was received
tables_max = 200  # sets of variants that fit together; the table of one more is worked out for every request
gathered_max = 500_000  # facts, some 300 MB; more than that come only when a large log is read from its beginning
AT_ONCE = 64  # changes that are counted together: counting one alone costs as much as merging all there is


class _Learned(Protocol):
    """What was learned, whatever the policy. Any thread may ask while another adds."""

    def add(self, changes: Sequence[Change]) -> None:
        """Count what decisions earned, in the order in which it became known."""
        ...

    def ready(self, eligible: tuple[str, ...]) -> _Ready:
        """What is needed to answer for some variants."""
        ...


class _Ready(Protocol):
    """Answers for some variants until there is news."""

    def table(self, features: Sequence[float]) -> Propensities:
        """The probability of each."""
        ...


class Learner:
    """Tables from facts; a `Follower`. Any thread may ask for a table.

    Guarantees: the same facts give the same tables, in whatever order partitions are read, as long as every fact is
    here `SETTLE_S` after its reception, and no more than `gathered_max` come at once; a table stays the same between
    two refreshes. Asking never waits for folding.
    Cost: a microsecond for a fact when it comes, 40 when it is folded (contextual: 260); a table of three variants
    4 ms, once for all requests of a minute, contextual 0.2 ms for each request.
    """

    def __init__(self, settings: LearningSettings, learning: Learning, clock: Clock) -> None:
        self._clock = clock
        window_s = settings.window_days * DAY_S
        self._lessons = Lessons(settings.name, round(window_s * 1_000))
        self._since = clock.now() - timedelta(seconds=periods_max * learning.period_s + 2 * window_s)
        self._learned: _Learned = _Situations(learning) if settings.policy == "contextual" else _Plain(learning)
        self._gathered: list[Event] = []
        self._gathering, self._folding, self._keeping = threading.Lock(), threading.Lock(), threading.Lock()
        self._ready: dict[tuple[str, ...], _Ready] = {}

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Gather the facts that teach something."""
        teaching = [recorded.event for recorded in batch if self._teaches(recorded.event)]
        if not teaching:
            return
        with self._gathering:
            self._gathered += teaching
            many = len(self._gathered) >= gathered_max
        if many:
            self.refresh()

    def refresh(self) -> None:
        """Fold what has settled, and work the tables out anew that were asked for."""
        with self._folding:
            now = self._clock.now()
            changes: list[Change] = []
            for event in self._settled(now - timedelta(seconds=SETTLE_S)):
                changes += self._lessons.learn(event)
                if len(changes) >= AT_ONCE:
                    self._learned.add(changes)
                    changes.clear()
            self._learned.add(changes)
            self._lessons.forget_before(epoch_ms(now))
            ready = {eligible: self._learned.ready(eligible) for eligible in list(self._ready)}
        with self._keeping:
            self._ready = ready

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """How probable each of some variants is to be shown. The first to ask for some variants works it out."""
        key = tuple(sorted(eligible))
        ready = self._ready.get(key)
        if ready is None:
            ready = self._learned.ready(key)
            with self._keeping:
                if len(self._ready) < tables_max:
                    ready = self._ready.setdefault(key, ready)
        return ready.table(features)

    def _teaches(self, event: Event) -> bool:
        """Whether a fact may say anything about a decision: most views name no row that led to them."""
        if event.imported or event.received_at < self._since or not isinstance(event, TEACHING):
            return False
        return not isinstance(event, ProductViewed) or event.request_id is not None

    def _settled(self, before: datetime) -> Sequence[Event]:
        with self._gathering:
            gathered, self._gathered = self._gathered, []
            settled = [event for event in gathered if event.received_at < before]
            self._gathered += [event for event in gathered if not event.received_at < before]
        return list(in_order_of_reception(settled))


class _Plain:
    """Thompson sampling: the same table in every situation."""

    def __init__(self, learning: Learning) -> None:
        self._learning, self._state = learning, thompson.UNLEARNED

    def add(self, changes: Sequence[Change]) -> None:
        """As `_Learned.add`."""
        news = thompson.UNLEARNED
        for change in changes:
            news = thompson.evolve_learned(news, change, self._learning)
        if changes:
            self._state = thompson.merged(self._state, news)

    def ready(self, eligible: tuple[str, ...]) -> _Fixed:
        """As `_Learned.ready`."""
        return _Fixed(thompson.table(self._state, eligible, self._learning))


class _Fixed:
    """One table."""

    def __init__(self, table: Propensities) -> None:
        self._table = table

    def table(self, features: Sequence[float]) -> Propensities:
        """The table."""
        return self._table


class _Situations:
    """The contextual policy: a table for each situation."""

    def __init__(self, learning: Learning) -> None:
        self._learning, self._state = learning, contextual.UNLEARNED

    def add(self, changes: Sequence[Change]) -> None:
        """As `_Learned.add`; decisions of before there were these features teach nothing."""
        for change in changes:
            if len(change.decision.features) == len(FEATURE_NAMES):
                self._state = contextual.evolve_linear(self._state, change, self._learning)

    def ready(self, eligible: tuple[str, ...]) -> contextual.LinearPolicy:
        """As `_Learned.ready`."""
        return contextual.LinearPolicy(self._state, eligible, len(FEATURE_NAMES), self._learning)
