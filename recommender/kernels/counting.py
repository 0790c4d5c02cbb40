"""Training's count of pairs: each thread writes only its own rows, so threads change nothing in the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.kernels import row_kernel
from recommender.kernels.scoring import COMMON_MIN, insert_ranked, is_significant, pair_score

Matrix = NDArray[Any]
BELOW_ALL = 1e6  # pairs that are not significant yet come after all that are


@row_kernel
def count_pairs(
    first: int,
    last: int,
    posting_start: CountVector,
    posting_orders: IntVector,
    order_start: CountVector,
    order_products: IntVector,
    order_weights: Matrix,
    product_orders: CountVector,
    norms: Matrix,
    orders: int,
    tuning: FloatVector,
    kept: int,
    out_count: IntVector,
    out_row: Matrix,
    out_orders: Matrix,
    out_weights: Matrix,
) -> None:
    """The partners of the products `first` to `last`, best first.

    Args:
        posting_*: product → its orders, ascending; order_*: order → its products.
        order_weights: (orders, 3) fixed-point damped weights (undecayed, slow, fast).
        product_orders: (products,) distinct orders; norms: (products, 3).
        out_*: (last - first, kept) rows, orders in common, and (…, 3) sums of weights; `out_count` how many.

    Cost: the sum of the sizes of the orders of each product, one scratch row of the catalogue's length.
    """
    products = len(product_orders)
    common = np.zeros(products, np.int32)
    weights = np.zeros((products, 3), np.int64)
    touched = np.empty(products, np.int32)
    scores, items, ties = np.empty(kept, np.float64), np.empty(kept, np.int32), np.empty(kept, np.int32)
    for product in range(first, last):
        touches = 0
        for at in range(posting_start[product], posting_start[product + 1]):
            order = posting_orders[at]
            raw, slow, fast = order_weights[order, 0], order_weights[order, 1], order_weights[order, 2]
            for within in range(order_start[order], order_start[order + 1]):
                partner = order_products[within]
                if common[partner] == 0:
                    touched[touches] = partner
                    touches += 1
                common[partner] += 1
                weights[partner, 0] += raw
                weights[partner, 1] += slow
                weights[partner, 2] += fast
        count = 0
        for at in range(touches):
            partner = touched[at]
            if partner == product or common[partner] < 1:
                continue
            score = pair_score(
                float(weights[partner, 0]),
                float(weights[partner, 1]),
                float(weights[partner, 2]),
                norms[product] * norms[product],
                norms,
                partner,
                0,
                tuning,
            )
            if not is_significant(common[partner], product_orders[product], product_orders[partner], orders, tuning):
                if common[partner] < tuning[COMMON_MIN]:
                    continue  # cannot become significant without an order that the tail sees
                score = score - BELOW_ALL
            if count < kept or score >= scores[count - 1]:
                count = insert_ranked(scores, items, ties, count, kept, score, partner, partner)
        out = product - first
        out_count[out] = count
        for place in range(count):
            out_row[out, place] = items[place]
            out_orders[out, place] = common[items[place]]
            for column in range(3):
                out_weights[out, place, column] = weights[items[place], column]
        for at in range(touches):
            common[touched[at]] = 0
            weights[touched[at], :] = 0
