"""Bought together: complements, from orders, with exact evidence.

A partner's score is a generalised cosine of damped counts at three time scales: undecayed, slow and fast. Sums are
integers, so what a tail adds is exactly what training on everything would count.

Source: see `kernels/scoring.py`; damping by basket size as in the basket experiments of docs/decisions/0003.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.configuration import BoughtTogetherConfiguration
from recommender.decay import ONE, SIZE_MAX, decay_tables, size_damping
from recommender.histories import grouped
from recommender.interactions import Hashes, Interactions, Orders
from recommender.kernels.counting import count_pairs

Arrays = dict[str, NDArray[np.generic]]
ROWS_AT_ONCE = 2048  # products a thread counts before it hands over its block


def fit(interactions: Interactions, configuration: BoughtTogetherConfiguration, threads: int = 1) -> Arrays:
    """Partners with their counts, and the orders themselves for every other pair.

    Returns:
        pair_start (products + 1,), pair_row, pair_orders (pairs,), pair_weights (pairs, 3): partners, best first.
        order_start, order_product, order_day: order → products; posting_start, posting_order: product → orders.
        order_hash (orders, 2) sorted, order_of_hash (orders,): find an order by its id.
        product_orders (products,), product_weights (products, 2) slow and fast: the products' own sums.

    Cost: the sum of squared order sizes; 0.2 s and 24 bytes a kept pair for the example shop.
    """
    orders, products = interactions.orders, len(interactions.products)
    posting_start, posting_order = _postings(orders, products)
    decayed = order_decay(interactions.reference_day - orders.day.astype(np.int64), configuration)
    size = np.diff(orders.start)
    damped = damped_weights(decayed, size)
    sums = np.zeros((products, 2), dtype=np.int64)
    np.add.at(sums, orders.products, np.repeat(decayed, size, axis=0))
    product_orders = np.diff(posting_start)
    by_hash = np.lexsort((orders.hashes[:, 1], orders.hashes[:, 0]))
    arrays: Arrays = {
        "order_start": orders.start,
        "order_product": orders.products,
        "order_day": orders.day,
        "order_hash": orders.hashes[by_hash],
        "order_of_hash": by_hash.astype(np.int32),
        "posting_start": posting_start,
        "posting_order": posting_order,
        "product_orders": product_orders,
        "product_weights": sums,
    }
    norms = norms_of(product_orders, sums, configuration.shrink)
    pairs = _pairs(orders, posting_start, posting_order, damped, product_orders, norms, configuration, threads)
    return arrays | pairs


def order_decay(age: CountVector, configuration: BoughtTogetherConfiguration) -> NDArray[np.int64]:
    """The slow and the fast weight of orders by age in days, (n, 2)."""
    tables = decay_tables((configuration.slow_half_life_days, configuration.fast_half_life_days))
    old = age >= tables.shape[1]
    weights: NDArray[np.int64] = np.where(old, 0, tables[:, np.where(old, 0, age)]).T
    return weights


def damped_weights(decayed: NDArray[np.int64], size: CountVector) -> NDArray[np.int64]:
    """What an order of `size` products adds to each of its pairs: undecayed, slow, fast; (n, 3)."""
    damping = size_damping()[np.minimum(size, SIZE_MAX)]
    return np.stack((damping, damping * decayed[:, 0] // ONE, damping * decayed[:, 1] // ONE), axis=1)


def norms_of(product_orders: CountVector, sums: NDArray[np.int64], shrink: float) -> NDArray[np.float64]:
    """The norms of products, (n, 3): what `kernels.scoring.norm` computes for each sum."""
    totals = np.stack((product_orders.astype(np.float64), sums[:, 0] / ONE, sums[:, 1] / ONE), axis=1)
    root = np.sqrt(np.sqrt(np.sqrt(totals + shrink)))
    cubed: NDArray[np.float64] = root * root * root
    return cubed


def find_order(hashes: Hashes, order_of_hash: IntVector, wanted: bytes) -> int:
    """The row of an order by the hash of its id, or -1. Cost: two binary searches."""
    high, low = int.from_bytes(wanted[:8]), int.from_bytes(wanted[8:])
    first = int(np.searchsorted(hashes[:, 0], np.uint64(high)))
    while first < len(hashes) and int(hashes[first, 0]) == high:
        if int(hashes[first, 1]) == low:
            return int(order_of_hash[first])
        first += 1
    return -1


def _postings(orders: Orders, products: int) -> tuple[CountVector, IntVector]:
    size = np.diff(orders.start)
    order_of_line = np.repeat(np.arange(len(orders), dtype=np.int32), size)
    start, line = grouped(orders.products, products)
    return start, order_of_line[line]


def _pairs(
    orders: Orders,
    posting_start: CountVector,
    posting_order: IntVector,
    damped: NDArray[np.int64],
    product_orders: CountVector,
    norms: NDArray[np.float64],
    configuration: BoughtTogetherConfiguration,
    threads: int,
) -> Arrays:
    products, kept = len(product_orders), configuration.kept

    def block(first: int) -> tuple[NDArray[Any], ...]:
        last = min(first + ROWS_AT_ONCE, products)
        count = np.zeros(last - first, np.int32)
        row, common = (np.zeros((last - first, kept), np.int32) for _ in range(2))
        weights = np.zeros((last - first, kept, 3), np.int64)
        count_pairs(
            first,
            last,
            posting_start,
            posting_order,
            orders.start,
            orders.products,
            damped,
            product_orders,
            norms,
            len(orders),
            configuration.tuning,
            kept,
            count,
            row,
            common,
            weights,
        )
        held = np.arange(kept) < count[:, None]
        return count, row[held], common[held], weights[held]

    with ThreadPoolExecutor(threads) as pool:
        blocks = list(pool.map(block, range(0, products, ROWS_AT_ONCE)))
    nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3), np.int64))
    count, row, common, weights = (np.concatenate(parts) for parts in zip(nothing, *blocks, strict=True))
    return {
        "pair_start": np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        "pair_row": row,
        "pair_orders": common,
        "pair_weights": weights,
    }
