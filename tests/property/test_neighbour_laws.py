"""Laws of the item-item build: what a dense matrix gives, on any number of threads, ties by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.kernels.neighbours import PLACES_AN_ADD
from recommender.models import cosine
from recommender.models.cosine import Neighbours, nearest

EIGHTHS = st.integers(0, 8).map(lambda eighths: eighths / 8)


class Groups(NamedTuple):
    """Groups of distinct products as CSR."""

    start: NDArray[np.int64]
    product: NDArray[np.int32]
    weight: NDArray[np.float32]
    products: int

    @property
    def dense(self) -> NDArray[np.float64]:
        """(groups, products) weights."""
        groups_by_products = np.zeros((len(self.start) - 1, self.products))
        for group in range(len(self.start) - 1):
            part = slice(self.start[group], self.start[group + 1])
            groups_by_products[group, self.product[part]] = self.weight[part]
        return groups_by_products


@st.composite
def groups(draw: st.DrawFn, weight_max: int = 1) -> Groups:
    """Few products and small whole weights, so that ties abound; some groups are empty, some products in none."""
    products = draw(st.integers(1, 70))
    members = draw(st.lists(st.lists(st.integers(0, products - 1), unique=True, max_size=12), max_size=40))
    sizes = [len(each) for each in members]
    weights = draw(st.lists(st.integers(1, weight_max), min_size=sum(sizes), max_size=sum(sizes)))
    flat = np.array([product for each in members for product in each], np.int32)
    start = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return Groups(start, flat, np.array(weights, np.float32), products)


def by_dense(shop: Groups, exponents: tuple[float, float, float], kept: int) -> Neighbours:
    """The definition, with whole sums where c is 0, rounded to float32 after each multiplication as promised."""
    dense = shop.dense
    squares = dense**2

    def powers(norm: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
        return np.where(norm > 0, np.maximum(norm, 1e-9) ** -exponent, 0.0)

    own, partner = (powers(squares.sum(axis=0), each).astype(np.float32) for each in exponents[:2])
    sums = ((dense.T * powers(squares.sum(axis=1), exponents[2])) @ dense).astype(np.float32)
    scores = sums * partner[None, :] * own[:, None]
    np.fill_diagonal(scores, 0.0)
    lists = [np.lexsort((np.arange(shop.products), -row))[:kept] for row in scores]
    lists = [found[scores[row, found] > 0] for row, found in enumerate(lists)]
    start = np.concatenate(([0], np.cumsum([len(found) for found in lists]))).astype(np.int64)
    score = np.concatenate([scores[row, found] for row, found in enumerate(lists)])
    return Neighbours(start, np.concatenate(lists).astype(np.int32), score)


def assert_equal(found: Neighbours, expected: Neighbours) -> None:
    """Byte for byte."""
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


# Powers of ½ and ¼ and 0 and 1 come from square roots in both; others may differ in the last bit of a double.
EXACT = st.sampled_from([0.0, 0.5, 1.0])


@given(groups(), st.tuples(EXACT, EXACT, st.just(0.0)), st.integers(1, 80))
def test_lists_of_counts_are_those_of_a_dense_matrix(
    shop: Groups, exponents: tuple[float, float, float], kept: int
) -> None:
    found = nearest(shop.start, shop.product, None, shop.products, exponents, kept)
    assert_equal(found, by_dense(shop, exponents, kept))


@given(groups(weight_max=3), st.tuples(EXACT, EXACT, st.just(0.0)), st.integers(1, 80))
def test_lists_with_whole_weights_are_those_of_a_dense_matrix(
    shop: Groups, exponents: tuple[float, float, float], kept: int
) -> None:
    found = nearest(shop.start, shop.product, shop.weight, shop.products, exponents, kept)
    assert_equal(found, by_dense(shop, exponents, kept))


@given(groups(weight_max=4), st.tuples(EIGHTHS, EIGHTHS, EIGHTHS), st.booleans())
def test_scores_with_any_exponents_are_those_of_a_dense_matrix(
    shop: Groups, exponents: tuple[float, float, float], weighed: bool
) -> None:
    weight = shop.weight if weighed else None
    found = nearest(shop.start, shop.product, weight, shop.products, exponents, shop.products)
    plain = shop if weighed else shop._replace(weight=np.ones_like(shop.weight))
    expected = by_dense(plain, exponents, shop.products)
    assert found.start.tolist() == expected.start.tolist()
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)


@given(groups(weight_max=9), st.tuples(EIGHTHS, EIGHTHS, EIGHTHS), st.integers(1, 20), st.booleans())
def test_neither_threads_nor_blocks_change_a_byte(
    shop: Groups, exponents: tuple[float, float, float], kept: int, weighed: bool
) -> None:
    weight = shop.weight / np.float32(7) if weighed else None
    once = nearest(shop.start, shop.product, weight, shop.products, exponents, kept)
    with pytest.MonkeyPatch.context() as patch:
        for threads, rows in ((2, 1), (3, 7)):
            patch.setattr(cosine, "ROWS_AT_ONCE", rows)
            assert_equal(nearest(shop.start, shop.product, weight, shop.products, exponents, kept, threads), once)


@given(groups(weight_max=3), st.integers(1, 12))
def test_a_limit_is_the_same_as_shorter_groups(shop: Groups, limit: int) -> None:
    parts = [slice(max(low, high - limit), high) for low, high in zip(shop.start[:-1], shop.start[1:], strict=True)]
    sizes = [part.stop - part.start for part in parts]
    held = np.array([at for part in parts for at in range(part.start, part.stop)], np.int64)
    start = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    expected = nearest(start, shop.product[held], shop.weight[held], shop.products, (0.5, 0.5, 0.25), 9)
    found = nearest(shop.start, shop.product, shop.weight, shop.products, (0.5, 0.5, 0.25), 9, limit=limit)
    assert_equal(found, expected)


@settings(max_examples=30)
@given(groups(weight_max=3), st.tuples(EIGHTHS, EIGHTHS, EIGHTHS), st.integers(1, 20), st.booleans())
def test_many_products_that_nobody_took_change_no_list_of_the_others(
    shop: Groups, exponents: tuple[float, float, float], kept: int, weighed: bool
) -> None:
    """Among so many, a row of few additions is found by walking its groups; among few, by a scan."""
    weight = shop.weight if weighed else None
    few = nearest(shop.start, shop.product, weight, shop.products, exponents, kept)
    many = nearest(shop.start, shop.product, weight, shop.products + 400 * PLACES_AN_ADD, exponents, kept)
    assert_equal(many._replace(start=many.start[: shop.products + 1]), few)
