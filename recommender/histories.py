"""Histories: what one person took, in order of time, whole or cut into visits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.interactions import ORDER, Interactions
from recommender.kernels.ordering import copy_parts, count_keys, newest_distinct, place_by_key

HISTORY_MAX = 200  # the newest of a history; crawlers look at everything
ENTRIES_MAX = 2**31 - 1  # places in histories are int32

Kinds = NDArray[np.int8]
Times = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories in order of their last moment, the oldest first; u histories, m entries, each history oldest first.

    Attributes:
        start: (u + 1,) into the columns; product: (m,) rows; kind: (m,) VIEW … ORDER.
        time_s: (m,) seconds, since a moment that is the same for all.
        products: how many rows there are.
    """

    start: CountVector
    product: IntVector
    time_s: Times
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
    entry: IntVector


def histories_of(interactions: Interactions, gap_s: int | None) -> Histories:
    """The histories of a shop.

    Args:
        gap_s: a pause longer than this ends a visit; None for the whole history of a person.

    Cost: a few passes; memory: 9 bytes an interaction, and 12 more for a moment.
    """
    person, time_s = interactions.person[interactions.subject], since_first(interactions.time_s)
    entry = grouped(person, 1 + int(person.max(initial=-1))).entry
    begin = begins_of(person, time_s, entry, gap_s)
    del person
    return in_order_of_time(begin, entry, interactions.product, time_s, interactions.kind, len(interactions.products))


def since_first(time_s: CountVector) -> Times:
    """Seconds since the first of moments in order; in half the room where they span less than 68 years."""
    if not len(time_s):
        return np.zeros(0, np.int32)
    span = int(time_s[-1]) - int(time_s[0])
    is_short = span <= np.iinfo(np.int32).max
    since: Times = np.empty(len(time_s), np.int32) if is_short else np.empty(len(time_s), np.int64)
    np.subtract(time_s, time_s[0], out=since, casting="unsafe")
    return since


def begins_of(person: IntVector, time_s: Times, entry: IntVector, gap_s: int | None) -> CountVector:
    """Where histories begin.

    Args:
        person, time_s: of interactions; entry: some of these, in order of person and time.
        gap_s: as for `histories_of`.
    """
    begins = np.ones(len(entry), np.bool_)
    of_entry = person[entry]
    np.not_equal(of_entry[1:], of_entry[:-1], out=begins[1:])
    if gap_s is not None:
        begins[1:] |= np.diff(time_s[entry]) > gap_s
    return np.flatnonzero(begins)


def baskets_of(interactions: Interactions) -> Histories:
    """Orders as histories: distinct products, ascending, all at the moment of the day."""
    orders = interactions.orders
    size = np.diff(orders.start)
    time_s = np.repeat(orders.day.astype(np.int64), size) * 86_400
    kind = np.full(len(orders.products), ORDER, np.int8)
    return Histories(orders.start, orders.products, time_s, kind, len(interactions.products))


def in_order_of_time(
    begin: CountVector, entry: IntVector, product: IntVector, time_s: Times, kind: Kinds, rows: int
) -> Histories:
    """Histories, each cut to its newest entries, sorted by their last moments.

    Args:
        begin: where each begins in `entry`, places in the columns, oldest first.
    """
    ends = np.append(begin[1:], len(entry))
    first = np.maximum(begin, ends - HISTORY_MAX)
    order = np.argsort(time_s[entry[ends - 1]] if len(begin) else begin, kind="stable")
    first, size = first[order], (ends - first)[order]
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    parts = [np.empty(int(start[-1]), source.dtype) for source in (product, time_s, kind)]
    for source, part in zip((product, time_s, kind), parts, strict=True):
        copy_parts(first, start, entry, source, part)
    return Histories(start, parts[0], parts[1], parts[2], rows)


def grouped(key: IntVector, keys: int) -> Postings:
    """Where each of so many keys is, ascending. Cost: two passes; memory: 4 bytes an entry."""
    assert len(key) <= ENTRIES_MAX, "places are int32"
    count = np.zeros(keys, np.int64)
    count_keys(key, count)
    start = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    entry = np.empty(len(key), np.int32)
    place_by_key(key, start[:-1].copy(), entry)
    return Postings(start, entry)


def postings_of(histories: Histories) -> Postings:
    """The entries of each product."""
    return grouped(histories.product, histories.products)


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


def newest_entries(histories: Histories, entries_max: int) -> Histories:
    """The last histories, as many as have no more entries together; all of them if they have."""
    first = int(np.searchsorted(histories.start, len(histories.product) - entries_max))
    return newest(histories, len(histories) - first) if first else histories


def distinct(histories: Histories) -> Histories:
    """The same with each product once, at its newest, and products ascending within a history."""
    start, entry = newest_of_each(histories.start, histories.product, histories.products, HISTORY_MAX)
    return Histories(
        start, histories.product[entry], histories.time_s[entry], histories.kind[entry], histories.products
    )


def newest_of_each(start: CountVector, product: IntVector, products: int, limit: int) -> tuple[CountVector, IntVector]:
    """The newest entry of each product of a group, by product, and only the newest `limit` of a group.

    Args:
        start: (groups + 1,) into product: (entries,), the newest of a group last.

    Returns:
        start (groups + 1,) into entry, places in `product`.

    Cost: a pass.
    """
    kept_start, entry = np.zeros(len(start), np.int64), np.empty(len(product), np.int32)
    kept = newest_distinct(start, product, limit, np.full(products, -1, np.int32), kept_start, entry)
    return kept_start, entry[:kept]
