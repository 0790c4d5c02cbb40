"""Why a product is in a row, in words and with evidence, and what a shopper is shown of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingest.vocabulary.events import ConsentChanged, ProductAdded
from ingest.vocabulary.ranking import Evidence, Item, Reason
from personalization.customer.profile import Profile
from personalization.page.reasons import items, reason
from personalization.page.row import Pick
from tests.support.history import fact, known, line, order
from tests.support.shop import PlainShelf, product

SHELF = PlainShelf([product("cup"), product("bowl")])
UNHEARD = 2


def pick(kind: str, because: int = -1, orders: int = 0, lift: float = 0.0, category: str | None = None) -> Pick:
    return Pick(1, kind, 0.5, because, orders, lift, category)  # type: ignore[arg-type]


BUYER = known(order("o", line("cup")))


@pytest.mark.parametrize(
    ("why", "profile", "text", "evidence"),
    [
        (pick("bought_together", 0, 298, 9.3), Profile(), "Often bought with Cup", Evidence(298, 9.3)),
        (pick("bought_together"), Profile(), "Often bought together", Evidence()),
        (pick("similar", 0, 5, 2.0), Profile(), "Similar to Cup", Evidence(None, 2.0)),
        (pick("similar", UNHEARD), Profile(), "Similar to what you looked at", Evidence()),
        (pick("other_style", 0), Profile(), "Another style of Cup", Evidence()),
        (pick("other_style"), Profile(), "Another style", Evidence()),
        (pick("next_item", 0), Profile(), "Next to look at after Cup", Evidence()),
        (pick("next_item"), Profile(), "Next to look at", Evidence()),
        (pick("for_you", 0), Profile(), "Because you looked at Cup", Evidence()),
        (pick("for_you", 0), BUYER, "Because you bought Cup", Evidence()),
        (pick("for_you", 0), known(fact(ProductAdded, product_id="cup")), "Because Cup is in your basket", Evidence()),
        (pick("for_you"), BUYER, "Recommended for you", Evidence()),
        (pick("popular", orders=7), Profile(), "Popular in the shop", Evidence(7)),
        (pick("popular", category="Home > Kitchen"), Profile(), "Popular in Kitchen", Evidence()),
        (pick("fallback_popular", orders=7, category="Kitchen"), Profile(), "Popular in Kitchen", Evidence(7)),
        (pick("trending", orders=7), Profile(), "Trending in the shop", Evidence(7)),
        (pick("new"), Profile(), "New in the shop", Evidence()),
        (pick("recently_viewed"), Profile(), "You looked at this", Evidence()),
        (pick("buy_again", orders=3), Profile(), "You bought this 3 times", Evidence(3)),
        (pick("buy_again", orders=1), Profile(), "You bought this before", Evidence(1)),
        (pick("price_drop"), Profile(), "Now at a lower price", Evidence()),
        (pick("back_in_stock"), Profile(), "Back in stock", Evidence()),
        (pick("pinned"), Profile(), "Chosen by the shop", Evidence()),
    ],
)
def test_reasons_are_plain_words_with_evidence(why: Pick, profile: Profile, text: str, evidence: Evidence) -> None:
    because = () if why.because < 0 else (shelf_with_unheard().product_id(why.because),)
    assert reason(why, profile, shelf_with_unheard()) == Reason(why.kind, because, text, evidence)


def shelf_with_unheard() -> PlainShelf:
    shelf = PlainShelf(SHELF.products)
    assert shelf.index.add("unheard-of") == UNHEARD
    return shelf


def test_items_say_what_the_shop_says_of_the_product() -> None:
    shelf = PlainShelf([product("a", url="/a", image_url="/a.png", price=Decimal("2.950"), availability="preorder")])
    shelf.index.add("b")
    first = Pick(0, "popular", 0.5, -1, 7, 0.0, None)
    second = Pick(1, "popular", 0.4, -1, 0, 0.0, None)
    assert items((first, second), None, shelf, lambda product_ids: [f"token of {each}" for each in product_ids]) == (
        Item(
            "a",
            1,
            0.5,
            Reason("popular", (), "Popular in the shop", Evidence(7)),
            "A",
            "/a",
            "/a.png",
            "2.950",
            "GBP",
            "preorder",
            "token of a",
        ),
        Item(
            "b",
            2,
            0.4,
            Reason("popular", (), "Popular in the shop", Evidence()),
            None,
            None,
            None,
            None,
            None,
            "in_stock",
            "token of b",
        ),
    )
    (free,) = items((first,), None, PlainShelf([product("a", price=None)]))
    assert (free.price, free.click_token) == (None, "")
    (round_price,) = items((first,), None, PlainShelf([product("a", price=Decimal("1E+2"))]))
    assert round_price.price == "100"


def test_who_refused_is_not_told_what_they_bought() -> None:
    refused = known(fact(ConsentChanged, purposes={"personalization": False}), profile=BUYER)
    why = Pick(1, "for_you", 0.5, 0, 0, 0.0, None)
    assert items((why,), refused, SHELF)[0].reason.text == "Because you looked at Cup"
    assert items((why,), BUYER, SHELF)[0].reason.text == "Because you bought Cup"
