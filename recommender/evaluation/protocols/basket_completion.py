"""Basket completion: the last item of a basket, from the others."""

from __future__ import annotations

import numpy as np

from recommender.evaluation.files.lines import read_lines, read_sequences
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, orders_of, require
from recommender.interactions import CART
from recommender.questions import Asking

GAP_S = 60  # between orders


def read(files: Files) -> Task:
    """Each basket is an order of a guest, a minute after the one before; what is in a basket is no candidate for it."""
    products = Numbering()
    baskets = read_sequences(files["train"], products)
    order = np.repeat(np.arange(len(baskets.size)), baskets.size)
    interactions = orders_of(products, files["train"], baskets.product, order, order * GAP_S, order)
    rows, now_s = Rows(interactions.products), interactions.reference_s + GAP_S
    asking = Asking("basket")
    for items in read_lines(files["test"]):
        if len(items) > 1:
            *others, hidden = rows.find(items)
            asking.add([(row, now_s, CART) for row in dict.fromkeys(others)], [hidden], others)
    require(len(asking), files["test"], "no basket has two items or more, so there is nothing to hide")
    return Task(interactions, None, (Part("", asking.questions(), ("hit_rate", "mrr")),))
