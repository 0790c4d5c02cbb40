"""Training's loops over products: each writes only its own rows, so threads change nothing in the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.kernels import row_kernel
from recommender.kernels.scoring import COMMON_MIN, insert_ranked, is_significant, pair_score, price_factor

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


@row_kernel
def rank_similar(
    first: int,
    last: int,
    word_start: CountVector,
    word_of: IntVector,
    word_weight: CountVector,
    having_start: CountVector,
    having: IntVector,
    having_weight: CountVector,
    lengths: FloatVector,
    prices: FloatVector,
    group_of: IntVector,
    colour_of: IntVector,
    context_start: CountVector,
    context_of: IntVector,
    member_start: CountVector,
    member: IntVector,
    context_weight: CountVector,
    context_norm: FloatVector,
    tuning: FloatVector,
    out_count: IntVector,
    out_row: Matrix,
    out_score: Matrix,
) -> None:
    """The products most alike the products `first` to `last`, by words and by being looked at together.

    Args:
        word_*: product → its words with integer weights; having*: word → products that have it.
        lengths: (products,) Euclidean lengths of the word vectors; prices: 0 where unknown.
        group_of: variants of one article share a number, -1 for none; colour_of: a number for a set of colours.
        context_*: product → visits and people; member*: visit or person → products; context_norm: (products,).
        tuning: least content cosine, weight of price, of contexts, of sharing the group, of sharing the colour.
        out_*: (last - first, kept), best first; `out_count` how many.

    Cost: the sum of the lengths of the lists of each product's words and contexts.
    """
    products, kept = len(lengths), out_row.shape[1]
    content, context = np.zeros(products, np.int64), np.zeros(products, np.int64)
    seen, touched = np.zeros(products, np.bool_), np.empty(products, np.int32)
    ties, most = np.empty(kept, np.int32), max(1.0, tuning[4])
    for product in range(first, last):
        touches = 0
        for at in range(word_start[product], word_start[product + 1]):
            word, weight = word_of[at], word_weight[at]
            for other in range(having_start[word], having_start[word + 1]):
                partner = having[other]
                if not seen[partner]:
                    seen[partner] = True
                    touched[touches] = partner
                    touches += 1
                content[partner] += weight * having_weight[other]
        for at in range(context_start[product], context_start[product + 1]):
            group = context_of[at]
            for other in range(member_start[group], member_start[group + 1]):
                partner = member[other]
                if not seen[partner]:
                    seen[partner] = True
                    touched[touches] = partner
                    touches += 1
                context[partner] += context_weight[group]
        out, count, worst = product - first, 0, -1.0
        for at in range(touches):
            partner = touched[at]
            cosine, together = 0.0, 0.0
            if content[partner] > 0:
                cosine = content[partner] / (lengths[product] * lengths[partner])
            if context[partner] > 0:
                together = context[partner] / (context_norm[product] * context_norm[product] * context_norm[partner])
            content[partner], context[partner], seen[partner] = 0, 0, False
            variant = group_of[product] >= 0 and group_of[product] == group_of[partner]
            hopeless = cosine < tuning[0] or most * (cosine + tuning[2] * together) < worst  # at any price
            if partner == product or (hopeless and not variant):
                continue
            score = cosine * price_factor(prices[product], prices[partner], tuning[1]) + tuning[2] * together
            if variant:
                score = score + tuning[3]
            if colour_of[product] == colour_of[partner]:
                score = score * tuning[4]
            if score > 0.0 and (count < kept or score > worst or (score == worst and partner < ties[kept - 1])):
                count = insert_ranked(out_score[out], out_row[out], ties, count, kept, score, partner, partner)
                worst = out_score[out, kept - 1] if count == kept else -1.0
        out_count[out] = count
