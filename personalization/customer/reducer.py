"""The one reducer of profiles: `evolve` folds a fact into what is known about its subject.

Facts fold in the order of the log; their own times decide what is recent, so that an old fact told late takes its old
place and moves nothing back. A visit is what the shopper does in the shop: mails that arrive, refunds and lists that
were shown are no visits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.events import (
    CheckoutStarted,
    ConsentChanged,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    EmailClicked,
    Event,
    Line,
    ListViewed,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductReviewed,
    ProductViewed,
    ProfileMerged,
    RankingClicked,
    Searched,
    VisitorExpired,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.ids import ProductId
from personalization.customer.engagement import after_action
from personalization.customer.entries import append, put, without
from personalization.customer.merge import bounded_consent, merged
from personalization.customer.orders import order_lines, with_cancellation, with_order, with_refund
from personalization.customer.profile import (
    EMPTY,
    CartLine,
    Profile,
    Recent,
    Wish,
    cart_max,
    decode_profile,
    purpose_length_max,
    quantity_max,
    recents_max,
    weight_max,
    wishlist_max,
)
from personalization.customer.touches import after_visit, session_gap_ms

# Interest in tenths of a view. Buying says most; a click says little, since the view it leads to is told as well.
VIEW, CLICK, WISH, ADD, ORDER, REVIEW = 10, 3, 20, 30, 50, 10
# The same for how busy somebody is; looking around is of no product, but it is something that is done.
LIST, SEARCH = 5, 10
_ENGAGING: Mapping[type[Event], int] = {
    ListViewed: LIST,
    Searched: SEARCH,
    RankingClicked: CLICK,
    EmailClicked: CLICK,
    WishlistAdded: WISH,
    ProductAdded: ADD,
    CheckoutStarted: ADD,
    OrderCompleted: ORDER,
    ProductReviewed: REVIEW,
}


def evolve(profile: Profile | None, event: Event) -> Profile | None:
    """The profile after the fact; None if there is nothing to keep.

    Cost: 4 µs for a view, 35 µs for an order of 20 lines.
    """
    before = EMPTY if profile is None else profile
    match event:
        case ProductViewed():
            after = _viewed(before, event, epoch_ms(event.occurred_at))
        case CustomerErased():
            return None
        case CustomerIdentified():
            after = _identified(before, event, epoch_ms(event.occurred_at))
        case VisitorExpired():
            after = _expired(before, epoch_ms(event.last_seen_at))
        case ProfileMerged():
            after = merged(before, decode_profile(event.profile), event.absorbed)
        case ConsentChanged():
            after = _consented(before, event.purposes)
        case OrderRefunded():
            after = with_refund(before, event.order_id, event.lines)
        case OrderCancelled():
            after = with_cancellation(before, event.order_id, epoch_ms(event.occurred_at))
        case _:
            after = _visited(before, event)
    return None if after is EMPTY else after


def _visited(profile: Profile, event: Event) -> Profile:
    """The profile after something else that the shopper did in the shop; any other fact leaves it as it is."""
    at_ms = epoch_ms(event.occurred_at)
    match event:
        case ListViewed() | Searched():
            after = profile
        case RankingClicked(product_id=product_id):
            after = _interested(profile, product_id, CLICK, at_ms)
        case ProductAdded():
            after = _added(profile, event.product_id, event.quantity, at_ms)
        case ProductRemoved():
            after = _removed(profile, event.product_id, event.quantity)
        case OrderCompleted():
            after = _ordered(profile, event, at_ms)
        case CheckoutStarted(lines=lines):
            after = replace(profile, cart=_stated_cart(lines, at_ms)) if lines else profile
        case WishlistAdded(product_id=product_id):
            wishlist = append(profile.wishlist, {product_id: Wish(at_ms)}, wishlist_max, at_ms)
            after = replace(_interested(profile, product_id, WISH, at_ms), wishlist=wishlist)
        case WishlistRemoved(product_id=product_id):
            after = replace(profile, wishlist=without(profile.wishlist, {product_id: None}))
        case ProductReviewed(product_id=product_id):
            after = _interested(profile, product_id, REVIEW, at_ms)
        case EmailClicked(product_id=product_id):
            after = profile if product_id is None else _interested(profile, product_id, CLICK, at_ms)
        case _:
            return profile
    return _come_by(after, profile, event, at_ms)


def _viewed(profile: Profile, event: ProductViewed, at_ms: int) -> Profile:
    first_seen_ms, last_seen_ms, sessions = _seen(profile, at_ms)
    return replace(
        profile,
        recents=_with_interest(profile.recents, (event.product_id,), VIEW, at_ms),
        first_seen_ms=first_seen_ms,
        last_seen_ms=last_seen_ms,
        sessions=sessions,
        views=profile.views + 1,
        touches=after_visit(profile.touches, event.context, at_ms),
        engagement=after_action(profile.engagement, 100 * VIEW, at_ms),
    )


def _identified(profile: Profile, event: CustomerIdentified, at_ms: int) -> Profile:
    """A visitor who turned out to be somebody else leaves a pointer; what comes later folds on it as usual."""
    if event.known != event.subject:
        return Profile(merged_into=event.known)
    return _come_by(profile, profile, event, at_ms)


def _expired(profile: Profile, last_seen_ms: int) -> Profile:
    """What outlives a visitor who stayed away: what they refused, and who they turned out to be."""
    if profile.last_seen_ms is None or profile.last_seen_ms > last_seen_ms:
        return profile
    refusals = {purpose: agreed for purpose, agreed in profile.consent.items() if not agreed}
    if not refusals and profile.merged_into is None:
        return EMPTY
    return Profile(consent=refusals, merged_into=profile.merged_into)


def _consented(profile: Profile, purposes: Mapping[str, bool]) -> Profile:
    stated = {purpose: agreed for purpose, agreed in purposes.items() if len(purpose) <= purpose_length_max}
    return replace(profile, consent=bounded_consent({**profile.consent, **stated})) if stated else profile


def _added(profile: Profile, product_id: ProductId, quantity: int, at_ms: int) -> Profile:
    had = profile.cart.get(product_id)
    line = CartLine(quantity, at_ms) if had is None else CartLine(quantity + had.quantity, max(at_ms, had.at_ms))
    if line.quantity > quantity_max:
        line = CartLine(quantity_max, line.at_ms)
    cart = append(profile.cart, {product_id: line}, cart_max, at_ms)
    return replace(_interested(profile, product_id, ADD, at_ms), cart=cart)


def _removed(profile: Profile, product_id: ProductId, quantity: int | None) -> Profile:
    had = profile.cart.get(product_id)
    if had is None:
        return profile
    if quantity is None or quantity >= had.quantity:
        return replace(profile, cart=without(profile.cart, {product_id: None}))
    return replace(profile, cart={**profile.cart, product_id: CartLine(had.quantity - quantity, had.at_ms)})


def _ordered(profile: Profile, event: OrderCompleted, at_ms: int) -> Profile:
    """An order counts once: a repeated report, or one that comes after its cancellation, changes nothing."""
    if event.order_id in profile.recent_orders:
        return profile
    lines, amount_e4 = order_lines(event.lines)
    after = with_order(profile, event.order_id, event.currency or "", lines, amount_e4, at_ms)
    return replace(
        after, recents=_with_interest(profile.recents, lines, ORDER, at_ms), cart=without(profile.cart, lines)
    )


def _stated_cart(lines: tuple[Line, ...], at_ms: int) -> Mapping[ProductId, CartLine]:
    """The cart as the checkout states it."""
    cart: dict[ProductId, CartLine] = {}
    for line in lines:
        quantity = line.quantity + (cart[line.product_id].quantity if line.product_id in cart else 0)
        cart[line.product_id] = CartLine(min(quantity, quantity_max), at_ms)
    return put({}, cart, cart_max)


def _interested(profile: Profile, product_id: ProductId, weight: int, at_ms: int) -> Profile:
    return replace(profile, recents=_with_interest(profile.recents, (product_id,), weight, at_ms))


def _with_interest(
    recents: Mapping[ProductId, Recent], products: Iterable[ProductId], weight: int, at_ms: int
) -> dict[ProductId, Recent]:
    """The recents with more weight on some products, given in the order of their ids."""
    changed = dict.fromkeys(products, Recent(weight, at_ms))
    for product_id in changed:
        had = recents.get(product_id)
        if had is not None:
            changed[product_id] = Recent(min(had.weight + weight, weight_max), max(had.at_ms, at_ms))
    return append(recents, changed, recents_max, at_ms)


def _come_by(after: Profile, before: Profile, event: CustomerEvent, at_ms: int) -> Profile:
    """The profile with when the shopper was in the shop, what brought them, and how busy they are."""
    repeated = isinstance(event, OrderCompleted) and event.order_id in before.recent_orders
    tenths = 0 if repeated else _ENGAGING.get(type(event), 0)
    first_seen_ms, last_seen_ms, sessions = _seen(before, at_ms)
    return replace(
        after,
        first_seen_ms=first_seen_ms,
        last_seen_ms=last_seen_ms,
        sessions=sessions,
        touches=after_visit(before.touches, event.context, at_ms),
        engagement=after_action(before.engagement, 100 * tenths, at_ms) if tenths else before.engagement,
    )


def _seen(profile: Profile, at_ms: int) -> tuple[int, int, int]:
    """First and last time seen, and the number of visits, when the shopper is in the shop at `at_ms`."""
    first_ms, last_ms = profile.first_seen_ms, profile.last_seen_ms
    if first_ms is None or last_ms is None:
        return at_ms, at_ms, profile.sessions + 1
    if at_ms >= last_ms:
        return first_ms, at_ms, profile.sessions + (at_ms - last_ms > session_gap_ms)
    return min(first_ms, at_ms), last_ms, profile.sessions
