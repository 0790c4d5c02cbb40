"""The sets of arrays the query kernels work on, in the process's numbering of products.

`capacity` is a number of products with room to grow; a product's number indexes every array of that length.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numba.core import types
from numba.experimental import structref
from numpy.typing import NDArray

from recommender.kernels import kernel

Array = NDArray[Any]

# Columns of Fresh.totals.
ORDERS, RAW_NORM, SLOW_NORM, FAST_NORM, LEVEL, RECENT = range(6)
# Columns of Fresh.base, Fresh.added and rows of Fresh.tables.
SLOW_SUM, FAST_SUM, LEVEL_SUM, RECENT_SUM = range(4)
# Places in Fresh.state.
HELD, NODES, UNITS, TOUCHED, SHOP_ORDERS, TODAY = range(6)


class Frozen(NamedTuple):
    """What the snapshot knows; read-only. Arrays named `*_row*` hold snapshot rows."""

    index_of_row: Array
    row_of_index: Array
    pair_start: Array
    pair_row: Array
    pair_orders: Array
    pair_weights: Array
    posting_start: Array
    posting_order: Array
    order_start: Array
    order_product: Array
    order_day: Array
    reference_day: Array


class Fresh(NamedTuple):
    """Snapshot plus tail, as live totals, and the tail's orders as linked postings.

    Attributes:
        totals: (capacity, 6) orders, three norms, level, recent, all as of today.
        base: (capacity, 4) the snapshot's sums as of its day; added: (capacity, 4) the tail's, as of today.
        head: (capacity,) newest node of a product, -1 for none; node_next, node_order, node_product: (nodes,).
        order_start: (orders + 1,) into nodes; order_numbers: (orders, 2) day, sign: 1 placed, -1 taken back, 0 void.
        units: (entries, 3) product, day, units of clicks.
        touched: (capacity,) products the tail names, in order; is_touched: (capacity,).
        state: counters; scale: (4,) decay from the snapshot's day to today; tables, damping, tuning: constants.
    """

    totals: Array
    base: Array
    added: Array
    head: Array
    node_next: Array
    node_order: Array
    node_product: Array
    order_start: Array
    order_numbers: Array
    units: Array
    touched: Array
    is_touched: Array
    state: Array
    scale: Array
    tables: Array
    damping: Array
    tuning: Array


class Extras(NamedTuple):
    """Snapshot counts of pairs that only the tail made worth knowing.

    Attributes:
        span: (capacity, 3) newest tail node it was made for, start, length; -2 for never.
        product, orders: (entries,); weights: (entries, 3).
    """

    span: Array
    product: Array
    orders: Array
    weights: Array


class Work(NamedTuple):
    """Scratch of one kernel at a time, zero between calls; (capacity,) and (capacity, 3) or (capacity, 2)."""

    seen: Array
    common: Array
    weights: Array
    partners: Array
    score: Array
    best: Array
    because: Array
    orders: Array
    found: Array
    skip: Array
    listed: Array
    norms: Array


class Lists(NamedTuple):
    """Neighbours kept in the snapshot: start (rows + 1,), row and score (neighbours,), best first."""

    start: Array
    row: Array
    score: Array


class Places(NamedTuple):
    """Where products stand.

    Attributes:
        node_of: (capacity,) the category of each product, -2 for unknown; parent: (nodes,), -1 for the whole shop.
        favourite_start: (nodes + 1,) into favourite: the most wanted products of each category.
        moved: products that are in another category than in the snapshot, or that it does not know.
    """

    node_of: Array
    parent: Array
    favourite_start: Array
    favourite: Array
    moved: Array


class Out(NamedTuple):
    """Room for an answer; (limit,) each. Kernels fill the columns they have, of the rows they return."""

    scores: Array
    products: Array
    because: Array
    orders: Array
    lift: Array


def new_out(limit: int) -> Out:
    """Room for so many products; orders and lift are 0 where no kernel says otherwise."""
    return Out(
        scores=np.empty(limit),
        products=np.empty(limit, np.int32),
        because=np.empty(limit, np.int32),
        orders=np.zeros(limit, np.int64),
        lift=np.zeros(limit),
    )


Arrays = TypeVar("Arrays")
ArraysOut = TypeVar("ArraysOut", covariant=True)


class Held(Protocol[ArraysOut]):
    """A set of arrays that is handed to kernels as one pointer: passing the arrays one by one costs 0.5 µs each."""

    @property
    def arrays(self) -> ArraysOut:
        """The set; only kernels may ask for it."""
        ...


@structref.register
class _HeldType(types.StructRef):
    """The type of `_Held` in kernels."""


class _Held(structref.StructRefProxy):
    """What Python holds: no more than the pointer."""


structref.define_proxy(_Held, _HeldType, ["arrays"])  # type: ignore[no-untyped-call]
# What numba asks for at each call is a property there, which takes half of the time to pass a set; the slot does not.
_Held._numba_type_ = structref.StructRefProxy._type  # type: ignore[attr-defined,method-assign]


@kernel
def hold(arrays: Arrays) -> Held[Arrays]:
    """Make a set of arrays one thing to pass. Cost: some 0.5 µs an array."""
    return _Held(arrays)  # type: ignore[no-untyped-call,return-value]


def new_work(capacity: int) -> Work:
    """Scratch for a catalogue. Cost: about 110 bytes a product."""
    return Work(
        seen=np.zeros(capacity, np.bool_),
        common=np.zeros(capacity, np.int64),
        weights=np.zeros((capacity, 3), np.float64),
        partners=np.zeros(capacity, np.int32),
        score=np.zeros((capacity, 2), np.float64),
        best=np.zeros((capacity, 2), np.float64),
        because=np.zeros((capacity, 2), np.int32),
        orders=np.zeros(capacity, np.int64),
        found=np.zeros(capacity, np.int32),
        skip=np.zeros(capacity, np.bool_),
        listed=np.zeros(capacity, np.bool_),
        norms=np.zeros(3, np.float64),
    )


def new_extras(capacity: int, entries: int) -> Extras:
    """Room for counts of pairs."""
    span = np.full((capacity, 3), -2, np.int64)
    return Extras(span, np.zeros(entries, np.int32), np.zeros(entries, np.int64), np.zeros((entries, 3), np.float64))
