"""The rankers of a snapshot: stored as arrays, loaded to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector, Purpose
from recommender.candidates.gathering import describe_factors
from recommender.candidates.plan import LEARNED, Plan
from recommender.candidates.stores import FEATURES, factors_of, new_scratch, posting_units, stores_of
from recommender.kernels.arrays import hold
from recommender.kernels.gathering import Found, gather_one
from recommender.kernels.trees import Trees
from recommender.ranker.fitting import Learned, Rival, prior

Arrays = dict[str, NDArray[Any]]


class Ranked(NamedTuple):
    """Rows of the snapshot, best first, with scores and the row of the history that speaks loudest, -1 for none."""

    row: IntVector
    score: FloatVector
    because: IntVector


def arrays_of(shared: Arrays, plan: Plan, learned: Mapping[Purpose, Learned]) -> Arrays:
    """Everything to answer with."""
    arrays = {name: part for name, part in shared.items() if name != "posting_unit"}  # made again when it is loaded
    arrays["plan"] = np.frombuffer(msgspec.msgpack.encode(plan), np.uint8)
    for purpose, ranker in learned.items():
        arrays[f"{purpose}.weights"] = ranker.rival.weights
        if ranker.rival.trees is not None:
            arrays |= {f"{purpose}.trees.{name}": part for name, part in ranker.rival.trees._asdict().items()}
    return arrays


class Rankers:
    """Answers for every purpose that rankers are fitted for; in the order of the blend where one could not be.

    Any thread may ask: the kernels keep the interpreter's lock.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._plan = msgspec.msgpack.decode(arrays["plan"].tobytes(), type=Plan)
        self._factors = (factors_of(arrays), self._plan.factors.alpha)
        self._rankers: dict[str, _Ranker] = {}
        units = posting_units(arrays["history_start"], arrays["posting_entry"])
        shared, scratch = {**arrays, "posting_unit": units}, None
        for purpose in LEARNED:
            stores = stores_of(shared, self._plan, purpose)
            scratch = hold(new_scratch(stores)) if scratch is None else scratch
            trees = None
            if f"{purpose}.trees.tree_start" in arrays:
                trees = Trees(*(arrays[f"{purpose}.trees.{name}"] for name in Trees._fields))
            rival = Rival(arrays.get(f"{purpose}.weights", prior()), trees)
            self._rankers[purpose] = _Ranker(hold(stores), scratch, rival)
        self._room = Found(
            np.zeros(self._plan.candidates, np.int32),
            np.zeros(self._plan.candidates, np.float32),
            np.zeros(self._plan.candidates, np.int32),
            np.zeros((self._plan.candidates, FEATURES), np.float32),
        )

    def __contains__(self, purpose: str) -> bool:
        return purpose in self._rankers

    def rank(
        self,
        purpose: Purpose,
        product: IntVector,
        time_s: CountVector,
        bought: IntVector,
        excluded: IntVector,
        limit: int,
    ) -> Ranked:
        """The best for a history of rows, oldest first. Cost: some 200 µs, 400 µs with trees."""
        ranker = self._rankers[purpose]
        room = Found(*(np.empty_like(part) for part in self._room))
        now_s = int(time_s[-1]) if len(time_s) else 0
        count = gather_one(product, time_s, now_s, bought, excluded, ranker.stores, ranker.scratch, room)
        describe_factors(product, self._factors, room.row[:count], room.features)
        value = ranker.rival.scores(room.features[:count])
        order = np.lexsort((room.row[:count], -value))[:limit]
        return Ranked(room.row[order], value[order], room.because[order])


class _Ranker(NamedTuple):
    """One purpose, ready to answer."""

    stores: Any
    scratch: Any
    rival: Rival
