"""In which situation somebody did something: as the fact says, or as their visit last said before it.

Orders are often told by a shop's backend, which knows neither device nor weather; the pages of the same visit do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.events import CustomerEvent, HomepageShown
from ingest.vocabulary.ranking import CountVector, IntVector
from ingest.vocabulary.situations import Parts, parts_of, parts_of_facts
from recommender.kernels.assembling import last_seen, order_in_time

LASTS_S = 1_800  # the pause that ends a visit


def situation_of(event: CustomerEvent) -> Parts:
    """What a fact says of the situation; a shown homepage knows most, because it was resolved for it."""
    if isinstance(event, HomepageShown) and event.facts:
        return parts_of_facts(event.facts)
    return () if event.context is None else parts_of(event.context)


class Sightings(NamedTuple):
    """Who was in which situation when, in any order.

    Attributes:
        subject, time_s, situation: (n,); `situation` is a row of `known`.
    """

    subject: IntVector
    time_s: CountVector
    situation: IntVector
    known: Sequence[Parts]


def situations_at(
    sightings: Sightings, subject: IntVector, time_s: CountVector, person_of: CountVector
) -> tuple[tuple[Parts, ...], IntVector]:
    """The situations somebody was in, sorted, and the row of that in which each deed was done; -1 for none.

    Args:
        subject, time_s: who did something and when, (m,), in order of time.
        person_of: for each subject a number of the person, the same for all subjects of one.
    """
    found = np.full(len(subject), -1, np.int32)
    there = np.unique(sightings.situation)
    if not len(there):
        return (), found
    there = np.array(sorted(there.tolist(), key=sightings.known.__getitem__), np.int64)
    row_of = np.empty(len(sightings.known), np.int32)
    row_of[there] = np.arange(len(there))
    in_time = order_in_time(sightings.time_s, np.zeros(len(sightings.time_s), np.uint64))
    seen, rows = person_of[sightings.subject[in_time]], row_of[sightings.situation[in_time]]
    last_seen(person_of[subject], time_s, seen, sightings.time_s[in_time], rows, LASTS_S, len(person_of), found)
    return tuple(sightings.known[row] for row in there.tolist()), found
