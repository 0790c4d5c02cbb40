"""The item-item build against implicit and similaripy on the same generated matrices, and the merge of its lists.

Alternating runs: a ratio is a peer's processor seconds over ours of the same round, so that the machine's other load
weighs on both alike. K counts a product itself for implicit, so it finds K - 1 partners where we find K.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
import similaripy
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, bm25_weight
from numpy.typing import NDArray

from ingest.vocabulary.ranking import IntVector
from recommender.kernels.__main__ import compile_neighbours
from recommender.kernels.arrays import Frozen, Lists, hold, new_out
from recommender.kernels.listing import merger_of, new_room, rank_lists
from recommender.models.cosine import Neighbours, nearest
from tests.bench.machine import Row, progress

KEPT = 100
ZIPF = 0.9
SPREAD = 1.0  # sigma of the logarithm of a customer's interactions
WEIGHT_MAX = 5
SAMPLE = 100  # rows that SciPy computes too
TOLERANCE = 1e-4  # relative: float32 sums
SEEDS, MERGED, MERGES = 20, 50, 2_000
COSINE = (0.5, 0.5, 0.0)
CHECKED = ("cosine, counts", "cosine, weights", "implicit cosine")


class Size(NamedTuple):
    """A generated shop; the draws include repeats, which are merged."""

    customers: int
    products: int
    draws: int

    @property
    def shown(self) -> str:
        return f"{self.customers:,} × {self.products:,}"


QUICK = Size(40_000, 10_000, 1_100_000)
LARGE = Size(200_000, 50_000, 5_600_000)
LARGEST = Size(1_000_000, 200_000, 22_000_000)


class Took(NamedTuple):
    """What one build took."""

    wall_s: float
    cpu_s: float


def generated(size: Size, seed: int) -> tuple[Any, Any]:
    """Customers by products: counts (all 1) and weights (1 to WEIGHT_MAX), as CSR with sorted rows."""
    random = np.random.default_rng(seed)
    degree = random.lognormal(0.0, SPREAD, size.customers)
    degree = np.maximum(1, (degree * (size.draws / degree.sum()) + random.random(size.customers)).astype(np.int64))
    chance = np.cumsum(np.arange(1, size.products + 1) ** -ZIPF)
    drawn = np.searchsorted(chance, random.random(int(degree.sum())) * chance[-1])
    product = random.permutation(size.products)[np.minimum(drawn, size.products - 1)]
    pair = np.sort(np.repeat(np.arange(size.customers), degree) * size.products + product)
    pair = pair[np.append(True, pair[1:] != pair[:-1])]  # np.unique hashes them first, which takes ten times as long
    customer, product = pair // size.products, (pair % size.products).astype(np.int32)
    start = np.concatenate(([0], np.cumsum(np.bincount(customer, minlength=size.customers)))).astype(np.int64)
    shape = (size.customers, size.products)
    weights = random.integers(1, WEIGHT_MAX + 1, len(product)).astype(np.float64)
    return tuple(
        sparse.csr_matrix((values, product, start), shape=shape) for values in (np.ones(len(product)), weights)
    )


def ours(matrix: Any, threads: int, *, counts: bool) -> Neighbours:
    """The cosine, by counts or by weights."""
    weight = None if counts else matrix.data
    return nearest(matrix.indptr, matrix.indices, weight, matrix.shape[1], COSINE, KEPT, threads)


def our_bm25(matrix: Any, threads: int) -> Neighbours:
    """BM25 as implicit weighs it, weighing included."""
    weighed = bm25_weight(matrix.T, 1.2, 0.75).T.tocsr()
    return nearest(weighed.indptr, weighed.indices, weighed.data, matrix.shape[1], (0.0, 0.0, 0.0), KEPT, threads)


def implicit_of(kind: type[Any], matrix: Any, threads: int) -> Any:
    """A fitted model of implicit: its matrix of similarities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(K=KEPT, num_threads=threads)
        model.fit(matrix, show_progress=False)
    return model.similarity


def rows(size: Size, runs: int, seed: int) -> list[Row]:
    """The build with one and with two threads, checked; then the merge."""
    counts, weights = generated(size, seed)
    builds: dict[str, Callable[[int], Any]] = {
        "cosine, counts": lambda threads: ours(counts, threads, counts=True),
        "implicit cosine": lambda threads: implicit_of(CosineRecommender, counts, threads),
        "similaripy cosine": lambda threads: similaripy.cosine(
            counts.T.tocsr(), k=KEPT, num_threads=threads, verbose=False
        ),
        "cosine, weights": lambda threads: ours(weights, threads, counts=False),
        "implicit cosine, weights": lambda threads: implicit_of(CosineRecommender, weights, threads),
        "BM25": lambda threads: our_bm25(weights, threads),
        "implicit BM25": lambda threads: implicit_of(BM25Recommender, weights, threads),
    }
    against = {
        "cosine, counts": ("implicit cosine", "similaripy cosine"),
        "cosine, weights": ("implicit cosine, weights",),
        "BM25": ("implicit BM25",),
    }
    compile_neighbours()
    shown = f"{size.shown}, {counts.nnz:,} interactions, {KEPT} partners"
    multiplied = float((np.diff(counts.indptr).astype(np.float64) ** 2).sum())
    found = [Row("multiply-adds of the build", "million", [multiplied / 1e6], shown)]
    for threads in (1, 2):
        took, built = _measured(builds, threads, runs)
        for name, peers in against.items():
            label = f"{name}, {threads} thread{'s' * (threads > 1)}"
            found.append(Row(label, "CPU s", [each.cpu_s for each in took[name]]))
            found.append(Row("", "s", [each.wall_s for each in took[name]], "wall"))
            for peer in peers:
                found.append(Row(f"  {peer}", "CPU s", [each.cpu_s for each in took[peer]]))
                found.append(Row("", "× our speed, CPU", _ratios(took[peer], took[name], "cpu_s"), "of the same round"))
                found.append(Row("", "× our speed, wall", _ratios(took[peer], took[name], "wall_s")))
    return found + _checked(counts, weights, built, seed)


