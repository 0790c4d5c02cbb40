"""Rows of a shop small enough to read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ingest.vocabulary.events import ConsentChanged, ProductAdded, ProductViewed
from personalization.customer.profile import Profile
from personalization.page.asker import Asker
from personalization.page.feed import Ranking, Step, rank, rank_page
from personalization.page.filters import allowed, refusals
from personalization.page.placements import DEFAULT_PLACEMENTS, Pin, Placement
from personalization.page.request import Filter, PriceRange, RowRequest
from personalization.page.strategies import Asking
from tests.support.history import fact, known, line, order
from tests.support.shop import PlainModels, PlainShelf, product

KITCHEN, BOWLS, GARDEN = ("Home", "Kitchen"), ("Home", "Kitchen", "Bowls"), ("Garden",)
SHELF = PlainShelf(
    [
        product("cup", category=KITCHEN, brand="Acme", attributes={"colour": "red"}),
        product("bowl", category=BOWLS, brand="Bolt", price=Decimal(5), attributes={"colour": "blue"}),
        product("plate", category=KITCHEN, brand="Acme", price=None),
        product("spade", category=GARDEN, brand="Bolt", price=Decimal(40), attributes={"colour": "red"}),
        product("gone", category=GARDEN),
        product("sold", category=KITCHEN, availability="out_of_stock"),
        product("shirt-s", item_group_id="shirt"),
        product("shirt-m", item_group_id="shirt"),
    ],
    deleted=["gone"],
)
DAY = 86_400


def ids(ranking: Ranking, shelf: PlainShelf = SHELF) -> list[str]:
    return [shelf.product_id(pick.product_index) for pick in ranking.picks]


def kinds(ranking: Ranking) -> list[str]:
    return [pick.kind for pick in ranking.picks]


def ranked(
    placement: str | Placement = "home.popular",
    profile: Profile | None = None,
    shelf: PlainShelf = SHELF,
    offers: dict[str, list[str]] | None = None,
    **asked: Any,
) -> Ranking:
    chosen = DEFAULT_PLACEMENTS[placement] if isinstance(placement, str) else placement
    return rank(RowRequest(**asked), chosen, profile, shelf, PlainModels(shelf, **(offers or {})))


def place(**settings: Any) -> Placement:
    return Placement(**{"name": "x", "chain": ("popular",), **settings})


ALL = np.arange(8, dtype=np.int32)


@pytest.mark.parametrize(
    ("asked", "passing"),
    [
        (None, ["cup", "bowl", "plate", "spade", "shirt-s", "shirt-m"]),
        (Filter(), ["cup", "bowl", "plate", "spade", "shirt-s", "shirt-m"]),
        (Filter(category=("kitchen",)), ["cup", "bowl", "plate"]),
        (Filter(category=("home > kitchen > bowls", "garden")), ["bowl", "spade"]),
        (Filter(brand=("acme",)), ["cup", "plate"]),
        (Filter(brand=("acme", "bolt", "unheard")), ["cup", "bowl", "plate", "spade"]),
        (Filter(brand=("unheard",)), []),
        (Filter(price=PriceRange(5, 10)), ["cup", "bowl", "shirt-s", "shirt-m"]),
        (Filter(price=PriceRange(min=10)), ["cup", "spade", "shirt-s", "shirt-m"]),
        (Filter(price=PriceRange(max=5)), ["bowl"]),
        (Filter(price=PriceRange()), ["cup", "bowl", "spade", "shirt-s", "shirt-m"]),
        (Filter(attributes={"colour": ("red", "blue")}), ["cup", "bowl", "spade"]),
        (Filter(attributes={"colour": ("red",), "size": ("s",)}), []),
        (Filter(category=("kitchen",), attributes={"colour": ("red",)}), ["cup"]),
    ],
)
def test_hard_filters_let_through_what_was_asked_for(asked: Filter | None, passing: list[str]) -> None:
    assert [SHELF.product_id(row) for row in ALL[allowed(ALL, SHELF, asked)].tolist()] == passing
    assert sorted(ids(ranked(place(one_per_group=False), filter=asked))) == sorted(passing)


def test_a_product_the_catalogue_never_heard_of_is_not_on_the_shelf() -> None:
    assert allowed(np.array([0, 8, 99], np.int32), SHELF, None).tolist() == [True, False, False]
    assert allowed(np.array([0], np.int32), PlainShelf([]), None).tolist() == [False]
    assert ids(ranked(offers={"popular": ["never-heard", "cup"]}, limit=1)) == ["cup"]


def test_refusals_are_counted_at_the_first_filter() -> None:
    asked = Filter(("kitchen",), ("acme",), PriceRange(max=50), {"colour": ("blue",)})
    assert refusals(np.array([*range(8), 99], np.int32), SHELF, asked) == {
        "listed": 2,
        "sellable": 1,
        "category": 3,
        "brand": 1,
        "price": 1,
        "attributes.colour": 1,
    }
    assert refusals(ALL, SHELF, None) == {"listed": 1, "sellable": 1}


def test_a_row_is_the_chain_then_popularity() -> None:
    row = ranked(
        "product.bought-together", product_ids=("cup",), offers={"bought_together": ["bowl"], "similar": ["plate"]}
    )
    assert ids(row) == ["bowl", "plate", "spade", "shirt-s"]
    assert kinds(row) == ["bought_together", "similar", "fallback_popular", "fallback_popular"]
    assert row.placement == "product.bought-together"


def test_popularity_starts_near_the_product_asked_about() -> None:
    offers = {"popular": ["spade", "shirt-m", "plate", "bowl", "cup"]}
    row = ranked("product.similar", product_ids=("bowl",), offers=offers)
    assert ids(row) == ["plate", "cup", "spade", "shirt-m"]
    assert [pick.category for pick in row.picks] == ["Home > Kitchen", "Home > Kitchen", None, None]
    assert ids(ranked("product.similar", product_ids=("bowl",), category="garden", offers=offers)) == [
        "spade",
        "plate",
        "cup",
        "shirt-m",
    ]


def test_the_category_asked_for_comes_first() -> None:
    row = ranked("category.popular", category="Kitchen", limit=4)
    assert ids(row) == ["cup", "bowl", "plate", "spade"]
    assert kinds(row) == ["popular", "popular", "popular", "fallback_popular"]


def test_what_was_never_sold_fills_the_row_at_last() -> None:
    row = ranked(offers={"popular": ["spade"]})
    assert ids(row) == ["spade", "cup", "bowl", "plate", "shirt-s"]
    assert kinds(row) == ["popular"] + ["fallback_popular"] * 4


def test_a_strategy_is_asked_for_more_while_filters_eat_what_it_offers() -> None:
    shelf = PlainShelf([product(f"p{n:03d}", brand="b" if n >= 397 else "a") for n in range(400)])
    models = PlainModels(shelf)
    row = rank(
        RowRequest(limit=2, filter=Filter(brand=("b",))), DEFAULT_PLACEMENTS["home.popular"], None, shelf, models
    )
    assert ids(row, shelf) == ["p397", "p398"]
    assert models.calls == [("popular", None, 320), ("popular", None, 2_560)]
    models.calls.clear()
    rank(RowRequest(limit=50), DEFAULT_PLACEMENTS["home.popular"], None, shelf, models)
    assert models.calls == [("popular", None, 200)]


def test_excluded_products_are_not_shown() -> None:
    row = ranked(place(exclude=("cup",)), exclude=("bowl", "unheard"))
    assert ids(row) == ["plate", "spade", "shirt-s"]


def test_the_product_asked_about_is_not_shown_even_if_a_model_offers_it() -> None:
    assert "cup" not in ids(ranked("home.popular", product_ids=("cup",)))
    assert "cup" not in ids(ranked("product.similar", product_ids=("cup",), offers={"similar": ["cup", "bowl"]}))


def test_a_product_is_not_its_own_reason() -> None:
    viewed = known(fact(ProductViewed, product_id="cup"))
    row = ranked("home.for-you", viewed, offers={"for_you": ["cup", "bowl"]})
    assert (ids(row)[0], kinds(row)[0]) == ("bowl", "for_you")


def test_what_a_row_started_from_is_shown_only_where_it_would_stay_short() -> None:
    viewed = known(fact(ProductViewed, product_id="cup"))
    offers = {"for_you": ["cup", "bowl", "plate"]}
    assert ids(ranked("home.for-you", viewed, offers=offers, limit=2)) == ["bowl", "plate"]
    whole_shelf = ranked("home.for-you", viewed, offers=offers, limit=100)
    assert ids(whole_shelf)[-1] == "cup"
    assert len(set(ids(whole_shelf))) == len(ids(whole_shelf))


def test_what_lies_in_the_cart_is_not_shown_where_seeds_are_not() -> None:
    cart = known(fact(ProductAdded, product_id="bowl"))
    assert "bowl" not in ids(ranked("cart.cross-sell", cart))
    assert "bowl" in ids(ranked("home.popular", cart))


def test_what_was_bought_lately_is_shown_only_where_the_row_would_stay_short() -> None:
    bought = known(order("o", line("cup"), at=0), order("p", line("bowl"), at=5 * DAY))
    wanted = place(exclude_purchased_days=5)
    assert ids(ranked(wanted, bought, limit=3)) == ["plate", "spade", "shirt-s"]
    assert ids(ranked(wanted, bought, limit=4)) == ["plate", "spade", "shirt-s", "cup"]
    assert ids(ranked(wanted, bought)) == ["plate", "spade", "shirt-s", "cup", "bowl"]
    assert ids(ranked(place(exclude_purchased_days=4), bought, limit=3)) == ["cup", "plate", "spade"]


def test_other_categories_are_shown_only_where_the_row_would_stay_short() -> None:
    row = ranked(place(same_category=True), product_ids=("cup",), offers={"popular": ["spade", "plate", "bowl"]})
    assert ids(row) == ["plate", "bowl", "spade", "shirt-s"]


def test_variants_of_one_item_are_shown_once() -> None:
    assert [each for each in ids(ranked()) if each.startswith("shirt")] == ["shirt-s"]
    row = ranked("product.similar", product_ids=("shirt-s",), offers={"similar": ["shirt-m", "cup"]})
    assert ids(row) == ["cup", "bowl", "plate", "spade", "shirt-m"]
    styles = ranked("product.other-styles", product_ids=("shirt-s",), offers={"other_styles": ["shirt-m", "cup"]})
    assert ids(styles)[:2] == ["shirt-m", "cup"]


def test_caps_let_others_of_the_same_offer_pass_first() -> None:
    offers = {"popular": ["cup", "plate", "spade", "bowl"]}
    assert ids(ranked(place(brand_max=1), offers=offers, limit=3)) == ["cup", "spade", "plate"]
    assert ids(ranked(place(category_max=1), offers=offers, limit=3)) == ["cup", "spade", "bowl"]
    assert ids(ranked(place(category_max=1), offers=offers, limit=4)) == ["cup", "spade", "bowl", "plate"]


def test_pins_stand_at_their_positions_unless_a_hard_filter_refuses() -> None:
    pins = (Pin("spade", 2), Pin("gone", 1), Pin("shirt-m", 4), Pin("unheard", 3), Pin("plate", 6))
    row = ranked(place(pins=pins), limit=5)
    assert ids(row) == ["cup", "spade", "bowl", "shirt-m", "plate"]
    assert kinds(row) == ["popular", "pinned", "popular", "pinned", "popular"]
    assert [pick.score for pick in row.picks] == [1.0, 1.0, 0.5, 0.5, pytest.approx(1 / 3)]
    assert ids(ranked(place(pins=(Pin("spade", 2),)), exclude=("spade",), limit=2)) == ["cup", "bowl"]
    assert ids(ranked(place(pins=(Pin("cup", 6),)), filter=Filter(brand=("acme",)))) == ["plate", "cup"]
    only = ranked(place(pins=(Pin("cup", 1),)), limit=1)
    assert [(pick.product_index, pick.score) for pick in only.picks] == [(0, 1.0)]
    top = ranked(place(pins=(Pin("spade", 1),)), limit=2, offers={"popular": ["cup"]})
    assert [(pick.product_index, pick.score) for pick in top.picks] == [(3, 1.0), (0, 1.0)]
    two = place(pins=(Pin("shirt-s", 1), Pin("shirt-m", 2)))
    assert ids(ranked(two, limit=2)) == ["shirt-s", "cup"]


def test_scores_never_rise_within_a_row() -> None:
    offers = {"bought_together": ["bowl", "spade"], "popular": ["plate", "shirt-s"]}
    row = ranked("product.bought-together", product_ids=("cup",), offers=offers)
    assert ids(row) == ["bowl", "spade", "plate", "shirt-s"]
    assert [pick.score for pick in row.picks] == [1.0, 0.5, 0.5, 0.25]
    small = ranked("product.bought-together", product_ids=("cup",), offers={"bought_together": ["bowl", "spade"]})
    assert [round(pick.score, 4) for pick in small.picks] == [1.0, 0.5, 0.3333, 0.1429]


WIDE = PlainShelf([product(name) for name in ("cup", "mug", "jug", "pot", "tray", "bun", "Tray", *map(str, range(8)))])


def together(limit: int = 6, of_a_kind: Any = (), commonplace: Any = (), offered: Any = (), **asked: Any) -> list[str]:
    """The product page of the cup."""
    offers = {"bought_together": list(offered), "of_a_kind": of_a_kind, "commonplace": commonplace, "popular": []}
    asked.setdefault("product_ids", ("cup",))
    return ids(ranked("product.bought-together", shelf=WIDE, offers=offers, limit=limit, **asked), WIDE)


def test_complements_of_other_kinds_come_before_more_of_them_staples_and_stand_ins() -> None:
    offered = ("mug", "bun", "jug", "pot", "tray")
    kinds = [["cup", "mug"], ["jug", "pot"]]
    assert together(5, kinds, ["bun"], offered) == ["jug", "tray", "pot", "bun", "mug"]
    assert together(2, kinds, ["bun"], offered) == ["jug", "tray"]
    assert together(5, kinds, ["bun", "mug"], offered)[-1] == "mug", "a stand-in is one however common it is"
    assert together(5, [], [], offered) == list(offered)


def test_what_is_not_to_be_had_keeps_nothing_of_its_kind_back_that_is() -> None:
    offered = ("jug", "pot", "tray")
    assert together(2, [["jug", "pot"]], [], offered, exclude=("jug",))[0] == "pot"


def test_the_strongest_stand_in_has_one_place_in_ten() -> None:
    others = tuple(map(str, range(8)))
    kinds = [["cup", "mug", "pot"]]
    assert together(10, kinds, [], ("mug", "pot", "tray", "bun", *others)) == ["tray", "bun", *others[:7], "mug"]
    assert together(9, kinds, [], ("mug", "tray", "bun", *others)) == ["tray", "bun", *others[:7]]
    assert together(10, kinds, [], ("tray", "bun", *others, "mug"))[:10] == ["tray", "bun", *others], "it came too late"
    assert together(20, kinds, [], ("mug", "pot", "tray"))[:3] == ["tray", "mug", "pot"]


def test_a_larger_offer_is_asked_for_before_a_stand_in_is_taken() -> None:
    shelf = PlainShelf([product(f"p{each}") for each in range(100)])
    kinds = [[f"p{each}" for each in range(60)]]
    offers = {"bought_together": [f"p{each}" for each in range(1, 100)], "of_a_kind": kinds}
    row = ranked("product.bought-together", shelf=shelf, offers=offers, product_ids=("p0",), limit=5)  # type: ignore[arg-type]
    assert ids(row, shelf) == ["p60", "p61", "p62", "p63", "p64"]


def test_only_what_is_bought_with_the_products_asked_about_is_put_in_order() -> None:
    offers = {"bought_together": ["mug", "jug"], "of_a_kind": [["cup", "mug"]]}
    for placement in ("email.cart", "cart.cross-sell"):
        row = ranked(placement, shelf=WIDE, offers=offers, product_ids=("cup",), limit=2)  # type: ignore[arg-type]
        assert ids(row, WIDE) == ["mug", "jug"]


def test_an_article_under_another_spelling_of_its_id_is_shown_once() -> None:
    offered = ("tray", "Tray", "jug")
    assert together(3, [], [], offered)[:2] == ["tray", "jug"]
    assert together(2, [], [], offered, product_ids=("Tray",)) == ["jug", "cup"]
    named = PlainShelf(
        [product("cup"), product("a1", title="Mug"), product("A1", title="Jug"), product("b", title=None)]
    )
    row = ranked("product.similar", shelf=named, offers={"similar": ["a1", "A1"]}, product_ids=("cup",), limit=2)
    assert ids(row, named) == ["a1", "A1"], "ids may differ by case alone"


def test_no_product_is_in_two_rows_of_a_page() -> None:
    placements = [DEFAULT_PLACEMENTS["home.popular"], DEFAULT_PLACEMENTS["category.popular"]]
    rows = rank_page(RowRequest(limit=3), placements, None, SHELF, PlainModels(SHELF))
    assert [ids(row) for row in rows] == [["cup", "bowl", "plate"], ["spade", "shirt-s"]]
    assert [row.placement for row in rows] == ["home.popular", "category.popular"]


def test_rows_of_a_page_ask_a_model_once_for_the_same() -> None:
    models = PlainModels(SHELF, for_you=["shirt-s"])
    placements = [place(name="above", chain=("for_you",)), place(name="below", chain=("for_you", "popular"))]
    rows = rank_page(RowRequest(limit=2), placements, HISTORY, SHELF, models)
    assert [ids(row) for row in rows] == [["shirt-s", "plate"], ["cup", "bowl"]]
    assert len(models.calls) == len(set(map(str, models.calls))), models.calls


def test_an_explanation_tells_what_each_strategy_gave() -> None:
    bought = known(order("o", line("cup")))
    placement = place(chain=("trending",), exclude_purchased_days=1)
    row = ranked(
        placement,
        bought,
        explain=True,
        exclude=("spade",),
        offers={"trending": ["gone", "sold", "spade", "cup", "bowl"]},
    )
    assert ids(row) == ["bowl", "plate", "shirt-s", "cup"]
    assert row.steps == (
        Step("trending", None, 5, 1, {"listed": 1, "sellable": 1, "blocked": 1, "purchased": 1}),
        Step("fallback_popular", None, 8, 2, {"listed": 1, "sellable": 1, "blocked": 1, "variant": 1}),
        Step("shelf", None, 8, 0, {"listed": 1, "sellable": 1, "blocked": 1, "variant": 1}),
        Step("relaxed", None, 0, 1, {}),
    )
    assert ranked(placement, bought).steps == ()


HISTORY = known(
    fact(ProductViewed, 0, product_id="cup"),
    fact(ProductViewed, 30 * DAY, product_id="bowl"),
    fact(ProductViewed, 60 * DAY, product_id="unheard"),
    fact(ProductViewed, 60 * DAY, product_id="plate"),
)


def seeds(placement: Placement, profile: Profile | None, **asked: Any) -> list[tuple[str, float]]:
    found = Asking(Asker(RowRequest(**asked), profile, SHELF, PlainModels(SHELF)), placement).seeds
    names = [SHELF.product_id(row) for row in found.products.tolist()]
    return [(name, round(weight, 6)) for name, weight in zip(names, found.weights.tolist(), strict=True)]


def test_seeds_are_what_was_asked_about_else_the_cart_else_the_history() -> None:
    cart = known(fact(ProductAdded, product_id="cup"), fact(ProductAdded, 1, product_id="spade"), profile=HISTORY)
    assert seeds(place(), cart, product_ids=("bowl", "unheard", "plate", "bowl")) == [("bowl", 1.0), ("plate", 0.9)]
    assert seeds(place(), cart) == [("spade", 1.0), ("cup", 0.9)]
    assert seeds(place(), HISTORY) == [("plate", 1.0), ("bowl", 0.45), ("cup", 0.2025)]
    assert seeds(place(), None) == []
    assert seeds(place(seeds=("cart",)), HISTORY) == []


def test_what_was_bought_before_follows_what_was_looked_at() -> None:
    bought = known(order("o", line("cup"), line("bowl", 1, "9"), line("spade", 1, "3"), line("plate", 1, "3")))
    recents = {"bowl": bought.recents["bowl"]}
    profile = Profile(recents=recents, purchased=bought.purchased, recent_orders=bought.recent_orders)
    assert seeds(place(), profile) == [("bowl", 1.0), ("spade", 0.9), ("plate", 0.81), ("cup", 0.729)]
    assert seeds(place(seeds=("last_order",)), profile) == [
        ("bowl", 1.0),
        ("plate", 0.9),
        ("spade", 0.81),
        ("cup", 0.729),
    ]
    assert seeds(place(seeds=("last_order",)), HISTORY) == []


def test_who_refused_is_asked_nothing() -> None:
    refused = known(fact(ConsentChanged, purposes={"personalization": False}), profile=HISTORY)
    assert seeds(place(), refused) == []
    assert kinds(ranked("home.recently-viewed", refused)) == ["fallback_popular"] * 5
    assert kinds(ranked("home.recently-viewed", HISTORY))[:3] == ["recently_viewed"] * 3


def test_recently_viewed_is_newest_first() -> None:
    row = ranked("home.recently-viewed", HISTORY)
    assert ids(row)[:4] == ["plate", "bowl", "cup", "spade"]
    assert [round(pick.score, 3) for pick in row.picks][:4] == [1.0, 0.5, 0.333, 0.25]


def test_buy_again_ranks_by_count_and_recency() -> None:
    profile = known(
        order("o1", line("cup"), at=0),
        order("o2", line("cup"), line("bowl"), at=DAY),
        order("o3", line("spade"), line("plate"), line("unheard"), at=91 * DAY),
    )
    row = ranked("home.buy-again", profile)
    assert ids(row)[:5] == ["cup", "plate", "spade", "bowl", "shirt-s"]
    assert [(pick.score, pick.orders) for pick in row.picks][:4] == [(1.0, 2), (1.0, 1), (1.0, 1), (0.5, 1)]
