"""What a shop's buyers are like: the thresholds that segments are told by, out of the columns of the log.

An order counts as it does for the models: once, by its first telling, without what was called off, sent back or is of
the erased. A visitor who turned out to be a customer is that customer. What came back of a line was not spent, at the
line's own price.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.buyers import QUINTILES, RETURNED_SHARES, Thresholds
from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector
from recommender.columns.orders import standing_orders
from recommender.columns.shape import Arrays
from recommender.columns.stretches import known_at, texts
from recommender.facts import microseconds
from recommender.people import heads_of
from recommender.snapshot import Snapshot

buyers_min = 50  # a fifth of fewer is nobody in particular
returns_min = 50  # of fewer, one in forty is not seen

_ARRAY = "buyers"


def thresholds_of(columns: Arrays, until: datetime | None = None) -> Thresholds | None:
    """What parts the buyers of a history; None where there are too few of them, or too few came back.

    Cost: a few passes over the orders and their lines.
    """
    if until is not None:
        columns = known_at(columns, microseconds(until))
    products = len(columns["product.hash"])
    is_erased = np.zeros(len(columns["subject.hash"]), np.bool_)
    is_erased[columns["erasures.subject"]] = True
    orders = standing_orders(columns, np.arange(products, dtype=np.int32), products, is_erased)
    heads = heads_of(columns["links.subject"], columns["links.known"], len(is_erased))
    buyers, person, placed = np.unique(heads[orders.subject], return_inverse=True, return_counts=True)
    gaps = _gaps(person, orders.time_s // DAY_S)
    if len(buyers) < buyers_min or len(gaps) < returns_min:
        return None
    names = [name.decode() for name in texts(columns, "currency")]
    counts = np.bincount(orders.currency, minlength=len(names)).tolist()
    main = min(range(len(names)), key=lambda number: (-counts[number], names[number]))
    spent_e4 = np.zeros(len(buyers), np.int64)
    in_main = orders.currency == main
    np.add.at(spent_e4, person[in_main], orders.spent_e4[in_main])
    return Thresholds(
        days=_edges(gaps, RETURNED_SHARES),
        orders=_edges(placed, QUINTILES),
        spent_e4=_edges(spent_e4, QUINTILES),
        currency=names[main],
        buyers=len(buyers),
        returns=len(gaps),
    )


def arrays_of(thresholds: Thresholds | None) -> dict[str, NDArray[Any]]:
    """Thresholds as an array of a snapshot; none for none."""
    return {} if thresholds is None else {_ARRAY: np.frombuffer(msgspec.msgpack.encode(thresholds), dtype=np.uint8)}


def thresholds_in(snapshot: Snapshot | None) -> Thresholds | None:
    """The thresholds of a snapshot; None where it has none, or those of another version."""
    if snapshot is None or _ARRAY not in snapshot:
        return None
    try:
        found: Thresholds = snapshot.unpack(_ARRAY, Thresholds)
    except msgspec.MsgspecError:
        return None
    return found


def _gaps(person: NDArray[np.int64], day: CountVector) -> CountVector:
    """Days from an order to the same person's next; orders of one day are one."""
    in_turn = np.unique(np.stack((person, day), axis=1), axis=0)
    is_same = in_turn[1:, 0] == in_turn[:-1, 0]
    gaps: CountVector = np.diff(in_turn[:, 1])[is_same]
    return gaps


def _edges(values: CountVector, shares: Sequence[float]) -> tuple[int, ...]:
    """The least value that a share of all does not exceed (the nearest rank)."""
    ordered = np.sort(values)
    return tuple(int(ordered[ceil(share * len(ordered)) - 1]) for share in shares)