def _ratios(peer: Sequence[Took], own: Sequence[Took], what: str) -> list[float]:
    return [getattr(one, what) / getattr(other, what) for one, other in zip(peer, own, strict=True)]


def _measured(
    builds: dict[str, Callable[[int], Any]], threads: int, runs: int
) -> tuple[dict[str, list[Took]], dict[str, Any]]:
    """What each took, round by round; and what it built in the last."""
    took: dict[str, list[Took]] = {name: [] for name in builds}
    built: dict[str, Any] = {}
    for turn in range(runs):
        for name, build in builds.items():
            built.pop(name, None)
            wall, cpu = time.perf_counter(), time.process_time()
            made = build(threads)
            took[name].append(Took(time.perf_counter() - wall, time.process_time() - cpu))
            progress(f"{name}, {threads} threads, round {turn + 1} of {runs}: {took[name][-1].wall_s:.1f} s")
            if name in CHECKED:
                built[name] = made
    return took, built


def _checked(counts: Any, weights: Any, built: dict[str, Any], seed: int) -> list[Row]:
    """Our lists against SciPy's, in doubles, on a sample of rows; then their merge."""
    sample = np.random.default_rng(seed).choice(counts.shape[1], min(SAMPLE, counts.shape[1]), replace=False)
    by_counts = built["cosine, counts"]
    for matrix, found in ((counts, by_counts), (weights, built["cosine, weights"])):
        length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
        normal = (matrix @ sparse.diags(1.0 / np.maximum(length, 1e-12))).tocsc()
        exact = np.asarray((normal[:, sample].T @ normal).todense())
        for place, product in enumerate(sample):
            exact[place, product] = 0.0
            _assert_best(found, int(product), exact[place])
    _assert_lists_of_implicit(by_counts, built["implicit cosine"], sample)
    size = (by_counts.start.nbytes + by_counts.row.nbytes + by_counts.score.nbytes) / counts.shape[1]
    remark = f"{len(sample)} rows as SciPy and implicit have them, up to ties and rounding"
    return [Row("lists kept", "bytes/product", [size], remark), merge(by_counts, seed)]


def _assert_best(found: Neighbours, product: int, exact: NDArray[np.float64]) -> None:
    part = slice(found.start[product], found.start[product + 1])
    best = np.sort(exact[exact > 0])[::-1][:KEPT]
    np.testing.assert_allclose(found.score[part], best, rtol=TOLERANCE)
    np.testing.assert_allclose(exact[found.row[part]], found.score[part], rtol=TOLERANCE)


def _assert_lists_of_implicit(found: Neighbours, similarity: Any, sample: NDArray[np.int64]) -> None:
    for product in sample:
        row = similarity[int(product)]
        others = np.sort(row.data[row.indices != product])[::-1][: KEPT - 1]
        part = found.score[found.start[product] : found.start[product + 1]][: len(others)]
        np.testing.assert_allclose(part, others, rtol=TOLERANCE)


def merge(lists: Neighbours, seed: int) -> Row:
    """Lists of 20 products merged into the best 50, as `similar` does it for each request."""
    products = len(lists.start) - 1
    empty, same = np.zeros(0, np.int32), np.arange(products, dtype=np.int32)
    nothing = dict.fromkeys(Frozen._fields, empty) | {"index_of_row": same, "row_of_index": same}
    held = hold(merger_of(Frozen(**nothing), Lists(*lists), new_room(products)))
    random = np.random.default_rng(seed)
    popular = np.argsort(-np.diff(lists.start), kind="stable")[: products // 2]
    asked = [random.choice(popular, SEEDS, replace=False).astype(np.int32) for _ in range(MERGES)]
    weights = np.ones(SEEDS)

    def merged(seeds: IntVector) -> int:
        """As a request has it, with room for its answer."""
        out = new_out(MERGED)
        return rank_lists(seeds, weights, KEPT, held, out.scores, out.products, out.because)

    merged(asked[0])
    took = []
    for part in range(0, MERGES, MERGES // 10):
        cpu = time.thread_time()
        for seeds in asked[part : part + MERGES // 10]:
            assert merged(seeds) == MERGED
        took.append(1e6 * (time.thread_time() - cpu) / (MERGES // 10))
    remark = f"{SEEDS} lists × {KEPT} into {MERGED}, with the call from Python and room for the answer"
    return Row("candidate merge", "CPU µs", took, remark)
