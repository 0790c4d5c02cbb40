"""Which arms work, as tables: read once a minute from the states that are folded from the log.

Nothing is learned here. Whoever folds counts what decisions earned (`personalization/experiments/counting.py`), in the
same transaction as everything else; every process that answers reads the same counts and so has the same tables, also
just after it was started.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from personalization.experiments import contextual, thompson
from personalization.experiments.counting import Counted, LearnedProjection, Place, place_of_key
from personalization.experiments.draws import Propensities
from personalization.experiments.learning import LearningSettings
from personalization.experiments.summing import learned_of, linear_of
from personalization.homepage.features import FEATURE_NAMES

Scan = Callable[[str], Iterable[tuple[str, bytes]]]
Counts = Sequence[tuple[Place, Counted]]

tables_max = 200  # sets of arms that are eligible together; the table of one more is worked out for every request


class Solved(Protocol):
    """Answers for some arms until there is news."""

    def table(self, features: Sequence[float]) -> Propensities:
        """The probability of each."""
        ...


class Learner:
    """The tables of one policy. Any thread may ask for a table.

    Guarantees: the same counts give the same tables; a table stays the same between two refreshes.
    Cost: a table of three arms 4 ms, once for all requests of a minute; contextual 0.2 ms for each request.
    """

    def __init__(self, settings: LearningSettings) -> None:
        self.policy, self.terms = settings.name, settings.terms
        self._learning = settings.learning
        self._solve = self._in_situations if settings.policy == "contextual" else self._for_everybody
        self._solved: dict[tuple[str, ...], Solved] = {}
        self._solver = self._solve(())
        self._keeping = threading.Lock()

    def take(self, counts: Counts) -> None:
        """Work the tables out anew that were asked for."""
        solver = self._solve([each for each in counts if each[0].policy == self.policy and each[0].terms == self.terms])
        solved = {eligible: solver(eligible) for eligible in list(self._solved)}
        with self._keeping:
            self._solver, self._solved = solver, solved

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """How probable each of some arms is to be shown. The first to ask for some arms works it out."""
        key = tuple(sorted(eligible))
        solved = self._solved.get(key)
        if solved is None:
            solver = self._solver
            solved = solver(key)
            with self._keeping:
                if solver is self._solver and len(self._solved) < tables_max:
                    solved = self._solved.setdefault(key, solved)
        return solved.table(features)

    def _for_everybody(self, counts: Counts) -> Callable[[tuple[str, ...]], Solved]:
        learned, learning = learned_of(counts), self._learning
        return lambda eligible: _Fixed(thompson.table(learned, eligible, learning))

    def _in_situations(self, counts: Counts) -> Callable[[tuple[str, ...]], Solved]:
        features, learning = len(FEATURE_NAMES), self._learning
        learned = linear_of(counts, features, learning)
        return lambda eligible: contextual.LinearPolicy(learned, eligible, features, learning)


class _Fixed:
    """One table, whatever the situation."""

    def __init__(self, table: Propensities) -> None:
        self._table = table

    def table(self, features: Sequence[float]) -> Propensities:
        """The table."""
        return self._table


class Learners:
    """Every policy of a configuration that learns, and how they hear of news."""

    def __init__(self, scan: Scan, is_complete: Callable[[], bool], settings: Iterable[LearningSettings]) -> None:
        """
        Args:
            scan: the states of a projection.
            is_complete: whether they are those of the whole log; while lost ones come back, tables stay as they were.
        """
        self._scan, self._is_complete = scan, is_complete
        self._learners = {each.name: Learner(each) for each in settings if each.policy != "rule"}
        self._was_read = False

    def __len__(self) -> int:
        return len(self._learners)

    def of(self, settings: LearningSettings) -> Learner:
        """The policy of these settings, which learns."""
        return self._learners[settings.name]

    def refresh(self) -> None:
        """Read what was counted. Cost: milliseconds, for 120 periods of 16 partitions 17; contextual 140.

        Raises:
            Unavailable: the store did not answer; the tables stay as they are.
        """
        if not self._learners or (self._was_read and not self._is_complete()):
            return
        counts = list(self._counts())
        for learner in self._learners.values():
            learner.take(counts)
        self._was_read = True

    def _counts(self) -> Iterator[tuple[Place, Counted]]:
        asked = {(each.policy, each.terms) for each in self._learners.values()}
        decode = LearnedProjection().decode
        for key, stored in self._scan(LearnedProjection.name):
            place = place_of_key(key)
            if (place.policy, place.terms) in asked:
                yield place, decode(stored)
