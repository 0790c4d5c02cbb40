"""The history of one subject moves into another's: a bounded merge that does not mind which of the two comes first."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ingest.vocabulary.ids import OrderId, ProductId, Subject
from personalization.customer.engagement import merged_engagement
from personalization.customer.entries import put
from personalization.customer.orders import changed_revenue, trimmed_orders, with_cancellation
from personalization.customer.profile import (
    CartLine,
    Profile,
    Purchase,
    Recent,
    RecentOrder,
    Wish,
    cart_max,
    consent_purposes_max,
    currencies_max,
    linked_max,
    purchased_max,
    recent_orders_max,
    recents_max,
    weight_max,
    wishlist_max,
)
from personalization.customer.touches import merged_touches


def merged(profile: Profile, other: Profile, absorbed: Subject) -> Profile:
    """The profile with the history of `other`, whose subject `absorbed` was.

    Weights and counts add up; a product in both carts stays there in the larger quantity; a refusal of either
    is a refusal; times take the outer ones. An order that one side counts and the other knows to be cancelled is
    taken back.
    """
    both = replace(
        profile,
        recents=_merged_recents(profile.recents, other.recents),
        cart=_merged_cart(profile.cart, other.cart),
        wishlist=_merged_wishlist(profile.wishlist, other.wishlist),
        orders=profile.orders + other.orders,
        revenue_e4=_merged_revenue(profile.revenue_e4, other.revenue_e4),
        recent_orders=_merged_orders(profile.recent_orders, other.recent_orders),
        purchased=_merged_purchased(profile.purchased, other.purchased),
        first_seen_ms=min(_known(profile.first_seen_ms, other.first_seen_ms), default=None),
        last_seen_ms=max(_known(profile.last_seen_ms, other.last_seen_ms), default=None),
        views=profile.views + other.views,
        sessions=profile.sessions + other.sessions,
        consent=merged_consent(profile.consent, other.consent),
        linked=_merged_linked(profile.linked, (*other.linked, absorbed)),
        touches=merged_touches(profile.touches, other.touches),
        engagement=merged_engagement(profile.engagement, other.engagement),
    )
    for order_id in _cancelled_elsewhere(profile.recent_orders, other.recent_orders):
        if order_id in both.recent_orders:
            both = with_cancellation(both, order_id, 0)
    return both


def merged_consent(consent: Mapping[str, bool], other: Mapping[str, bool]) -> Mapping[str, bool]:
    """What both sides agree to, in order of purpose; refusals are the last to go when there are too many purposes."""
    both = {purpose: consent.get(purpose, True) and other.get(purpose, True) for purpose in {**consent, **other}}
    return bounded_consent(both)


def bounded_consent(consent: Mapping[str, bool]) -> Mapping[str, bool]:
    """Consent in order of purpose, refusals before agreements where the bound leaves no room for all."""
    if len(consent) > consent_purposes_max:
        consent = dict(sorted(consent.items(), key=lambda item: (item[1], item[0]))[:consent_purposes_max])
    return dict(sorted(consent.items()))


def _merged_recents(mine: Mapping[ProductId, Recent], theirs: Mapping[ProductId, Recent]) -> dict[ProductId, Recent]:
    changed = dict(theirs)
    for product_id, recent in theirs.items():
        had = mine.get(product_id)
        if had is not None:
            weight = min(recent.weight + had.weight, weight_max)
            changed[product_id] = Recent(weight, max(recent.at_ms, had.at_ms))
    return put(mine, changed, recents_max)


def _merged_cart(mine: Mapping[ProductId, CartLine], theirs: Mapping[ProductId, CartLine]) -> dict[ProductId, CartLine]:
    changed = dict(theirs)
    for product_id, line in theirs.items():
        had = mine.get(product_id)
        if had is not None:
            changed[product_id] = CartLine(max(line.quantity, had.quantity), max(line.at_ms, had.at_ms))
    return put(mine, changed, cart_max)


def _merged_wishlist(mine: Mapping[ProductId, Wish], theirs: Mapping[ProductId, Wish]) -> dict[ProductId, Wish]:
    changed = {key: Wish(max(wish.at_ms, mine.get(key, wish).at_ms)) for key, wish in theirs.items()}
    return put(mine, changed, wishlist_max)


def _merged_purchased(
    mine: Mapping[ProductId, Purchase], theirs: Mapping[ProductId, Purchase]
) -> dict[ProductId, Purchase]:
    changed = dict(theirs)
    for product_id, purchase in theirs.items():
        had = mine.get(product_id)
        if had is not None:
            changed[product_id] = Purchase(purchase.count + had.count, max(purchase.at_ms, had.at_ms))
    return put(mine, changed, purchased_max)


def _merged_orders(
    mine: Mapping[OrderId, RecentOrder], theirs: Mapping[OrderId, RecentOrder]
) -> dict[OrderId, RecentOrder]:
    changed = {order_id: order for order_id, order in theirs.items() if order.counted or order_id not in mine}
    return trimmed_orders(put(mine, changed, recent_orders_max))


def _cancelled_elsewhere(mine: Mapping[OrderId, RecentOrder], theirs: Mapping[OrderId, RecentOrder]) -> list[OrderId]:
    return [order_id for order_id, order in theirs.items() if mine.get(order_id, order).counted != order.counted]


def _merged_revenue(mine: Mapping[str, int], theirs: Mapping[str, int]) -> Mapping[str, int]:
    both = mine
    for currency, amount_e4 in theirs.items():
        both = changed_revenue(both, currency, amount_e4)
    return dict(list(both.items())[:currencies_max])


def _merged_linked(mine: tuple[Subject, ...], news: tuple[Subject, ...]) -> tuple[Subject, ...]:
    return (*(subject for subject in mine if subject not in news), *news)[-linked_max:]


def _known(*moments: int | None) -> list[int]:
    return [moment for moment in moments if moment is not None]
