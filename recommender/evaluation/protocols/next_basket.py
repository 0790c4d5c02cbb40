"""Next basket: what a customer orders next, repeats included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ingest.vocabulary.clock import DAY_S
from recommender.evaluation.files.tables import Baskets, read_baskets, read_wanted, tokens
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, orders_of, require
from recommender.interactions import ORDER
from recommender.questions import Asking


def read(files: Files) -> Task:
    """Each basket is an order, a day after the one before; everyone's last one is on the same day."""
    baskets = read_baskets(files["train"])
    require(any(map(any, baskets.values())), files["train"], "it has no item at all")
    days = max(map(len, baskets.values()))
    products = Numbering()
    lines = list(_lines(baskets, days))
    product = products.number([line[3] for line in lines])
    subject, order, time_s = (np.array([line[at] for line in lines], np.int64) for at in range(3))
    interactions = orders_of(products, files["train"], product, subject, time_s, order)
    rows, asking = Rows(interactions.products), Asking("next_basket")
    for user, wanted in read_wanted(files["test"]).items():
        if wanted:
            asking.add(_history(baskets.get(user, []), days, rows), rows.find(tokens(wanted)))
    require(len(asking), files["test"], "no user has an item")
    return Task(interactions, None, (Part("", asking.questions(), ("recall", "ndcg", "phr")),))


def _lines(baskets: Baskets, days: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Subject, order, time and item of every line."""
    order = 0
    for subject, own in enumerate(baskets.values()):
        for at, basket in enumerate(own):
            time_s = (days - len(own) + at) * DAY_S
            yield from ((subject, order, time_s, item) for item in tokens(basket))
            order += 1


def _history(baskets: Sequence[Sequence[str | int]], days: int, rows: Rows) -> Iterator[tuple[int, int, int]]:
    for at, basket in enumerate(baskets):
        time_s = (days - len(baskets) + at) * DAY_S
        yield from ((row, time_s, ORDER) for row in rows.find(tokens(basket)))
