"""EASE: a linear model of a basket by itself, in closed form. For catalogues whose square fits into memory.

Source: Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.histories import Histories
from recommender.models.neighbours import Neighbours


def ease(histories: Histories, penalty: float, kept: int, damping: float = 0.0) -> Neighbours:
    """The strongest positive weights of each product for others.

    Args:
        penalty: of the squared weights (lambda), in histories.
        damping: a history of n products counts n^-damping.

    Cost: products³ / 3 multiply-adds and 16 bytes · products².
    """
    from scipy import linalg, sparse  # what answers never waits for what only training needs
    from threadpoolctl import threadpool_limits

    size = np.diff(histories.start)
    weight = np.repeat(np.maximum(size, 1) ** (-damping / 2), size)
    matrix = sparse.csr_matrix(
        (weight, histories.product, histories.start), shape=(len(histories), histories.products), dtype=np.float64
    )
    gram = np.asarray((matrix.T @ matrix).todense())
    gram[np.diag_indices_from(gram)] += penalty
    with threadpool_limits(1, "blas"):  # more would add up in another order
        inverse, failed = linalg.lapack.dpotri(linalg.cholesky(gram, lower=True, overwrite_a=True), lower=True)
    assert not failed, "a penalised Gram matrix is positive definite"
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    inverse /= -np.diag(inverse)
    np.fill_diagonal(inverse, 0.0)
    return _strongest(np.round(inverse, 9), kept)


def _strongest(weights: NDArray[np.float64], kept: int) -> Neighbours:
    """The largest positive entries of each row, ties by the smaller column."""
    products = len(weights)
    kept = min(kept, products)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :kept]
    score = np.take_along_axis(weights, order, axis=1)
    held = score > 0
    start = np.concatenate(([0], np.cumsum(held.sum(axis=1)))).astype(np.int64)
    return Neighbours(start, order[held].astype(np.int32), score[held].astype(np.float32))
