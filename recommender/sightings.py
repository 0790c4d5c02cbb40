"""In which situation somebody did something: as the fact says, or as their visit last said before it.

Orders are often told by a shop's backend, which knows neither device nor weather; the pages of the same visit do.
"""

from __future__ import annotations

from array import array

import numpy as np

from ingest.vocabulary.events import CustomerEvent, HomepageShown
from ingest.vocabulary.ranking import CountVector, IntVector
from ingest.vocabulary.situations import Parts, parts_of, parts_of_facts

LASTS_S = 1_800  # the pause that ends a visit


def situation_of(event: CustomerEvent) -> Parts:
    """What a fact says of the situation; a shown homepage knows most, because it was resolved for it."""
    if isinstance(event, HomepageShown) and event.facts:
        return parts_of_facts(event.facts)
    return () if event.context is None else parts_of(event.context)


class Sightings:
    """Who was in which situation when, gathered in any order. Memory: 16 bytes each."""

    def __init__(self) -> None:
        self._times, self._subjects, self._situations = array("q"), array("i"), array("i")
        self._numbers: dict[Parts, int] = {}

    def add(self, time_s: int, subject: int, parts: Parts) -> None:
        """Somebody was in a situation."""
        self._times.append(time_s)
        self._subjects.append(subject)
        self._situations.append(self._numbers.setdefault(parts, len(self._numbers)))

    def at(
        self, people: CountVector, time_s: CountVector, person_of: CountVector
    ) -> tuple[tuple[Parts, ...], IntVector]:
        """The situations there are, sorted, and the row of that in which each deed was done; -1 for none.

        Args:
            people, time_s: who did something and when, (m,).
            person_of: for each subject, as they were given to `add`, the number that `people` has them by.
        """
        situations = sorted(self._numbers)
        if not situations:
            return (), np.full(len(people), -1, np.int32)
        row_of = np.empty(len(situations), np.int64)
        row_of[[self._numbers[parts] for parts in situations]] = np.arange(len(situations))
        rows = row_of[np.array(self._situations, np.int64)]
        seen, times = person_of[np.array(self._subjects, np.int64)], np.array(self._times, np.int64)
        order = np.lexsort((rows, times, seen))
        rows, seen, times = rows[order], seen[order], times[order]
        last = _last_at_or_before(seen, times, people, time_s)
        found = last >= 0
        found[found] = (seen[last[found]] == people[found]) & (time_s[found] - times[last[found]] <= LASTS_S)
        situation = np.full(len(people), -1, np.int32)
        situation[found] = rows[last[found]]
        return tuple(situations), situation


def _last_at_or_before(seen: CountVector, times: CountVector, people: CountVector, time_s: CountVector) -> CountVector:
    """For each (person, time) the last of the sorted pairs (seen, times) that is not after it; -1 where all are.

    Pairs become single numbers by the rank of their times, which two 64-bit numbers would not fit into.
    """
    moments = np.unique(times)
    width = len(moments) + 1
    keys = seen * width + np.searchsorted(moments, times) + 1
    asked = people.astype(np.int64) * width + np.searchsorted(moments, time_s, side="right")
    return np.searchsorted(keys, asked, side="right").astype(np.int64) - 1
