"""Relations: what a shop's customers also bought, and also viewed, given one product."""

from __future__ import annotations

from array import array

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import Purpose
from recommender.evaluation.files.tables import Table
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import Files, Part, Task, orders_of, require
from recommender.interactions import VIEW, Interactions
from recommender.questions import Asking, Questions

METRICS = ("precision", "recall", "ndcg")
PURPOSES: tuple[tuple[Purpose, int], ...] = (("bought_together", 0), ("similar", 1))  # and the column with the truth

Relation = tuple[bytes, tuple[list[bytes], list[bytes]]]


def read(files: Files) -> Task:
    """What a customer takes on one day is one order; a product is no candidate for itself."""
    interactions = _interactions(files)
    table = Table(files["test"], ("product", "also_bought", "also_viewed"))
    relations = [(product, (bought.split(), viewed.split())) for product, bought, viewed in table.rows()]
    parts = tuple(Part(name, _questions(name, at, relations, interactions), METRICS) for name, at in PURPOSES)
    require(any(len(part.questions) for part in parts), files["test"], "no product has a list")
    return Task(interactions, None, parts)


def _interactions(files: Files) -> Interactions:
    table = Table(files["train"], ("customer", "product", "timestamp"))
    customers, products = Numbering(), Numbering()
    times, subjects, items = array("q"), array("i"), array("i")
    for customer, product, time_s in table.rows():
        if not customer or not product:
            raise table.fault("a row is a customer, a product and a time")
        times.append(table.seconds(time_s))
        subjects.extend(customers.number((customer,)).tolist())
        items.extend(products.number((product,)).tolist())
    require(times, files["train"], "it has a header and nothing else")
    time_s_of, subject = np.array(times, np.int64), np.array(subjects, np.int64)
    _, order = np.unique(np.stack((subject, time_s_of // DAY_S)), axis=1, return_inverse=True)
    return orders_of(products, files["train"], np.array(items, np.int32), subject, time_s_of, order)


def _questions(purpose: Purpose, column: int, relations: list[Relation], interactions: Interactions) -> Questions:
    """A question for each product that has such a list."""
    rows, asking = Rows(interactions.products), Asking(purpose)
    for product, lists in relations:
        wanted = [item for item in dict.fromkeys(lists[column]) if item != product]
        if wanted:
            seed = rows.find([product])
            asking.add([(row, interactions.reference_s, VIEW) for row in seed], rows.find(wanted), seed)
    return asking.questions()
