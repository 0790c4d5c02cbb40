"""The orders that stand, out of the columns of orders, returns and cancellations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector
from recommender.columns.shape import Arrays

Array = NDArray[Any]
Mask = NDArray[np.bool_]


class StandingOrders(NamedTuple):
    """n orders in order of (time, hash of the event id), and their m lines, by product.

    Attributes:
        time_s, event, order, subject, size: (n,) of each order; `order` is the number of its name.
        currency, spent_e4: (n,) the number of the currency's name, and what is left of the order comes to.
        line_order: (m,) place of the line's order; product, quantity: (m,).
    """

    time_s: CountVector
    event: NDArray[np.uint64]
    order: Array
    subject: Array
    size: CountVector
    currency: Array
    spent_e4: CountVector
    line_order: CountVector
    product: Array
    quantity: CountVector


def standing_orders(columns: Arrays, product: Array, products: int, is_erased: Mask) -> StandingOrders:
    """The first telling of each order, without those that were cancelled, came back, had no line or are of the erased.

    Args:
        product: for each product's number, the one that lines are to have; they are in order of the ids.
        products: how many such numbers there are; is_erased: by subject.
    """
    told = _first_told(columns, product)
    size = columns["orders.lines"].astype(np.int64)
    start = np.cumsum(size) - size
    line_order = np.repeat(np.arange(len(told)), size[told])
    within = np.arange(len(line_order)) - np.repeat(np.cumsum(size[told]) - size[told], size[told])
    line = start[told][line_order] + within
    of_line = product[columns["order_lines.product"][line]].astype(np.int64)
    order = columns["orders.order"][told]
    ordered = columns["order_lines.quantity"][line].astype(np.int64)
    quantity = ordered - _returned(columns, product, products, order[line_order] * np.int64(products) + of_line)
    out = is_erased[columns["orders.subject"][told]] | np.isin(order, columns["cancellations.order"])
    stays = (quantity > 0) & ~out[line_order]
    left = np.bincount(line_order[stays], minlength=len(told)).astype(np.int64)
    place = np.cumsum(left > 0) - 1
    amount_e4 = columns["order_lines.amount_e4"][line]
    amount_e4 = np.where(quantity == ordered, amount_e4, amount_e4 // np.maximum(ordered, 1) * quantity)
    spent_e4 = np.zeros(len(told), np.int64)
    np.add.at(spent_e4, line_order[stays], amount_e4[stays])
    told, stands = told[left > 0], np.flatnonzero(stays)
    return StandingOrders(
        time_s=columns["orders.time_s"][told],
        event=columns["orders.event"][told],
        order=columns["orders.order"][told],
        subject=columns["orders.subject"][told],
        size=left[left > 0],
        currency=columns["orders.currency"][told],
        spent_e4=spent_e4[left > 0],
        line_order=place[line_order[stands]],
        product=of_line[stands],
        quantity=quantity[stands],
    )


def lines_in_time(orders: StandingOrders) -> CountVector:
    """The places of lines in order of (time, hash of the event id, product): as they are, but where two orders are
    told by one event id in one second."""
    is_again = (np.diff(orders.time_s) == 0) & (orders.event[1:] == orders.event[:-1])
    if not is_again.any():
        return np.arange(len(orders.line_order))
    at = orders.line_order
    return np.lexsort((orders.product, orders.event[at], orders.time_s[at]))


def _first_told(columns: Arrays, product: Array) -> CountVector:
    """Where each order is told for the first time, in order of (time, hash of the event id, hash of the order id)."""
    names = columns["order.hash"][columns["orders.order"]]
    keys = (columns["orders.time_s"], columns["orders.event"], names[:, 0], names[:, 1])
    in_time = np.lexsort(keys[::-1])
    is_same = np.ones(max(len(in_time) - 1, 0), np.bool_)
    for key in keys:
        is_same &= key[in_time][1:] == key[in_time][:-1]
    if is_same.any():
        in_time = _by_lines(columns, product, in_time, is_same)
    _, first = np.unique(columns["orders.order"][in_time], return_index=True)
    return in_time[np.sort(first)]


def _by_lines(columns: Arrays, product: Array, in_time: CountVector, is_same: Mask) -> CountVector:
    """The same order, where tellings that nothing else tells apart are in order of their lines."""
    end = np.cumsum(columns["orders.lines"], dtype=np.int64)

    def lines(telling: int) -> list[tuple[int, ...]]:
        own = slice(int(end[telling]) - int(columns["orders.lines"][telling]), int(end[telling]))
        numbers = product[columns["order_lines.product"][own]].tolist()
        told = (columns[f"order_lines.{name}"][own].tolist() for name in ("quantity", "amount_e4"))
        return sorted(zip(numbers, *told, strict=True))

    begins = np.flatnonzero(np.concatenate(([True], ~is_same)))
    for begin, stop in pairwise([*begins.tolist(), len(in_time)]):
        if stop - begin > 1:
            in_time[begin:stop] = sorted(in_time[begin:stop].tolist(), key=lines)
    return in_time


def _returned(columns: Arrays, product: Array, products: int, wanted: CountVector) -> CountVector:
    """How much came back of each (order, product); a return of the same in the same second counts once."""
    order, content = columns["returns.order"], columns["returns.content"]
    if not len(order):
        return np.zeros(len(wanted), np.int64)
    told = np.lexsort((content, columns["returns.time_s"], order))
    is_new = np.ones(len(told), np.bool_)
    is_new[1:] = False
    for key in (order, columns["returns.time_s"], content):
        is_new[1:] |= key[told][1:] != key[told][:-1]
    counts = np.zeros(len(order), np.bool_)
    counts[told[is_new]] = True
    of_line = np.repeat(np.arange(len(order)), columns["returns.lines"])
    line = np.flatnonzero(counts[of_line])
    key = order[of_line[line]] * np.int64(products) + product[columns["return_lines.product"][line]]
    keys, at = np.unique(key, return_inverse=True)
    total = np.zeros(len(keys) + 1, np.int64)
    np.add.at(total, at, columns["return_lines.quantity"][line])
    found = np.searchsorted(keys, wanted)
    is_there = found < len(keys)
    is_there[is_there] = keys[found[is_there]] == wanted[is_there]
    return np.where(is_there, total[np.minimum(found, len(keys))], 0)
