"""Laws of the products most alike: leaving words out changes no list, whatever the bounds and the threads."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.kernels.alike import Features, Looked, Words, rank_similar
from recommender.kernels.scoring import price_factor

KEPT = 3
TUNINGS = (
    (0.0, 0.25, 1.0, 0.25, 1.0),
    (0.5, 0.25, 0.0, 2.0, 0.25),
    (0.08, 0.0, 0.0, 2.0, 10.0),
    (0.3, 0.25, 0.5, 0.1, 2.0),
)


class Shop(NamedTuple):
    """Products by words as whole weights, by groups they are looked at in, and what else is known of them."""

    weights: NDArray[np.int64]
    groups: list[list[int]]
    price: NDArray[np.float64]
    group: NDArray[np.int32]
    colour: NDArray[np.int32]


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    """Common words that weigh little and rare ones that weigh much, so that there is something to leave out."""
    products, words = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    chance = random.random(words) ** 2
    weight = np.maximum(1, (-np.log(chance + 1e-3) * draw(st.sampled_from([1, 20, 64])))).astype(np.int64)
    weights = np.where(random.random((products, words)) < chance, weight, 0)
    sizes = draw(st.lists(st.integers(1, 5), max_size=12))
    return Shop(
        weights,
        [sorted(random.choice(products, min(size, products), replace=False).tolist()) for size in sizes],
        random.choice([0.0, 1.0, 3.0], products),
        random.choice(draw(st.sampled_from([[-1], [-1, -1, -1, 0, 1]])), products).astype(np.int32),
        random.integers(0, 3, products).astype(np.int32),
    )


def csr(rows: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Starts and members."""
    start = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return start, np.array([each for row in rows for each in row], np.int32)


def by_kernel(shop: Shop, tuning: tuple[float, ...]) -> list[list[tuple[int, float]]]:
    """What the kernel lists."""
    products, words = shop.weights.shape
    start, word = csr([np.flatnonzero(row).tolist() for row in shop.weights])
    having_start, having = csr([np.flatnonzero(column).tolist() for column in shop.weights.T])
    weight, having_weight = shop.weights[shop.weights > 0], shop.weights.T[shop.weights.T > 0]
    length = np.sqrt((shop.weights**2).sum(axis=1).astype(np.float64))
    reach = np.zeros(words)
    np.maximum.at(reach, np.repeat(np.arange(words), np.diff(having_start)), having_weight / length[having])
    member_start, member = csr(shop.groups)
    context_start, context = csr(
        [[at for at, group in enumerate(shop.groups) if row in group] for row in range(products)]
    )
    context_weight, norm = np.arange(1, len(shop.groups) + 1), 1.0 + np.arange(products) / 8
    count, row, score = np.zeros(products, np.int32), np.zeros((products, KEPT), np.int32), np.zeros((products, KEPT))
    rank_similar(
        0,
        products,
        Words(start, word, weight, having_start, having, having_weight, length, reach),
        Features(shop.price, shop.group, shop.colour),
        Looked(context_start, context, member_start, member, context_weight, norm),
        np.array(tuning),
        count,
        row,
        score,
    )
    lists: list[Any] = [
        zip(row[at, :kept].tolist(), score[at, :kept].tolist(), strict=True) for at, kept in enumerate(count)
    ]
    return [list(each) for each in lists]


def by_hand(shop: Shop, tuning: tuple[float, ...]) -> list[list[tuple[int, float]]]:
    """All pairs, in the arithmetic that is promised."""
    least, price, together_weight, same_group, same_colour = tuning
    lists = []
    dots, squares = shop.weights @ shop.weights.T, (shop.weights**2).sum(axis=1)
    for one in range(len(shop.weights)):
        found = []
        for other in range(len(shop.weights)):
            shared = sum(at + 1 for at, group in enumerate(shop.groups) if one in group and other in group)
            if other == one or (dots[one, other] == 0 and shared == 0):
                continue
            cosine = 0.0
            if dots[one, other]:
                cosine = dots[one, other] / (math.sqrt(squares[one]) * math.sqrt(squares[other]))
            own = 1.0 + one / 8
            together = shared / (own * own * (1.0 + other / 8)) if shared else 0.0
            variant = shop.group[one] >= 0 and shop.group[one] == shop.group[other]
            if cosine < least and not variant:
                continue
            score = cosine * price_factor(shop.price[one], shop.price[other], price) + together_weight * together
            score = score + same_group if variant else score
            score = score * same_colour if shop.colour[one] == shop.colour[other] else score
            if score > 0:
                found.append((other, float(score)))
        lists.append(sorted(found, key=lambda each: (-each[1], each[0]))[:KEPT])
    return lists


@settings(max_examples=150)
@given(shops(), st.sampled_from(TUNINGS))
def test_what_is_left_out_is_in_no_list(shop: Shop, tuning: tuple[float, ...]) -> None:
    assert by_kernel(shop, tuning) == by_hand(shop, tuning)
