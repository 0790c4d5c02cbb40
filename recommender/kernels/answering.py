"""One request: a history in, the best products out, with nothing of Python in between."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import ORDER, CountVector, FloatVector, IntVector
from recommender.kernels import kernel
from recommender.kernels.arrays import Frozen, Held, Out
from recommender.kernels.choice import score_linear
from recommender.kernels.collecting import Scratch, Stores
from recommender.kernels.gathering import gather
from recommender.kernels.merging import row_of
from recommender.kernels.scoring import insert_ranked
from recommender.kernels.trees import Trees, score_trees

Array = NDArray[Any]


class Room(NamedTuple):
    """For the candidates of a request: (candidates,) each, features (candidates, …); the last two for their scores."""

    row: Array
    score: Array
    because: Array
    features: Array
    value: Array
    correction: Array


def new_room(candidates: int, features: int) -> Room:
    """Room for so many."""
    return Room(
        row=np.zeros(candidates, np.int32),
        score=np.zeros(candidates, np.float32),
        because=np.zeros(candidates, np.int32),
        features=np.zeros((candidates, features), np.float32),
        value=np.zeros(candidates),
        correction=np.zeros(candidates),
    )


@kernel
def rank_history(
    products: IntVector,
    time_s: CountVector,
    kind: Array,
    excluded: IntVector,
    frozen_held: Held[Frozen],
    stores_held: Held[Stores],
    scratch_held: Held[Scratch],
    weights: FloatVector,
    trees_held: Held[Trees],
    appeal: Array,
    room_held: Held[Room],
    out: Out,
) -> int:
    """The best for a history, equal scores by row. It keeps the interpreter's lock: one scratch does for all threads.

    Args:
        products, time_s, kind: the history, oldest first, in the process's numbers, as are `excluded` and the answer.
        weights: (features,) of a sum, to which the trees add theirs.
        appeal: (products of the snapshot,) float32 that is added to a candidate's score; empty for none.

    Returns:
        how many there are; -1 if there is a history, and the snapshot has none of its products.
    """
    frozen, stores, scratch, room = frozen_held.arrays, stores_held.arrays, scratch_held.arrays, room_held.arrays
    length, known, orders = len(products), 0, 0
    row, moment, bought = np.empty(length, np.int32), np.empty(length, np.int64), np.empty(length, np.int32)
    for at in range(length):
        here = row_of(frozen.row_of_index, products[at]) if products[at] >= 0 else -1
        if here >= 0:
            row[known], moment[known] = here, time_s[at]
            known += 1
            if kind[at] == ORDER:
                bought[orders] = here
                orders += 1
    if length > 0 and known == 0:
        return -1
    gone, without = np.empty(len(excluded), np.int32), 0
    for at in range(len(excluded)):
        here = row_of(frozen.row_of_index, excluded[at]) if excluded[at] >= 0 else -1
        if here >= 0:
            gone[without] = here
            without += 1
    count = gather(
        row[:known],
        moment[:known],
        moment[known - 1] if known > 0 else 0,
        bought[:orders],
        gone[:without],
        stores,
        scratch,
        room.row,
        room.score,
        room.because,
        room.features,
    )
    value, correction = room.value[:count], room.correction[:count]
    score_linear(room.features[:count], weights, value)
    score_trees(room.features[:count], correction, trees_held.arrays)
    if len(appeal) > 0:
        for at in range(count):
            correction[at] += appeal[room.row[at]]
    limit, found = len(out.scores), 0
    ties = np.empty(limit, np.int32)
    scores, places = out.scores, out.products
    for at in range(count):
        score = value[at] + correction[at]
        if found < limit or score >= scores[found - 1]:  # asked here: a call costs 50 ns an array
            found = insert_ranked(scores, places, ties, found, limit, score, at, room.row[at])
    for at in range(found):
        place = places[at]
        loudest = room.because[place]
        out.products[at] = frozen.index_of_row[room.row[place]]
        out.because[at] = frozen.index_of_row[loudest] if loudest >= 0 else -1
        out.orders[at], out.lift[at] = 0, 0.0
    return found
