"""Leave one out: everyone's last item, from all before it; none of those is a candidate."""

from __future__ import annotations

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import History, IntVector
from recommender.evaluation.files.lines import read_users
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, browsing_of, require
from recommender.interactions import VIEW
from recommender.questions import UNKNOWN, Asking
from recommender.validation import Validation

LABELS_MAX = 100_000  # people whose last item but one teaches the ranker


def read(files: Files) -> Task:
    """Items are views, a day apart, and everyone's last one is on the same day.

    Models are trained on all but the last two items of a person. The last but one is a label for the ranker, and in the
    history when the last one is asked for. Who has one item only has no history, and is not asked for.
    """
    path = files["sequences"]
    people = [items for _, items in read_users(path) if len(items) > 1]
    require(people, path, "nobody has two items or more, so there is nothing to leave out")
    days = max(map(len, people))
    products = Numbering()
    product = np.concatenate([products.number(items[:-2]) for items in people])
    known = np.array([len(items) - 2 for items in people])
    subject = np.repeat(np.arange(len(people)), known)
    within = np.arange(len(subject)) - np.repeat(np.cumsum(known) - known, known)
    time_s = (days - 2 - known[subject] + within) * DAY_S
    kind = np.full(len(subject), VIEW, np.int8)
    interactions = browsing_of(products, path, product, subject, kind, time_s)
    rows = Rows(interactions.products)
    asking, found = Asking("for_you"), []
    for items in people:
        *before, target = rows.find(items)
        begins = days - len(items)
        asking.add([(row, (begins + at) * DAY_S, VIEW) for at, row in enumerate(before)], [target], before)
        found.append(np.array(before, np.int32))
    return Task(interactions, _labels(found, days), (Part("", asking.questions(), ("hit_rate", "ndcg")),))


def _labels(people: list[IntVector], days: int) -> Validation:
    """The last but one item of everybody whose items the models know."""
    histories, targets, excluded = [], [], []
    for items in people[:LABELS_MAX]:
        known = items[:-1] != UNKNOWN
        if items[-1] == UNKNOWN or not known.any() or items[-1] in items[:-1]:
            continue
        begins = days - 1 - len(items)
        time_s = ((begins + np.arange(len(items) - 1)) * DAY_S).astype(np.int64)[known]
        rows = items[:-1][known]
        histories.append(History(rows, time_s, np.full(len(rows), VIEW, np.int8)))
        targets.append(items[-1:])
        excluded.append(np.unique(rows))
    return Validation("for_you", histories, targets, excluded)
