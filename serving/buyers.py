"""What training learned of the shop's buyers, kept in its snapshot: the thresholds that segments are told by."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from personalization.customer.buyers import Buyers
from personalization.customer.segments import Thresholds
from recommender.snapshot import Snapshot

ARRAY = "buyers"


def kept_thresholds(buyers: Buyers) -> dict[str, NDArray[Any]]:
    """The thresholds as an array of a snapshot; none where there are too few buyers."""
    found = buyers.thresholds()
    return {} if found is None else {ARRAY: np.frombuffer(msgspec.msgpack.encode(found), dtype=np.uint8)}


def thresholds_in(snapshot: Snapshot | None) -> Thresholds | None:
    """The thresholds of a snapshot; None where it has none, or those of another version."""
    if snapshot is None or ARRAY not in snapshot:
        return None
    try:
        found: Thresholds = snapshot.unpack(ARRAY, Thresholds)
    except msgspec.MsgspecError:
        return None
    return found
