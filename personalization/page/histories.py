"""What somebody did, as the models are asked with it: oldest first, each product as it was last met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

import numpy as np

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import CART, NOTHING, ORDER, VIEW, WISHLIST, CountVector, History, IntVector
from personalization.customer.entries import Timed
from personalization.customer.profile import Profile
from personalization.customer.touches import session_gap_ms

recent_deeds_max = 50  # as many different products as the models look at
bought_deeds_max = 50
kept_deeds_max = 20  # of the cart and of the wish list: what is in the longer ones says little about each product

NO_HISTORY = History(NOTHING, np.empty(0, np.int64), np.empty(0, np.int8))

Find = Callable[[ProductId], int | None]


def history_of(profile: Profile, find: Find) -> History:
    """Everything a profile remembers; of one product at one moment the strongest kind: an order before a cart.

    Cost: 0.4 µs an entry, at most 140 of them.
    """
    deeds = _newest(profile.recents, VIEW, recent_deeds_max)
    deeds |= _newest(profile.wishlist, WISHLIST, kept_deeds_max)
    deeds |= _newest(profile.cart, CART, kept_deeds_max)
    deeds |= _newest(profile.purchased, ORDER, bought_deeds_max)
    return _history(deeds, find)


def orders_of(profile: Profile, find: Find) -> History:
    """What a profile remembers, with the products of its recent orders once for each order they were in.

    Cost: as `history_of`, and 0.5 µs a line of the recent orders, at most 300 of them.
    """
    deeds = _newest(profile.recents, VIEW, recent_deeds_max)
    deeds |= _newest(profile.cart, CART, kept_deeds_max)
    deeds |= _newest(profile.purchased, ORDER, len(profile.purchased))
    for order in profile.recent_orders.values():
        if order.counted:
            deeds.update(dict.fromkeys(((order.at_ms, product_id) for product_id in order.lines), ORDER))
    return _history(deeds, find)


def visit_of(history: History, newest_ms: int) -> History:
    """The end of a history without a gap of a visit's length; nothing if somebody was last seen that long after it."""
    times = history.time_s
    if not len(times) or newest_ms - 1_000 * int(times[-1]) > session_gap_ms:
        return NO_HISTORY
    pauses = np.flatnonzero(times[1:] - times[:-1] > session_gap_ms // 1_000)
    begin = int(pauses[-1]) + 1 if len(pauses) else 0
    return History(history.products[begin:], times[begin:], history.kind[begin:])


def cart_history(profile: Profile, find: Find) -> History:
    """What is in the cart."""
    return _history(_newest(profile.cart, CART, kept_deeds_max), find)


def last_order_history(profile: Profile, find: Find) -> History:
    """What was in the newest order that counts."""
    order = profile.last_order
    if order is None:
        return NO_HISTORY
    return _history({(order.at_ms, product_id): ORDER for product_id in order.lines}, find)


def looked_at(products: IntVector, at_ms: int) -> History:
    """Products that are looked at now, the most important one last."""
    size = len(products)
    return History(products, np.full(size, at_ms // 1_000, np.int64), np.full(size, VIEW, np.int8))


def basket_of(products: IntVector) -> History:
    """Products of one order to be."""
    size = len(products)
    return History(products, np.zeros(size, np.int64), np.full(size, ORDER, np.int8))


def followed_by(history: History, later: History) -> History:
    """One history after the other."""
    if not len(later.products):
        return history
    return History(
        np.concatenate((history.products, later.products)),
        np.concatenate((history.time_s, later.time_s)),
        np.concatenate((history.kind, later.kind)),
    )


def _newest(entries: Mapping[ProductId, Timed], kind: int, newest_max: int) -> dict[tuple[int, ProductId], int]:
    newest = islice(reversed(entries.items()), newest_max)  # type: ignore[call-overload]  # entries of a profile know
    return {(entry.at_ms, product_id): kind for product_id, entry in newest}  # their order both ways


def _history(deeds: Mapping[tuple[int, ProductId], int], find: Find) -> History:
    """The deeds whose products were ever heard of, in order of time and id."""
    rows: list[int] = []
    times_ms: list[int] = []
    kinds: list[int] = []
    for deed in sorted(deeds):
        at_ms, product_id = deed
        product_index = find(product_id)
        if product_index is not None:
            rows.append(product_index)
            times_ms.append(at_ms)
            kinds.append(deeds[deed])
    if not rows:
        return NO_HISTORY
    times_s: CountVector = np.array(times_ms, np.int64) // 1_000
    return History(np.array(rows, np.int32), times_s, np.array(kinds, np.int8))
