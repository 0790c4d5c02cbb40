"""A customer as the shop remembers one: frozen, bounded, and small enough to be read on every page view.

Every mapping is kept in the order of (time, key), oldest first, so that equal profiles have equal bytes and the oldest
entry is the first to go. Money is an integer number of ten-thousandths of the currency's unit (`_e4`): ISO 4217 knows
at most four decimals, and integers are taken back exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from ingest.vocabulary.errors import Corrupt, NewerVersion
from ingest.vocabulary.ids import OrderId, ProductId, Subject
from personalization.customer.engagement import NONE_YET, Engagement
from personalization.customer.entries import newest_at_ms, newest_first
from personalization.customer.touches import NO_TOUCHES, Touches

recents_max = 50  # more than one visit's worth; older interest adds nothing that purchases do not say better
cart_max = 100  # what storefronts themselves allow in a cart
wishlist_max = 200  # longer lists are collections, and no row shows them
purchased_max = 300  # two years of a monthly shopper's distinct products
recent_orders_max = 20  # refunds and cancellations come within weeks of the order
order_lines_max = 100  # products remembered of one order; its amount counts all of them
recent_order_lines_max = 300  # products remembered of all recent orders together: at most 6 KB
currencies_max = 10  # shops sell in a few
consent_purposes_max = 20  # consent platforms know about ten
purpose_length_max = 50  # a purpose is a word
linked_max = 20  # devices of one person; more is a shared account
quantity_max = 1_000_000  # a typing mistake must not outgrow 64 bits
weight_max = 1_000  # a hundred views; beyond that a product is simply the favourite
revenue_e4_max = 2**63 - 1  # what the encoding holds

VERSION = 1
_E4 = Decimal(10_000)


class Recent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Interest in a product: `weight` in tenths of a view, `at_ms` the last time."""

    weight: int
    at_ms: int


class CartLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Units of a product in the cart, and when they last changed."""

    quantity: int
    at_ms: int


class Wish(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A product on the wish list since `at_ms`."""

    at_ms: int


class Purchase(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """In how many orders a product was bought and kept, and when last."""

    count: int
    at_ms: int


class OrderLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Units of a product in an order that were not sent back, and what was paid for them."""

    quantity: int
    amount_e4: int


class RecentOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an order still adds to the profile, so that a refund or a cancellation takes back exactly that.

    `counted` is False once all of it was taken back: then it only remembers that the order must not count again.
    """

    at_ms: int
    currency: str
    amount_e4: int
    lines: Mapping[ProductId, OrderLine]
    counted: bool = True


class Profile(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Everything remembered about one subject. Times are epoch milliseconds by the shopper's clock.

    Attributes:
        recents: products of interest, oldest first; `recent_products` has the newest first.
        orders: completed orders that were not cancelled or sent back as a whole.
        revenue_e4: what those orders came to, less refunds, by currency; `revenue` has it as decimals.
        recent_orders: the newest orders, oldest first.
        consent: what the person agreed to, by purpose; an absent purpose was never asked.
        linked: subjects whose history moved here, the latest last.
        merged_into: the known subject that this one's history moved to, if it did.
        touches: which traffic sources brought them first, and to the newest visit.
        engagement: how busy they were in the newest visit.
    """

    recents: Mapping[ProductId, Recent] = {}
    cart: Mapping[ProductId, CartLine] = {}
    wishlist: Mapping[ProductId, Wish] = {}
    orders: int = 0
    revenue_e4: Mapping[str, int] = {}
    recent_orders: Mapping[OrderId, RecentOrder] = {}
    purchased: Mapping[ProductId, Purchase] = {}
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    views: int = 0
    sessions: int = 0
    consent: Mapping[str, bool] = {}
    linked: tuple[Subject, ...] = ()
    merged_into: Subject | None = None
    touches: Touches = NO_TOUCHES
    engagement: Engagement = NONE_YET

    @property
    def recent_products(self) -> tuple[ProductId, ...]:
        """Products of interest, newest first."""
        return tuple(newest_first(self.recents))

    @property
    def revenue(self) -> dict[str, Decimal]:
        """What the customer paid and did not get back, by currency, exactly."""
        return {currency: Decimal(amount) / _E4 for currency, amount in self.revenue_e4.items()}

    @property
    def last_order(self) -> RecentOrder | None:
        """The newest order that still counts."""
        orders = (self.recent_orders[order_id] for order_id in newest_first(self.recent_orders))
        return next((order for order in orders if order.counted), None)

    @property
    def newest_ms(self) -> int:
        """The newest moment the profile knows of, which ages are measured from; 0 in an empty profile."""
        return max(self.last_seen_ms or 0, newest_at_ms(self.recents), newest_at_ms(self.purchased))

    @property
    def personalized(self) -> bool:
        """Whether the profile may be used to choose products: only a stated refusal forbids it."""
        return self.consent.get("personalization") is not False


EMPTY = Profile()

_PREFIX = bytes([VERSION])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Profile)


def encode_profile(profile: Profile) -> bytes:
    """The profile as one version byte and a MessagePack array. Cost: about 10 µs when full."""
    return _PREFIX + _encoder.encode(profile)


def decode_profile(stored: bytes) -> Profile:
    """The inverse of `encode_profile`.

    Raises:
        NewerVersion: a newer Dangol wrote it; upgrade.
        Corrupt: the bytes are not a profile; replay the log.
    """
    if not stored:
        raise Corrupt("an empty record is not a profile")
    if stored[0] > VERSION:
        raise NewerVersion(f"a profile has version {stored[0]}; this Dangol reads up to {VERSION}: upgrade it")
    try:
        return _decoder.decode(memoryview(stored)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"a profile of version {stored[0]} cannot be read: {error}") from error
