"""Split: the items of a customer that were taken out at random, from the rest; no order is known."""

from __future__ import annotations

from itertools import chain

import numpy as np

from recommender.evaluation.files.lines import read_users
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, browsing_of, require
from recommender.interactions import VIEW
from recommender.questions import Asking


def read(files: Files) -> Task:
    """Items are views that all happen at one moment; a user's items of the training are no candidates."""
    people = dict(read_users(files["train"]))
    require(any(people.values()), files["train"], "no user has an item")
    products = Numbering()
    product = products.number(list(chain.from_iterable(people.values())))
    subject = np.repeat(np.arange(len(people)), [len(items) for items in people.values()])
    kind = np.full(len(subject), VIEW, np.int8)
    time_s = np.zeros(len(subject), np.int64)
    interactions = browsing_of(products, files["train"], product, subject, kind, time_s)
    rows, asking = Rows(interactions.products), Asking("for_you")
    for user, wanted in read_users(files["test"]):
        if wanted:
            seen = rows.find(dict.fromkeys(people.get(user, ())))
            asking.add([(row, 0, VIEW) for row in seen], rows.find(dict.fromkeys(wanted)), seen)
    require(len(asking), files["test"], "no user has an item")
    return Task(interactions, None, (Part("", asking.questions(), ("recall", "ndcg")),))
