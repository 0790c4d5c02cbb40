"""Why a product is in a row, in plain words, and the items of an answered row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import Evidence, Item, Reason, ReasonKind
from personalization.customer.profile import EMPTY, Profile
from personalization.page.row import Pick
from personalization.page.shelf import CATEGORY_SEPARATOR, Shelf

_OF_PRODUCT = {
    "bought_together": ("Often bought with {}", "Often bought together"),
    "similar": ("Similar to {}", "Similar to what you looked at"),
    "other_style": ("Another style of {}", "Another style"),
    "next_item": ("Next to look at after {}", "Next to look at"),
}
_PLAIN = {
    "trending": "Trending in the shop",
    "new": "New in the shop",
    "recently_viewed": "You looked at this",
    "price_drop": "Now at a lower price",
    "back_in_stock": "Back in stock",
    "pinned": "Chosen by the shop",
}
LIFT_DECIMALS = 4
_COUNTS_ORDERS = frozenset(("bought_together", "popular", "fallback_popular", "trending", "buy_again"))

NO_EVIDENCE = Evidence()

ClickTokens = Callable[[Sequence[ProductId]], Sequence[str]]


class Wording(NamedTuple):
    """What a reason says: the products it speaks of, and plain words."""

    because: tuple[ProductId, ...]
    text: str


def no_tokens(product_ids: Sequence[ProductId]) -> Sequence[str]:
    """No click is followed: for rows that nobody is shown."""
    return ("",) * len(product_ids)


def items(
    picks: tuple[Pick, ...], profile: Profile | None, shelf: Shelf, click_tokens: ClickTokens = no_tokens
) -> tuple[Item, ...]:
    """The items of a row, with positions from 1. Cost: 3 µs each.

    Args:
        click_tokens: the tokens of products by their positions.
    """
    known = profile if profile is not None and profile.personalized else EMPTY
    told: dict[
        tuple[ReasonKind, int, str | None, str], Wording
    ] = {}  # most of a row has one cause or another in common
    label = shelf.label
    product_ids = [shelf.product_id(pick.product_index) for pick in picks]
    row = []
    for position, (pick, product_id, token) in enumerate(
        zip(picks, product_ids, click_tokens(product_ids), strict=True), 1
    ):
        kind = pick.kind
        cause = (kind, pick.because, pick.category, pick.favour)
        wording = told.get(cause)
        if wording is None or kind == "buy_again":
            wording = told[cause] = _wording(pick, known, shelf)
        why = Reason(kind, wording.because, wording.text, _evidence(pick))
        row.append(Item(product_id, position, pick.score, why, *label(pick.product_index), token))
    return tuple(row)


def reason(pick: Pick, profile: Profile, shelf: Shelf) -> Reason:
    """The reason of a pick."""
    wording = _wording(pick, profile, shelf)
    return Reason(pick.kind, wording.because, wording.text, _evidence(pick))


def _evidence(pick: Pick) -> Evidence:
    if pick.orders > 0 and pick.kind in _COUNTS_ORDERS:
        return Evidence(pick.orders, round(pick.lift, LIFT_DECIMALS) if pick.lift > 0 else None)
    return Evidence(None, round(pick.lift, LIFT_DECIMALS)) if pick.lift > 0 else NO_EVIDENCE


def _wording(pick: Pick, profile: Profile, shelf: Shelf) -> Wording:
    because = () if pick.because < 0 else (shelf.product_id(pick.because),)
    text = _text(pick, because, profile, shelf)
    return Wording(because, f"{text}, {pick.favour}" if pick.favour else text)


def _text(pick: Pick, because: tuple[ProductId, ...], profile: Profile, shelf: Shelf) -> str:
    kind = pick.kind
    if kind in _OF_PRODUCT:
        named, unnamed = _OF_PRODUCT[kind]
        title = _title(pick.because, shelf)
        return unnamed if title is None else named.format(title)
    if kind in ("popular", "fallback_popular"):
        return f"Popular in {_last_name(pick.category)}" if pick.category else "Popular in the shop"
    if kind == "buy_again":
        return f"You bought this {pick.orders} times" if pick.orders > 1 else "You bought this before"
    if kind == "for_you":
        title = _title(pick.because, shelf)
        if title is None:
            return "Recommended for you"
        if because[0] in profile.cart:
            return f"Because {title} is in your basket"
        return f"Because you {'bought' if because[0] in profile.purchased else 'looked at'} {title}"
    return _PLAIN[kind]


def _title(product_index: int, shelf: Shelf) -> str | None:
    product = shelf.product(product_index) if product_index >= 0 else None
    return None if product is None else product.title


def _last_name(category: str) -> str:
    return category.rsplit(CATEGORY_SEPARATOR, 1)[-1]
