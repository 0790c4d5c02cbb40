"""The rankers of a snapshot: stored as arrays, loaded to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector, History, IntVector, Purpose
from recommender.candidates.plan import LEARNED, Plan
from recommender.candidates.stores import FEATURES, new_scratch, posting_units, stores_of
from recommender.kernels.answering import new_room, rank_history
from recommender.kernels.arrays import Frozen, Held, Out, hold
from recommender.kernels.collecting import Scratch, Stores
from recommender.kernels.trees import Trees
from recommender.ranker.fitting import Learned, prior
from recommender.ranker.flattening import NO_TREES, flatten

Arrays = dict[str, NDArray[Any]]


def arrays_of(
    shared: Arrays, plan: Plan, learned: Mapping[Purpose, Learned], appeal: FloatVector | None = None
) -> Arrays:
    """Everything to answer with.

    Args:
        appeal: (products,) of all that was shown, for the rankers that took it.
    """
    arrays = {name: part for name, part in shared.items() if name != "posting_unit"}  # made again when it is loaded
    arrays["plan"] = np.frombuffer(msgspec.msgpack.encode(plan), np.uint8)
    for purpose, ranker in learned.items():
        arrays[f"{purpose}.weights"] = ranker.rival.weights
        if ranker.rival.trees is not None:
            arrays |= {f"{purpose}.trees.{name}": part for name, part in ranker.rival.trees._asdict().items()}
        if appeal is not None and ranker.lesson.appeal > 0:
            arrays[f"{purpose}.appeal"] = (appeal * ranker.lesson.appeal).astype(np.float32)
    return arrays


class Rankers:
    """Answers for every purpose that rankers are fitted for; in the order of the blend where one could not be.

    Any thread may ask: the kernels keep the interpreter's lock.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._plan = msgspec.msgpack.decode(arrays["plan"].tobytes(), type=Plan)
        self._rankers: dict[str, _Ranker] = {}
        units = posting_units(arrays["history_start"], arrays["posting_entry"])
        shared, scratch = {**arrays, **_later_ones(arrays), "posting_unit": units}, None
        in_order_of_blend = prior()
        no_appeal = np.zeros(0, np.float32)
        for array in (in_order_of_blend, no_appeal):
            array.flags.writeable = False  # as a snapshot's are: numba takes others for another type
        for purpose in LEARNED:
            stores = stores_of(shared, self._plan, purpose)
            scratch = hold(new_scratch(stores)) if scratch is None else scratch
            weights = _whole(arrays.get(f"{purpose}.weights", in_order_of_blend))
            appeal = arrays.get(f"{purpose}.appeal", no_appeal)
            self._rankers[purpose] = _Ranker(hold(stores), scratch, weights, hold(_trees(arrays, purpose)), appeal)
        self._room = hold(new_room(self._plan.candidates, FEATURES))

    def __contains__(self, purpose: str) -> bool:
        return purpose in self._rankers

    def rank(self, purpose: Purpose, history: History, excluded: IntVector, frozen: Held[Frozen], out: Out) -> int:
        """The best for a history, best first, into `out`; as many as are returned, -1 where the snapshot knows none of
        it. Cost: some 200 µs, 350 µs with trees; 400 µs for 30 products, the processor's cache not being one's own.
        """
        stores, scratch, weights, trees, appeal = self._rankers[purpose]
        return rank_history(*history, excluded, frozen, stores, scratch, weights, trees, appeal, self._room, out)


class _Ranker(NamedTuple):
    """One purpose, ready to answer."""

    stores: Held[Stores]
    scratch: Held[Scratch]
    weights: FloatVector
    trees: Held[Trees]
    appeal: NDArray[np.float32]


def _later_ones(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Nothing about when products were taken, and which most, for a snapshot from before these were features."""
    products = len(arrays["popular"])
    nothing: Arrays = {
        "fresh": np.zeros(products, np.float32),
        "alive": np.zeros((products, 1), np.float32),
        "moments": np.zeros(0, np.int64),
        "top_row": np.zeros(0, np.int32),
        "top_score": np.zeros(0, np.float32),
    }
    for array in nothing.values():
        array.flags.writeable = False
    return {name: array for name, array in nothing.items() if name not in arrays}


def _whole(weights: FloatVector) -> FloatVector:
    """Weights of all features; those that an older snapshot did not have weigh nothing, and are behind the others."""
    if len(weights) == FEATURES:
        return weights
    filled = np.pad(weights, (0, FEATURES - len(weights)))
    filled.flags.writeable = False
    return filled


def _trees(arrays: Mapping[str, NDArray[Any]], purpose: str) -> Trees:
    """The trees of a purpose; of no tree where it has none."""
    if f"{purpose}.trees.tree_start" not in arrays:
        return flatten(NO_TREES)
    return Trees(*(arrays[f"{purpose}.trees.{name}"] for name in Trees._fields))
