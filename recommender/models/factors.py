"""Factors: a short vector for each product, from which a person's follows by least squares when it is asked for.

Source: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008), as `implicit` fits
it; a person is folded in with the equation that the fit itself solves, so nobody has to be in the snapshot.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.histories import Histories
from recommender.interactions import numbered_by_appearance
from recommender.kernels.vectors import FLOATS
from recommender.models.neighbours import Neighbours, best_of, joined

ROWS_AT_ONCE = 256
FOLDED_MAX = 50  # the newest products of a history that are folded in
_SEED = 1
_DIGITS, _FOLDING_DIGITS = 6, 9  # decimals kept: further ones depend on how a library adds up

Matrix = NDArray[np.float32]


class FactorsConfiguration(msgspec.Struct, frozen=True):
    """`factors` numbers a product, `regularization`, `alpha` what taking a product adds to its confidence of 1.

    Shops with more than `entries_max` different (person, product) pairs are fitted on their newest people.
    """

    factors: int = 64
    regularization: float = 10.0
    alpha: float = 20.0
    iterations: int = 8
    entries_max: int = 5_000_000


class Factors(NamedTuple):
    """`product` (products, factors) float32; `folding` (products, factors, filled up with zeros to whole vectors), the
    same as `kernels/folding.py` wants them.
    """

    product: Matrix
    folding: Matrix


def fit_factors(people: Histories, configuration: FactorsConfiguration, threads: int = 1) -> Factors:
    """Factors of every product; zeros for those nobody took.

    Args:
        people: each product once in a history.

    Products are numbered by their first appearance, so that their names do not matter.

    Guarantees: the same bytes for any number of threads: each solves whole rows.

    Cost: a sort, and entries × factors × iterations × 10 multiply-adds.
    """
    from implicit.als import AlternatingLeastSquares  # what answers never waits for what only training needs
    from scipy import sparse
    from threadpoolctl import threadpool_limits

    width = configuration.factors
    if not len(people.product):
        nothing = np.zeros((people.products, width), np.float32)
        return Factors(nothing, _in_vectors(nothing))
    first = int(np.searchsorted(people.start, len(people.product) - configuration.entries_max, side="left"))
    begin, start = people.start[first], people.start[first:] - people.start[first]
    product, time_s = people.product[begin:], people.time_s[begin:]
    in_time = np.lexsort((product, time_s, people.unit[begin:]))
    column, columns = numbered_by_appearance(product[in_time].astype(np.int64), people.products)
    matrix = sparse.csr_matrix(
        (np.ones(len(product), np.float32), column[product[in_time]], start), shape=(len(start) - 1, columns)
    )
    with threadpool_limits(1, "blas"):  # more would add up in another order
        model = AlternatingLeastSquares(
            factors=width,
            regularization=configuration.regularization,
            alpha=1.0 + configuration.alpha,  # implicit's is the whole confidence, not what is added to 1
            iterations=configuration.iterations,
            random_state=_SEED,
            num_threads=threads,
            use_gpu=False,
        )
        model.fit(matrix, show_progress=False)
        rounded = np.zeros((people.products, width))
        rounded[column >= 0] = np.round(np.asarray(model.item_factors, np.float64), _DIGITS)[column[column >= 0]]
        gram = np.round(rounded.T @ rounded, _DIGITS) + configuration.regularization * np.eye(width)
        whitening = np.sqrt(configuration.alpha) * np.linalg.inv(np.linalg.cholesky(gram)).T
        folding = np.round(rounded @ whitening, _FOLDING_DIGITS).astype(np.float32)
    return Factors(rounded.astype(np.float32), _in_vectors(folding))


def _in_vectors(factors: Matrix) -> Matrix:
    return np.pad(factors, ((0, 0), (0, -factors.shape[1] % FLOATS)))


def latent(factors: Factors, kept: int, threads: int = 1) -> Neighbours:
    """Products whose factors point the same way, the well-known a little before the others: cosine × √length.

    Cost: products² × factors multiply-adds; memory: `ROWS_AT_ONCE` × products × 8 bytes a thread.
    """
    product = factors.product
    length = np.sqrt((product.astype(np.float64) ** 2).sum(axis=1))
    known = length > 0
    direction = product / np.where(known, length, 1.0)[:, None].astype(np.float32)
    weighed = (direction * np.sqrt(length)[:, None]).astype(np.float32).T.copy()

    def block(first: int) -> Neighbours:
        return best_of(direction[first : first + ROWS_AT_ONCE] @ weighed, first, _DIGITS, kept)

    with ThreadPoolExecutor(threads) as pool:
        return joined(list(pool.map(block, range(0, len(product), ROWS_AT_ONCE))))
