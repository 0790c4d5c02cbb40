"""A snapshot's arrays as the kernels take them: read-only, and of the same types where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import IntVector
from recommender.kernels.arrays import Frozen, Lists
from recommender.kernels.kinds import Kinds
from recommender.snapshot import Snapshot

Array = NDArray[Any]


def frozen_of(snapshot: Snapshot | None, index_of_row: IntVector, indexed: int) -> Frozen:
    """A snapshot's orders and pairs; without one, arrays of the same types that hold nothing."""
    row_of_index = np.full(indexed, -1, np.int32)
    row_of_index[index_of_row] = np.arange(len(index_of_row), dtype=np.int32)
    parts: dict[str, Array] = {
        "pair_start": np.zeros(1, np.int64),
        "pair_row": np.zeros(0, np.int32),
        "pair_orders": np.zeros(0, np.int32),
        "pair_weights": np.zeros((0, 3), np.int64),
        "posting_start": np.zeros(1, np.int64),
        "posting_order": np.zeros(0, np.int32),
        "order_start": np.zeros(1, np.int64),
        "order_product": np.zeros(0, np.int32),
        "order_day": np.zeros(0, np.int32),
    }
    day: Array = np.zeros(1, np.int64)
    if snapshot is not None:
        parts = {name: snapshot[f"bought_together.{name}"] for name in parts}
        day = snapshot["reference_day"]
    columns = {name: _read_only(array) for name, array in parts.items()}
    numbers = {"index_of_row": _read_only(index_of_row), "row_of_index": _read_only(row_of_index)}
    return Frozen(**numbers, **columns, reference_day=_read_only(day))


def lists_of(snapshot: Snapshot | None, name: str, before: str = "_") -> Lists:
    """The lists of neighbours that are stored under a name."""
    if snapshot is None:
        nothing: tuple[Array, ...] = (np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
        return Lists(*(_read_only(array) for array in nothing))
    return Lists(*(snapshot[f"{name}{before}{part}"] for part in Lists._fields))


def kinds_of(snapshot: Snapshot | None) -> Kinds:
    """Stand-ins; snapshots from before there were any have none."""
    if snapshot is None or "similar.stand_ins_start" not in snapshot:
        rows = 0 if snapshot is None else len(snapshot["similar.price"])
        nothing = (np.zeros(rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_))
        return Kinds(*(_read_only(each) for each in nothing))
    return Kinds(*(snapshot[f"similar.stand_ins_{part}"] for part in Kinds._fields))


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array
