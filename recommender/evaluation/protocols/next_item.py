"""Next item: what is looked at next in a session; what was seen in it may come again."""

from __future__ import annotations

import numpy as np

from recommender.evaluation.files.lines import read_questions, read_sequences
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, browsing_of
from recommender.interactions import VIEW
from recommender.questions import Asking

GAP_S = 3600  # between sessions


def read(files: Files) -> Task:
    """Sessions are visitors of their own, in order of time, with a view a second and an hour between them."""
    products = Numbering()
    sessions = read_sequences(files["train"], products)
    subject = np.repeat(np.arange(len(sessions.size)), sessions.size)
    time_s = subject * GAP_S + np.arange(len(subject))
    kind = np.full(len(subject), VIEW, np.int8)
    interactions = browsing_of(products, files["train"], sessions.product, subject, kind, time_s)
    rows, begins = Rows(interactions.products), interactions.reference_s + GAP_S
    asking = Asking("next_item")
    for prefix, target in read_questions(files["test"]):
        seen = rows.find(prefix)
        asking.add([(row, begins + at, VIEW) for at, row in enumerate(seen)], rows.find([target]))
    return Task(interactions, None, (Part("", asking.questions(), ("hit_rate", "mrr")),))
