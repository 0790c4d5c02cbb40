"""Interactions from columns of numbers, without an event for each: files of millions of lines take seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.interactions import Interactions, Orders, numbered_by_appearance


@dataclass(frozen=True, slots=True)
class Columns:
    """Who did what when; m interactions, oldest first where times are equal.

    Attributes:
        names: product ids by number; all of them are in the catalogue, named below or not.
        product, subject: (m,) numbers; kind: (m,) VIEW … ORDER; time_s: (m,) Unix seconds.
        order: (m,) the number of the order a line belongs to, -1 for what is no order.
    """

    names: list[str]
    product: IntVector
    subject: CountVector
    kind: NDArray[np.int8]
    time_s: CountVector
    order: CountVector


def interactions_of_columns(columns: Columns) -> Interactions:
    """What `interactions_of` makes of events with the same content.

    An order happens at the time of its first line, and a product on several of its lines counts once. Hashes of orders
    are their numbers: no tail will look for them. Every subject is a person of its own.

    Cost: a few sorts; about 1 µs and 100 bytes an interaction, 2 µs an id.
    """
    products, row_of_number = _sorted_names(columns.names)
    product = row_of_number[columns.product]
    lines = np.flatnonzero(columns.order >= 0)
    place, time_s = np.arange(len(product)), columns.time_s.astype(np.int64)
    _, first, line_order = np.unique(columns.order[lines], return_index=True, return_inverse=True)
    earliest = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(earliest, line_order, time_s[lines])
    place[lines], time_s[lines] = lines[first][line_order], earliest[line_order]
    kept = np.sort(
        np.concatenate((np.flatnonzero(columns.order < 0), _once(lines, line_order, product, len(products))))
    )
    in_time = kept[np.lexsort((product[kept], place[kept], time_s[kept]))]
    number = np.full(len(product), -1)
    number[lines] = line_order
    order = number[in_time]
    is_line = order >= 0
    new_number, orders = numbered_by_appearance(order[is_line], len(first))
    order[is_line] = new_number[order[is_line]]
    seen = columns.subject[in_time].astype(np.int64)
    subject_of, subjects = numbered_by_appearance(seen, int(seen.max(initial=-1)) + 1)
    subject = subject_of[seen].astype(np.int32)
    return Interactions(
        products=products,
        catalogue=(None,) * len(products),
        kind=columns.kind[in_time],
        subject=subject,
        product=product[in_time].astype(np.int32),
        time_s=time_s[in_time],
        quantity=np.ones(len(in_time), np.int32),
        order=order.astype(np.int32),
        orders=_orders(product[in_time][is_line], order[is_line], time_s[in_time][is_line], subject[is_line], orders),
        person=np.arange(subjects, dtype=np.int32),
        reference_s=int(time_s.max(initial=0)),
    )


def _sorted_names(names: list[str]) -> tuple[tuple[ProductId, ...], CountVector]:
    """The ids sorted, and the row of each number."""
    by_name = sorted(range(len(names)), key=names.__getitem__)
    row = np.empty(len(names), np.int64)
    row[by_name] = np.arange(len(names))
    return tuple(ProductId(names[number]) for number in by_name), row


def _once(lines: CountVector, line_order: CountVector, product: CountVector, products: int) -> CountVector:
    """The first line of each product of an order."""
    _, first = np.unique(line_order * max(products, 1) + product[lines], return_index=True)
    return lines[first]


def _orders(product: CountVector, order: CountVector, time_s: CountVector, subject: IntVector, orders: int) -> Orders:
    """The orders of lines that stand together, in order of time."""
    start = np.searchsorted(order, np.arange(orders + 1))
    hashes = np.zeros((orders, 2), np.uint64)
    hashes[:, 0] = np.arange(orders)
    return Orders(
        start=start.astype(np.int64),
        products=product.astype(np.int32),
        day=(time_s[start[:-1]] // DAY_S).astype(np.int32),
        subject=subject[start[:-1]],
        hashes=hashes,
    )
