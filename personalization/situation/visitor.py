"""What a profile says of a visitor: new, returning or regular, how deep in a visit, what lies in the cart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, get_args

import msgspec

from ingest.vocabulary.ids import ProductId
from personalization.customer.engagement import views_at
from personalization.customer.profile import Profile
from personalization.customer.touches import session_gap_ms

Acquaintance = Literal["new", "returning", "regular"]
ACQUAINTANCES: tuple[Acquaintance, ...] = get_args(Acquaintance)

regular_orders_min = 2  # who came back to buy again is a regular, wherever the second order came from
CART_VALUE_MAX = 1e9  # beyond is a typing mistake

PriceOf = Callable[[ProductId], float | None]


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """Counts of a visitor. `session_depth` is the number of products of the visit under way; money is the shop's.

    `engagement` is how busy they are, in views that fade.
    """

    acquaintance: Acquaintance
    visits: int
    orders: int
    session_depth: int
    cart_value: float | None
    engagement: float


def acquaintance_of(visits: int, orders: int) -> Acquaintance:
    """New on the first visit before any order, regular from the second order on, else returning."""
    if orders >= regular_orders_min:
        return "regular"
    return "new" if visits <= 1 and orders <= 0 else "returning"


def visitor_of(profile: Profile, now_ms: int, price_of: PriceOf) -> Visitor:
    """The visitor of a profile at a moment; an empty profile is somebody on the first visit.

    A visit that begins with this request counts. The value of a cart is unknown if the price of one of its products is.
    """
    begins = profile.last_seen_ms is None or now_ms - profile.last_seen_ms > session_gap_ms
    visits = profile.sessions + begins
    depth = 0 if begins else _depth(profile)
    return Visitor(
        acquaintance_of(visits, profile.orders),
        visits,
        profile.orders,
        depth,
        _worth(profile, price_of),
        0.0 if begins else views_at(profile.engagement, now_ms),
    )


def _depth(profile: Profile) -> int:
    """The products of interest back to the first pause of a visit's length."""
    moments = sorted((recent.at_ms for recent in profile.recents.values()), reverse=True)
    last_seen_ms = profile.last_seen_ms or 0
    depth = 0
    for later, at_ms in pairwise([last_seen_ms, *moments]):
        if later - at_ms > session_gap_ms:
            break
        depth += 1
    return depth


def _worth(profile: Profile, price_of: PriceOf) -> float | None:
    total = 0.0
    for product_id, line in profile.cart.items():
        price = price_of(product_id)
        if price is None:
            return None
        total += line.quantity * price
    return total if 0 <= total <= CART_VALUE_MAX else None
