"""Who is one person, and whose history nothing is learned from: who refused to be followed, and who is no person.

Models that count orders and clicks (`popularity`, `bought_together`) count everybody: their sums name nobody, and a
tail cannot be exact for a rule that needs somebody's whole history. What looks at histories (visits in `similar`, all
that candidates and rankers are made from) never sees these people; see `recommender.training.learnable`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import VIEW, CountVector, IntVector
from recommender.kernels.assembling import join

VIEWED_OF_A_DAY_MAX = 500  # different products: a new one every minute for more than eight hours
PURPOSES = ("analytics", "personalization")  # who refuses either is not learned from


class Words(NamedTuple):
    """What subjects said of consent, in any order: when, by which event, on which of `PURPOSES`, and whether yes."""

    time_s: CountVector
    event: NDArray[np.uint64]
    subject: IntVector
    purpose: NDArray[np.int8]
    agreed: NDArray[np.int8]


def heads_of(first: IntVector, second: IntVector, names: int) -> CountVector:
    """For each subject one of its person's, the same for all that are linked, (names,).

    Args:
        first, second: subjects that are one person's, link by link.
    """
    heads = np.arange(names, dtype=np.int64)
    join(heads, first, second)
    return heads


def people_of(heads: CountVector, subject: CountVector, subjects: int) -> IntVector:
    """The same number for all subjects of one person: the smallest of their new numbers, (subjects,).

    Args:
        subject: the new number of each old one, -1 for those that are none any more.
    """
    seen = np.flatnonzero(subject >= 0)
    _, of_person = np.unique(heads[seen], return_inverse=True)
    smallest = np.full(len(seen), subjects, np.int64)
    np.minimum.at(smallest, of_person, subject[seen])
    person = np.empty(subjects, np.int32)
    person[subject[seen]] = smallest[of_person]
    return person


def refusing(words: Words, heads: CountVector, subject: CountVector) -> CountVector:
    """The new numbers of all subjects of people of whom one subject's newest word on one of `PURPOSES` is a no."""
    refused = [np.zeros(0, np.int64)]
    in_time = np.lexsort((words.event, words.time_s))
    for purpose in range(len(PURPOSES)):
        said = in_time[words.purpose[in_time] == purpose]
        agreed = np.ones(len(heads), np.int8)
        agreed[words.subject[said]] = words.agreed[said]  # of several the last stays
        refused.append(np.flatnonzero(agreed == 0))
    found = subject[np.isin(heads, heads[np.concatenate(refused)])]
    return found[found >= 0]


def inhuman(person: IntVector, product: IntVector, kind: NDArray[np.int8], time_s: CountVector) -> CountVector:
    """Who looked at more than `VIEWED_OF_A_DAY_MAX` different products on one UTC day, ascending.

    Neither repeated views nor orders matter: a page may reload itself, and a firm may order a thousand lines.

    Cost: a count of the views, and a sort of those of whoever has so many at all.
    """
    views = np.flatnonzero(kind == VIEW)
    viewed_ever = np.bincount(person[views])
    views = views[viewed_ever[person[views]] > VIEWED_OF_A_DAY_MAX]
    seen = np.stack((person[views], time_s[views] // DAY_S, product[views]), axis=1).astype(np.int64)
    seen = seen[np.lexsort(seen.T[::-1])]
    is_new = np.any(np.diff(seen, axis=0, prepend=-1) != 0, axis=1)
    different = seen[is_new]
    begins = np.flatnonzero(np.any(np.diff(different[:, :2], axis=0, prepend=-1) != 0, axis=1))
    viewed = np.diff(np.append(begins, len(different)))
    return np.unique(different[begins[viewed > VIEWED_OF_A_DAY_MAX], 0])
