"""Folding a history into factors, while a request waits: what it says of every candidate, without making its vector.

A person who took the products T has the vector (G + α TᵀT)⁻¹ (1 + α) Tᵀ1 by the equation that implicit ALS solves,
where G is all products' gram with its regularisation. With rows w of √α · product · L⁻ᵀ, where G = L Lᵀ, what it says
of a product is, but for a factor that all share, the product's w times the sum of x_j · w_j over what was taken, where
(1 + T' T'ᵀ) x = 1: a system as small as the history, instead of one as large as the factors (Woodbury's identity).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.kernels import row_kernel
from recommender.kernels.vectors import inner

Array = NDArray[Any]


@row_kernel
def fold_in(taken: Array, count: int, factors: Array, lower: Array, share: Array, person: Array) -> None:
    """The vector whose inner product with a product's factors says how much somebody wants that product.

    Args:
        taken: distinct rows, the first `count` of them count; no more than `lower` has room for.
        factors: (products × factors,) float32 as `recommender.models.factors` makes them for this.
        lower: (most, most) and share: (most,) scratch; person: (factors,) float32, filled.

    Cost: count² / 2 inner products, and count³ / 6.
    """
    width = len(person)
    for at in range(count):
        for before in range(at + 1):
            value = float(inner(factors, taken[at] * width, factors, taken[before] * width, width))
            if at == before:
                value += 1.0
            for within in range(before):
                value -= lower[at, within] * lower[before, within]
            lower[at, before] = math.sqrt(value) if at == before else value / lower[before, before]
    for at in range(count):
        value = 1.0
        for before in range(at):
            value -= lower[at, before] * share[before]
        share[at] = value / lower[at, at]
    for at in range(count - 1, -1, -1):
        value = share[at]
        for behind in range(at + 1, count):
            value -= lower[behind, at] * share[behind]
        share[at] = value / lower[at, at]
    person[:] = 0
    for at in range(count):
        begin, own = taken[at] * width, np.float32(share[at])
        for factor in range(width):
            person[factor] += own * factors[begin + factor]
