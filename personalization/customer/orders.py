"""Orders add to a profile; refunds and cancellations take back exactly what they added.

An order counts once in whatever order the facts come: one that was cancelled before it was reported never counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from operator import attrgetter

from msgspec.structs import replace

from ingest.vocabulary.events import Line
from ingest.vocabulary.ids import OrderId, ProductId
from ingest.vocabulary.money import amount_e4_max, unit_e4
from personalization.customer.entries import append, put
from personalization.customer.profile import (
    OrderLine,
    Profile,
    Purchase,
    RecentOrder,
    currencies_max,
    order_lines_max,
    purchased_max,
    quantity_max,
    recent_order_lines_max,
    recent_orders_max,
    revenue_e4_max,
)

OrderLines = dict[ProductId, OrderLine]
_product_id = attrgetter("product_id")


def with_order(
    profile: Profile, order_id: OrderId, currency: str, lines: OrderLines, amount_e4: int, at_ms: int
) -> Profile:
    """The profile after an order that it has not heard of; the caller looks after the cart and the recents.

    Args:
        lines: what `order_lines` made of the order, and `amount_e4` what it comes to.
    """
    if len(lines) > order_lines_max:
        lines = dict(islice(lines.items(), order_lines_max))
    if currency not in profile.revenue_e4 and len(profile.revenue_e4) >= currencies_max:
        amount_e4 = 0
    purchased = profile.purchased
    bought = dict.fromkeys(lines, Purchase(1, at_ms))
    for product_id in purchased.keys() & bought.keys():
        had = purchased[product_id]
        bought[product_id] = Purchase(had.count + 1, max(had.at_ms, at_ms))
    order = RecentOrder(at_ms, currency, amount_e4, lines)
    return replace(
        profile,
        orders=profile.orders + 1,
        revenue_e4=changed_revenue(profile.revenue_e4, currency, amount_e4),
        recent_orders=trimmed_orders(append(profile.recent_orders, {order_id: order}, recent_orders_max, at_ms)),
        purchased=append(purchased, bought, purchased_max, at_ms),
    )


def with_cancellation(profile: Profile, order_id: OrderId, at_ms: int) -> Profile:
    """The profile without what the order added. An order not heard of is remembered as one that must not count."""
    order = profile.recent_orders.get(order_id)
    if order is None:
        closed = RecentOrder(at_ms, "", 0, {}, False)
        return replace(profile, recent_orders=put(profile.recent_orders, {order_id: closed}, recent_orders_max))
    if not order.counted:
        return profile
    return _taken_back(profile, order_id, order, RecentOrder(order.at_ms, order.currency, 0, {}, False))


def with_refund(profile: Profile, order_id: OrderId, lines: tuple[Line, ...]) -> Profile:
    """The profile without the lines that came back; without lines, the whole order came back.

    A line that states no price takes back its share of what was paid. Nothing is ever taken back twice, and nothing of
    an order that is no longer remembered.
    """
    order = profile.recent_orders.get(order_id)
    if order is None or not order.counted:
        return profile
    if not lines:
        return with_cancellation(profile, order_id, order.at_ms)
    left, amount_e4 = dict(order.lines), order.amount_e4
    for line in lines:
        amount_e4 -= _returned(left, line)
    rest = RecentOrder(order.at_ms, order.currency, max(amount_e4, 0), left)
    if not left and rest.amount_e4 == 0:
        rest = replace(rest, counted=False)
    return _taken_back(profile, order_id, order, rest)


def trimmed_orders(orders: dict[OrderId, RecentOrder]) -> dict[OrderId, RecentOrder]:
    """The newest orders whose lines together stay within `recent_order_lines_max`; changes `orders`."""
    surplus = sum([len(order.lines) for order in orders.values()]) - recent_order_lines_max
    while surplus > 0:
        oldest = next(iter(orders))
        surplus -= len(orders.pop(oldest).lines)
    return orders


def changed_revenue(revenue: Mapping[str, int], currency: str, change_e4: int) -> Mapping[str, int]:
    """The revenue with a change in one currency; nothing is not kept, and it never goes below nothing."""
    amount_e4 = min(revenue.get(currency, 0) + change_e4, revenue_e4_max)
    if amount_e4 <= 0:
        return {name: amount for name, amount in revenue.items() if name != currency}
    if currency in revenue:
        return {**revenue, currency: amount_e4}
    return dict(sorted([*revenue.items(), (currency, amount_e4)]))


def order_lines(lines: tuple[Line, ...]) -> tuple[OrderLines, int]:
    """The products of an order, in the order of their ids, and what the order comes to."""
    products: OrderLines = {}
    total_e4 = 0
    for line in sorted(lines, key=_product_id):
        product_id, quantity, price = line.product_id, line.quantity, line.price
        if quantity <= 0:
            continue
        amount_e4 = 0 if price is None else unit_e4(str(price)) * quantity
        total_e4 += amount_e4
        same = products.get(product_id)
        if same is not None:
            quantity += same.quantity
            amount_e4 += same.amount_e4
        if quantity > quantity_max:
            quantity = quantity_max
        if amount_e4 > amount_e4_max:
            amount_e4 = amount_e4_max
        products[product_id] = OrderLine(quantity, amount_e4)
    return products, min(total_e4, amount_e4_max)


def _returned(left: OrderLines, line: Line) -> int:
    """Takes a returned line out of `left` and says what was paid for it."""
    stated_e4 = None if line.price is None else unit_e4(str(line.price)) * line.quantity
    had = left.get(line.product_id)
    if had is None:
        return stated_e4 or 0
    quantity = min(line.quantity, had.quantity)
    share_e4 = had.amount_e4 * quantity // had.quantity
    amount_e4 = share_e4 if stated_e4 is None else min(stated_e4, had.amount_e4)
    if quantity == had.quantity:
        del left[line.product_id]
    else:
        left[line.product_id] = OrderLine(had.quantity - quantity, had.amount_e4 - amount_e4)
    return amount_e4


def _taken_back(profile: Profile, order_id: OrderId, was: RecentOrder, now: RecentOrder) -> Profile:
    orders = put(profile.recent_orders, {order_id: now}, recent_orders_max)
    return replace(
        profile,
        orders=max(profile.orders - (was.counted and not now.counted), 0),
        revenue_e4=changed_revenue(profile.revenue_e4, was.currency, now.amount_e4 - was.amount_e4),
        recent_orders=orders,
        purchased=_less_purchased(profile.purchased, [p for p in was.lines if p not in now.lines], orders),
    )


def _less_purchased(
    purchased: Mapping[ProductId, Purchase], products: Iterable[ProductId], orders: Mapping[OrderId, RecentOrder]
) -> Mapping[ProductId, Purchase]:
    """One purchase less of each product; the last one is then that of the newest remembered order that has it."""
    left = dict(purchased)
    changed = {}
    for product_id in products:
        had = left.pop(product_id, None)
        if had is not None and had.count > 1:
            remembered = [order.at_ms for order in orders.values() if product_id in order.lines]
            changed[product_id] = Purchase(had.count - 1, max(remembered, default=had.at_ms))
    return put(left, changed, purchased_max)
