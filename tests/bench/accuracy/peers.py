"""implicit's models on the product's own numbering of a split: tuned on a slice of the training, judged on the test."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from numpy.typing import NDArray
from scipy import sparse

from recommender.evaluation.metrics import judge
from recommender.evaluation.protocols.task import Task
from recommender.questions import Ragged

TRIALS_MAX = 12  # points of a grid that are tried
VALIDATION_SHARE = 0.2  # of a customer's products
LENGTH = 20
METRIC = f"recall@{LENGTH}"
FLAT = {"num_threads": 1}

Make = Callable[..., Any]


class Peer(NamedTuple):
    """A model of another library, and what may be set about it; `asking` is said when it recommends."""

    make: Make
    grid: Mapping[str, tuple[float, ...]]
    fixed: Mapping[str, Any]
    asking: Mapping[str, Any] = {}


PEERS: dict[str, Peer] = {
    "implicit ALS": Peer(
        AlternatingLeastSquares,
        {"factors": (64, 128, 256), "regularization": (1.0, 10.0, 30.0), "alpha": (1.0, 10.0, 40.0)},
        {"iterations": 15, "random_state": 1, "use_gpu": False, **FLAT},
        {"recalculate_user": True},
    ),
    "implicit BM25": Peer(
        BM25Recommender, {"K": (50, 100, 300, 1_000), "K1": (0.2, 1.2, 5.0), "B": (0.1, 0.4, 0.75)}, FLAT
    ),
    "implicit cosine": Peer(CosineRecommender, {"K": (20, 50, 100, 300, 1_000)}, FLAT),
}


class Judged(NamedTuple):
    """What a tuned peer reached: each question's recall, its settings, seconds of the last fit and of the search."""

    recall: NDArray[np.float64]
    chosen: Mapping[str, float]
    fit_s: float
    search_s: float


def held_back(matrix: Any, seed: int) -> tuple[Any, Any]:
    """Customers × products cut in two: what is left, and a fifth of each customer's products, drawn.

    A customer keeps at least one product. Rows and columns stay where they are.
    """
    random = np.random.default_rng(seed)
    size = np.diff(matrix.indptr)
    owner = np.repeat(np.arange(len(size)), size)
    order = np.lexsort((random.random(len(owner)), owner))
    place = np.empty(len(owner), np.int64)
    place[order] = np.arange(len(owner)) - matrix.indptr[owner]
    taken = np.minimum(np.maximum((size * VALIDATION_SHARE).astype(np.int64), 1), size - 1)
    gone = place < taken[owner]
    return _part(matrix, owner, ~gone), _part(matrix, owner, gone)


def trials(grid: Mapping[str, tuple[float, ...]], seed: int) -> list[dict[str, float]]:
    """Points of a grid, all of them or so many as are tried, drawn."""
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if len(points) <= TRIALS_MAX:
        return points
    drawn = np.random.default_rng(seed).choice(len(points), TRIALS_MAX, replace=False)
    return [points[at] for at in sorted(drawn.tolist())]


def tuned(peer: Peer, task: Task, seed: int) -> Judged:
    """A peer with what serves best on the slice, fitted on all of the training and asked the questions of the test."""
    training, questions = training_of(task), task.parts[0].questions
    began = time.perf_counter()
    rest, held = held_back(training, seed)
    asked = np.flatnonzero(np.diff(held.indptr))
    targets = Ragged(held[asked].indptr.astype(np.int64), held[asked].indices)
    points = trials(peer.grid, seed)
    worth = [float(_recall(peer, _fitted(peer, point, rest), rest[asked], targets).mean()) for point in points]
    chosen = points[int(np.argmax(worth))]
    search_s = time.perf_counter() - began
    began = time.perf_counter()
    model = _fitted(peer, chosen, training)
    fit_s = time.perf_counter() - began
    known = _rows(questions.excluded, training.shape[1])
    return Judged(_recall(peer, model, known, questions.targets), chosen, fit_s, search_s)


def training_of(task: Task) -> Any:
    """Customers × products of the training, 1 where a customer has a product."""
    interactions = task.interactions
    people, products = int(interactions.subject.max()) + 1, len(interactions.products)
    ones = np.ones(len(interactions.product), np.float32)
    matrix = sparse.csr_matrix((ones, (interactions.subject, interactions.product)), shape=(people, products))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _rows(products: Ragged, width: int) -> Any:
    ones = np.ones(len(products.values), np.float32)
    return sparse.csr_matrix((ones, products.values, products.start), shape=(len(products.start) - 1, width))


def _part(matrix: Any, owner: NDArray[np.int64], kept: NDArray[np.bool_]) -> Any:
    columns = (matrix.data[kept], (owner[kept], matrix.indices[kept]))
    return sparse.csr_matrix(columns, shape=matrix.shape)


def _fitted(peer: Peer, point: Mapping[str, float], matrix: Any) -> Any:
    model = peer.make(**point, **peer.fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(matrix, show_progress=False)
    return model


def _recall(peer: Peer, model: Any, known: Any, targets: Ragged) -> NDArray[np.float64]:
    """Recall of each row of known products, none of which is recommended again."""
    length = min(LENGTH, known.shape[1])
    found, _ = model.recommend(
        np.arange(known.shape[0]), known, N=length, filter_already_liked_items=True, **peer.asking
    )
    ranked = np.full((known.shape[0], LENGTH), -1, np.int32)
    ranked[:, :length] = found
    return judge(ranked, targets, ("recall",), (LENGTH,))[METRIC]
