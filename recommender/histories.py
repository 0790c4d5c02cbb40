"""Histories: what one person took, in order of time, whole or cut into visits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.interactions import ORDER, Interactions

HISTORY_MAX = 200  # the newest of a history; crawlers look at everything

Kinds = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories in order of their last moment, the oldest first; u histories, m entries, each history oldest first.

    Attributes:
        start: (u + 1,) into the columns; product: (m,) rows; time_s: (m,) Unix seconds; kind: (m,) VIEW … ORDER.
        products: how many rows there are.
    """

    start: CountVector
    product: IntVector
    time_s: CountVector
    kind: Kinds
    products: int

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def unit(self) -> IntVector:
        """The history of each entry, (m,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))


class Postings(NamedTuple):
    """Where each product is in the entries of histories: `entry` from `start[product]` on, ascending."""

    start: CountVector
    entry: CountVector


def histories_of(interactions: Interactions, gap_s: int | None) -> Histories:
    """The histories of a shop.

    Args:
        gap_s: a pause longer than this ends a visit; None for the whole history of a person.

    Cost: two sorts of the interactions.
    """
    by_person = np.argsort(interactions.person[interactions.subject], kind="stable")
    person = interactions.person[interactions.subject[by_person]]
    time_s = interactions.time_s[by_person]
    begins = np.diff(person, prepend=-1) != 0
    if gap_s is not None:
        begins |= np.diff(time_s, prepend=0) > gap_s
    columns = (interactions.product[by_person], time_s, interactions.kind[by_person])
    return in_order_of_time(np.flatnonzero(begins), *columns, len(interactions.products))


def baskets_of(interactions: Interactions) -> Histories:
    """Orders as histories: distinct products, ascending, all at the moment of the day."""
    orders = interactions.orders
    size = np.diff(orders.start)
    time_s = np.repeat(orders.day.astype(np.int64), size) * 86_400
    kind = np.full(len(orders.products), ORDER, np.int8)
    return Histories(orders.start, orders.products, time_s, kind, len(interactions.products))


def in_order_of_time(begin: CountVector, product: IntVector, time_s: CountVector, kind: Kinds, rows: int) -> Histories:
    """Histories that lie one behind the other, each cut to its newest entries, sorted by their last moments."""
    ends = np.append(begin[1:], len(product))
    first = np.maximum(begin, ends - HISTORY_MAX)
    last_moment = time_s[ends - 1] if len(begin) else time_s
    order = np.argsort(last_moment, kind="stable")
    size = (ends - first)[order]
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    entry = np.arange(start[-1]) + np.repeat(first[order] - start[:-1], size)
    return Histories(start, product[entry], time_s[entry], kind[entry], rows)


def postings_of(histories: Histories) -> Postings:
    """The entries of each product. Cost: a sort."""
    counts = np.bincount(histories.product, minlength=histories.products)
    start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Postings(start, np.argsort(histories.product, kind="stable").astype(np.int64))


def newest(histories: Histories, count: int) -> Histories:
    """The last so many histories."""
    first = max(0, len(histories) - count)
    at = histories.start[first]
    return Histories(
        histories.start[first:] - at,
        histories.product[at:],
        histories.time_s[at:],
        histories.kind[at:],
        histories.products,
    )


def distinct(histories: Histories) -> Histories:
    """The same with each product once, at its newest, and products ascending within a history."""
    key = histories.unit.astype(np.int64) * max(histories.products, 1) + histories.product
    _, from_end = np.unique(key[::-1], return_index=True)
    entry = len(key) - 1 - from_end
    size = np.bincount(histories.unit[entry], minlength=len(histories))
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    return Histories(
        start, histories.product[entry], histories.time_s[entry], histories.kind[entry], histories.products
    )
