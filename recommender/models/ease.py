"""EASE: a linear model of a basket by itself, in closed form. For catalogues whose square fits into memory.

Source: Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019).
"""

from __future__ import annotations

import numpy as np

from recommender.histories import Histories
from recommender.models.neighbours import Neighbours, best_of

_DECIMALS = 9  # kept: further ones depend on how a library adds up


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
    return best_of(inverse, 0, _DECIMALS, kept)
