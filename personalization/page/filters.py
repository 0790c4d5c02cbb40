"""Hard filters: what a row may never show, as one mask over candidates. They come first and nothing relaxes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ingest.vocabulary.ranking import IntVector
from personalization.page.request import Filter, PriceRange
from personalization.page.shelf import BoolVector, Shelf


def allowed(products: IntVector, shelf: Shelf, asked: Filter | None) -> BoolVector:
    """Which of the products a row may show; shape (n,) like `products`. Cost: 4 µs for 100 products, unfiltered."""
    size = len(shelf.listed)
    mask: BoolVector = shelf.listed.take(products, mode="clip") if size else np.zeros(len(products), np.bool_)
    if size:
        mask &= shelf.sellable.take(products, mode="clip")
        mask &= products < size
    if asked is not None and mask.any():
        on_shelf = np.flatnonzero(mask)
        inside = products[on_shelf]
        for _, passes in _asked_masks(inside, shelf, asked):
            mask[on_shelf] &= passes
    return mask


def refusals(products: IntVector, shelf: Shelf, asked: Filter | None) -> dict[str, int]:
    """How many of the products each hard filter refuses, each product counted at the first that does."""
    size = len(shelf.listed)
    left = products[products < size]
    counts = {"listed": len(products) - int(np.count_nonzero(shelf.listed[left]))}
    left = left[shelf.listed[left]]
    sellable = shelf.sellable[left]
    counts["sellable"] = len(left) - int(np.count_nonzero(sellable))
    left = left[sellable]
    if asked is not None:
        standing = np.ones(len(left), np.bool_)
        for name, passes in _asked_masks(left, shelf, asked):
            counts[name] = int(np.count_nonzero(standing & ~passes))
            standing &= passes
    return {name: count for name, count in counts.items() if count}


def _asked_masks(products: IntVector, shelf: Shelf, asked: Filter) -> Iterator[tuple[str, BoolVector]]:
    if asked.category:
        yield "category", _any_of([shelf.in_category(category, products) for category in asked.category])
    if asked.brand:
        brands = shelf.brand[products]
        codes = [shelf.brand_code(brand) for brand in asked.brand]
        none = np.zeros(len(products), np.bool_)
        yield "brand", _any_of([none, *(brands == code for code in codes if code is not None)])
    if asked.price is not None:
        yield "price", _within(asked.price, shelf.price[products])
    for name, values in asked.attributes.items():
        yield f"attributes.{name}", shelf.has_attribute(name, values, products)


def _within(bounds: PriceRange, prices: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> BoolVector:
    """A price that is not known is in no range, not even in an open one."""
    passes: BoolVector = ~np.isnan(prices)
    if bounds.min is not None:
        passes &= prices >= bounds.min
    if bounds.max is not None:
        passes &= prices <= bounds.max
    return passes


def _any_of(masks: list[BoolVector]) -> BoolVector:
    passes = masks[0].copy()
    for mask in masks[1:]:
        passes |= mask
    return passes
