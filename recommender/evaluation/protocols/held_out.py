"""Held out: a purchase, from what was viewed, put into carts and bought before; what was bought is no candidate."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np

from recommender.evaluation.files.columns import Columns, interactions_of_columns
from recommender.evaluation.files.tables import Table
from recommender.evaluation.files.tokens import Numbering, Rows
from recommender.evaluation.protocols.task import NO_ORDER, Files, Part, Task, require
from recommender.interactions import CART, ORDER, VIEW, Interactions
from recommender.questions import UNKNOWN, Asking

KINDS = {b"view": VIEW, b"addtocart": CART, b"transaction": ORDER}


class _Events(NamedTuple):
    """Columns of a file in its order."""

    time_s: array[int]
    customer: array[int]
    kind: array[int]
    product: array[int]


def read(files: Files) -> Task:
    """Times are real; the transactions of a customer in one second are one order."""
    customers, products = Numbering(), Numbering()
    events = _events(files, customers, products)
    columns = _columns(events, products.names(files["train"]))
    interactions = interactions_of_columns(columns)
    wanted = _wanted(files)
    return Task(interactions, None, (_part(interactions, columns, wanted, customers),))


def _events(files: Files, customers: Numbering, products: Numbering) -> _Events:
    table = Table(files["train"], ("timestamp", "customer", "event", "product"))
    events = _Events(array("q"), array("i"), array("b"), array("i"))
    for time_s, customer, event, product in table.rows():
        kind = KINDS.get(event)
        if kind is None or not customer or not product:
            raise table.fault(f"a row is a customer's view, addtocart or transaction of a product, not {event!r}")
        events.time_s.append(table.seconds(time_s))
        events.customer.extend(customers.number((customer,)).tolist())
        events.kind.append(kind)
        events.product.extend(products.number((product,)).tolist())
    require(events.time_s, files["train"], "it has a header and nothing else")
    return events


def _columns(events: _Events, names: list[str]) -> Columns:
    time_s, customer = np.array(events.time_s, np.int64), np.array(events.customer, np.int64)
    kind = np.array(events.kind, np.int8)
    order = np.full(len(kind), NO_ORDER, np.int64)
    bought = kind == ORDER
    _, order[bought] = np.unique(np.stack((customer[bought], time_s[bought])), axis=1, return_inverse=True)
    return Columns(names, np.array(events.product, np.int32), customer, kind, time_s, order)


def _wanted(files: Files) -> dict[bytes, dict[bytes, None]]:
    wanted: dict[bytes, dict[bytes, None]] = {}
    for customer, product in Table(files["test"], ("customer", "product")).rows():
        wanted.setdefault(customer, {})[product] = None
    require(wanted, files["test"], "it has a header and nothing else")
    return wanted


def _part(
    interactions: Interactions, columns: Columns, wanted: dict[bytes, dict[bytes, None]], customers: Numbering
) -> Part:
    """A question for each customer with purchases held out, all of whose rows in the file are the history."""
    rows, asking = Rows(interactions.products), Asking("for_you")
    row_of_number = np.array(rows.find(name.encode() for name in columns.names), np.int64)
    in_time = np.lexsort((columns.time_s, columns.subject))
    start = np.searchsorted(columns.subject[in_time], np.arange(len(customers) + 1))
    for customer, targets in wanted.items():
        number = customers.find(customer)
        own = in_time[start[number] : start[number + 1]] if number != UNKNOWN else in_time[:0]
        product, kind = row_of_number[columns.product[own]], columns.kind[own]
        history = zip(product.tolist(), columns.time_s[own].tolist(), kind.tolist(), strict=True)
        asking.add(history, rows.find(targets), product[kind == ORDER].tolist())
    return Part("", asking.questions(), ("recall", "ndcg"))
