"""The best partners of every product under a generalised cosine, from groups of products: customers, visits, orders.

    w(i, j) = d_i^-a · Σ_u d_u^-c · x_ui · x_uj · d_j^-b        j ≠ i, w > 0

x_ui is the weight of product i in group u, 1 without weights; d_i = Σ_u x_ui² and d_u = Σ_i x_ui², which are then the
number of groups of a product and the number of products of a group. The cosine is (½, ½, 0). BM25 and other
weightings come in as weights, with exponents (0, 0, 0).

Source: Aiolli, "Efficient top-n recommendation for very large scale binary rated datasets" (RecSys 2013), whose
asymmetric cosine this is with weights and a damping of large groups added.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.kernels.neighbours import (
    GROUP_SIZE_MAX,
    INTERACTIONS_MAX,
    WEIGHED,
    Factors,
    Visits,
    count_rows,
    invert,
    sum_squares,
    weigh_rows,
)
from recommender.kernels.vectors import LANES
from recommender.models.neighbours import Neighbours

ROWS_AT_ONCE = 1024  # rows a thread does before it takes the next ones
KEPT_MAX = 10_000  # partners of a product; a row's buffer is twice that
PRODUCTS_MAX = 2**31 - LANES  # ranks are int32
WEIGHT_MAX = 1e6  # so that sums stay far within float32
_EIGHTHS = 8  # exponents are whole eighths: square roots and products round alike everywhere
_SQUARED_ROOTS = 3  # 2^3 eighths
_NAME_MAX = 2**32 - 1

Floats = NDArray[np.float32]


def nearest(
    groups_start: CountVector,
    groups_product: IntVector,
    weight: Floats | None,
    products: int,
    exponents: tuple[float, float, float],
    kept: int,
    threads: int = 1,
    limit: int | None = None,
) -> Neighbours:
    """The best `kept` partners of each product, exactly, whatever the number of threads.

    Args:
        groups_start: (groups + 1,) into groups_product: (interactions,) product rows, distinct within a group, the
            newest last if `limit` is given.
        weight: (interactions,) from 0 to WEIGHT_MAX, or None for counts, which take half the time.
        exponents: (a, b, c), eighths from 0 to 1.
        limit: count only the last so many products of a group. Large groups cost the square of their size: for a
            log-normal shop of 25 interactions a customer, 100 save a third of the multiply-adds and 5 % of the
            interactions, 50 save three fifths and a sixth.

    Returns:
        Partners by score, equal scores by row. Products without partners have none, none is its own partner, and a
        product has fewer than `kept` if fewer share a group with it. Scores are float32, (sum · d_j^-b) · d_i^-a
        rounded after each multiplication. Without weights and with c = 0 sums are exact; else they are float32, added
        in ascending order of groups, so off by at most 2^-24 of themselves for each group in common.

    Raises:
        ConfigurationError: an argument is not what is said here.

    Cost: the sum of squared group sizes in multiply-adds, and a pass over the catalogue for each product. Memory beside
        the arguments (which are copied if they are of other types): 12 bytes an interaction, 24 with weights and 20
        more for a moment with a limit; 25 a neighbour, of which 8 stay; 60 a product; and for each thread 1 to 4 a
        product. Threads do different rows.
    """
    start, product = np.ascontiguousarray(groups_start, np.int64), np.ascontiguousarray(groups_product, np.int32)
    weights = None if weight is None else np.ascontiguousarray(weight, np.float32)
    _check(start, product, weights, products, exponents, kept, threads, limit)
    if limit is not None:
        start, product, weights = _newest(start, product, weights, limit)
    if weights is None and exponents[2] != 0.0:
        weights = np.ones(len(product), np.float32)
    counts = np.bincount(product, minlength=products).astype(np.int64)
    # Of equally common products the last row is ranked first: the scan goes backwards, and prefers the first.
    order = (products - 1 - np.argsort(-counts[::-1], kind="stable")).astype(np.int32)
    visits, factors = _prepared(start, product, weights, counts, order, exponents)
    keys = _ranked(visits, factors, counts[order], products, kept, threads, weights is not None)
    return _as_lists(keys)


def _check(
    start: CountVector,
    product: IntVector,
    weight: Floats | None,
    products: int,
    exponents: tuple[float, float, float],
    kept: int,
    threads: int,
    limit: int | None,
) -> None:
    size = np.diff(start)
    wrong = {
        f"products must be 0..{PRODUCTS_MAX}": not 0 <= products <= PRODUCTS_MAX,
        f"kept must be 1..{KEPT_MAX}": not 1 <= kept <= KEPT_MAX,
        "threads must be at least 1": threads < 1,
        "limit must be at least 1": limit is not None and limit < 1,
        f"interactions must be at most {INTERACTIONS_MAX}": len(product) > INTERACTIONS_MAX,
        "exponents must be eighths from 0 to 1": any(
            not 0.0 <= each <= 1.0 or each * _EIGHTHS != int(each * _EIGHTHS) for each in exponents
        ),
        "groups_start must begin with 0, end with the number of interactions and not fall": (
            len(start) < 1 or start[0] != 0 or start[-1] != len(product) or bool((size < 0).any())
        ),
        f"a group must have at most {GROUP_SIZE_MAX} products": len(size) > 0 and int(size.max()) > GROUP_SIZE_MAX,
        f"product rows must be 0..{products - 1}": (
            len(product) > 0 and (int(product.min()) < 0 or int(product.max()) >= products)
        ),
        f"weights must be one for each interaction, 0..{WEIGHT_MAX:.0f}": weight is not None
        and (len(weight) != len(product) or not bool(((weight >= 0.0) & (weight <= WEIGHT_MAX)).all())),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise ConfigurationError(f"neighbours: {what}")


def _newest(
    start: CountVector, product: IntVector, weight: Floats | None, limit: int
) -> tuple[CountVector, IntVector, Floats | None]:
    """The last `limit` members of each group."""
    size = np.diff(start)
    held = np.arange(len(product)) >= np.repeat(start[1:] - limit, size)
    return _starts(np.minimum(size, limit)), product[held], None if weight is None else weight[held]


def _prepared(
    start: CountVector,
    product: IntVector,
    weight: Floats | None,
    counts: CountVector,
    order: IntVector,
    exponents: tuple[float, float, float],
) -> tuple[Visits, Factors]:
    """Groups and factors by rank."""
    products, groups = len(order), len(start) - 1
    rank = np.empty(products, np.uint32)
    rank[order] = np.arange(products, dtype=np.uint32)
    ranks = rank[product]
    norm, group_norm = counts[order].astype(np.float64), np.zeros(0)
    member: NDArray[Any] = ranks
    if weight is not None:
        norm, group_norm = np.zeros(products), np.zeros(groups)
        sum_squares(start, ranks, weight, group_norm, norm)
        member = np.empty(len(ranks), WEIGHED)
        member["rank"], member["weight"] = ranks, weight
    visit_start = _starts(counts[order])
    visit = np.empty(len(product), np.uint64)
    visit_weight = np.empty(0 if weight is None else len(product), np.float32)
    weight_in = visit_weight if weight is None else weight
    factor = _inverse_power(group_norm, exponents[2])
    if not invert(start, ranks, factor, weight_in, visit_start[:-1].copy(), visit, visit_weight):
        raise ConfigurationError("neighbours: a group has a product twice; add their weights up first")
    places = -(-products // LANES) * LANES
    partner, name = np.zeros(places, np.float32), np.zeros(places, np.uint32)
    partner[:products] = _inverse_power(norm, exponents[1])
    name[:products] = _NAME_MAX - order.astype(np.int64)
    least = _inverse_power(partner.reshape(-1, LANES).max(axis=1).astype(np.float64), 1.0)
    factors = Factors(_inverse_power(norm, exponents[0]), partner, least, name)
    return Visits(visit_start, visit, visit_weight, member), factors


def _inverse_power(norm: NDArray[np.float64], exponent: float) -> Floats:
    """norm^-exponent from square roots and products; 0 for 0."""
    result, root, eighths = np.ones(len(norm)), norm, int(exponent * _EIGHTHS)
    for bit in (8, 4, 2, 1):
        if eighths & bit:
            result = result * root
        root = np.sqrt(root)
    with np.errstate(divide="ignore"):
        return np.where(norm > 0.0, 1.0 / result, 0.0).astype(np.float32)


def _ranked(
    visits: Visits, factors: Factors, counts: CountVector, products: int, kept: int, threads: int, weighed: bool
) -> NDArray[np.uint64]:
    """The keys of each product's partners, (products, kept)."""
    keys = np.zeros((products, kept), np.uint64)

    def block(rows: tuple[int, int]) -> None:
        first, last = rows
        kind: Any = np.float32 if weighed else np.min_scalar_type(int(counts[first]))
        ceiling = np.float32(np.finfo(kind).max if weighed else np.iinfo(kind).max)
        sums = np.zeros(len(factors.partner), kind)
        (weigh_rows if weighed else count_rows)(first, last, visits, factors, sums, ceiling, keys)

    # Where a narrower counter begins to do, a block begins too.
    bounds = {*range(0, products, ROWS_AT_ONCE), products}
    bounds |= {int(np.searchsorted(-counts, -most)) for most in (np.iinfo(np.uint16).max, np.iinfo(np.uint8).max)}
    ends = sorted(bounds)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(block, pairwise(ends)))
    return keys


def _as_lists(keys: NDArray[np.uint64]) -> Neighbours:
    held = keys != 0
    halves = keys[held].astype("<u8", copy=False).view("<u4")  # a name, and the bits of a score
    row = (np.uint32(_NAME_MAX) - halves[0::2]).astype(np.int32)
    return Neighbours(_starts(held.sum(axis=1)), row, halves[1::2].copy().view(np.float32))


def _starts(sizes: NDArray[Any]) -> CountVector:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
