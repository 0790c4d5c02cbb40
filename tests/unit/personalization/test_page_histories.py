"""What somebody did reaches the models as it happened, and what they make of it has reasons that are true."""

from __future__ import annotations

import numpy as np

from ingest.vocabulary.events import ConsentChanged, ListViewed, ProductAdded, ProductViewed, WishlistAdded
from ingest.vocabulary.ranking import CART, ORDER, VIEW, WISHLIST, History, IntVector
from personalization.customer.profile import Profile
from personalization.page.feed import Ranking, rank
from personalization.page.histories import (
    bought_deeds_max,
    cart_history,
    history_of,
    last_order_history,
    recent_deeds_max,
    visit_of,
)
from personalization.page.placements import DEFAULT_PLACEMENTS, Placement
from personalization.page.request import RowRequest
from tests.support.history import fact, known, line, order
from tests.support.shop import PlainModels, PlainShelf, product

SHELF = PlainShelf([product(each) for each in ("cup", "bowl", "plate", "spade", "fork", "shirt")])
HOUR = 3_600
NEXT = Placement(name="x", chain=("next_item",), seeds=("history",))


def deeds(history: History) -> list[tuple[str, int, int]]:
    """Products, seconds since the first, kinds."""
    names = [SHELF.product_id(row) for row in history.products.tolist()]
    times = (history.time_s - history.time_s[:1]).tolist()
    return list(zip(names, times, history.kind.tolist(), strict=True))


def visited(*at: tuple[str, int]) -> Profile:
    return known(*(fact(ProductViewed, moment, product_id=product_id) for product_id, moment in at))


def row(placement: str | Placement, profile: Profile | None, models: PlainModels, **asked: object) -> Ranking:
    chosen = DEFAULT_PLACEMENTS[placement] if isinstance(placement, str) else placement
    return rank(RowRequest(**asked), chosen, profile, SHELF, models)  # type: ignore[arg-type]


def reasons(ranking: Ranking) -> list[tuple[str, str, str | None, int]]:
    return [
        (SHELF.product_id(each.product_index), each.kind, SHELF.product_id(each.because), each.orders)
        for each in ranking.picks
        if each.because >= 0
    ]


def test_a_history_is_what_was_done_oldest_first_with_its_kinds() -> None:
    profile = known(
        fact(ProductViewed, 0, product_id="unheard-of"),
        order("o", line("bowl"), line("cup"), at=5),
        fact(WishlistAdded, 10, product_id="plate"),
        fact(ProductAdded, 20, product_id="spade"),
        fact(ProductViewed, 30, product_id="fork"),
        fact(ProductViewed, 40, product_id="cup"),
    )
    assert deeds(history_of(profile, SHELF.find)) == [
        ("bowl", 0, ORDER),
        ("cup", 0, ORDER),
        ("plate", 5, WISHLIST),
        ("spade", 15, CART),
        ("fork", 25, VIEW),
        ("cup", 35, VIEW),
    ]
    assert deeds(cart_history(profile, SHELF.find)) == [("spade", 0, CART)]
    assert deeds(last_order_history(profile, SHELF.find)) == [("bowl", 0, ORDER), ("cup", 0, ORDER)]
    assert not deeds(last_order_history(Profile(), SHELF.find))


def test_a_long_history_keeps_its_newest() -> None:
    shelf = PlainShelf([product(f"p{number:03d}") for number in range(200)])
    bought = [order(f"o{number}", line(f"p{number:03d}"), at=number) for number in range(100)]
    viewed = [fact(ProductViewed, 1_000 + number, product_id=f"p{number:03d}") for number in range(100, 200)]
    history = history_of(known(*bought, *viewed), shelf.find)
    expected = [*range(100 - bought_deeds_max, 100), *range(200 - recent_deeds_max, 200)]
    assert history.products.tolist() == expected


def test_a_visit_ends_with_half_an_hour_of_silence() -> None:
    profile = visited(("cup", 0), ("bowl", HOUR), ("plate", HOUR + 1_800), ("spade", HOUR + 1_900))
    history = history_of(profile, SHELF.find)
    assert [each for each, _, _ in deeds(visit_of(history, profile.newest_ms))] == ["bowl", "plate", "spade"]
    later = known(fact(ListViewed, 3 * HOUR), profile=profile)
    assert not len(visit_of(history, later.newest_ms).products)


def test_for_you_is_asked_with_the_whole_history_and_offers_nothing_to_strangers() -> None:
    profile = visited(("cup", 0), ("bowl", 10 * HOUR))
    models = PlainModels(SHELF, for_you=["bowl", "plate"])
    assert reasons(row("home.for-you", profile, models)) == [("plate", "for_you", "bowl", 0)]
    assert models.calls[0] == ("for_you", ["cup", "bowl"], 40)
    refused = known(fact(ConsentChanged, purposes={"personalization": False}), profile=profile)
    for nobody in (None, Profile(), refused):
        models = PlainModels(SHELF, for_you=["plate"])
        assert {pick.kind for pick in row("home.for-you", nobody, models).picks} == {"fallback_popular"}
        assert {name for name, *_ in models.calls} == {"popular"}


def test_the_products_asked_about_are_started_from_before_the_history() -> None:
    models = PlainModels(SHELF, for_you=["plate"])
    row("home.for-you", visited(("cup", 0)), models, product_ids=("spade", "fork"))
    assert models.calls[0] == ("for_you", ["fork", "spade"], 40)


def test_next_item_is_asked_with_the_visit_then_what_is_looked_at_now() -> None:
    profile = visited(("cup", 0), ("bowl", HOUR), ("plate", HOUR + 60))
    models = PlainModels(SHELF, next_item=["spade", "plate"])
    assert reasons(row(NEXT, profile, models)) == [("spade", "next_item", "plate", 0)]
    assert models.calls[0] == ("next_item", ["bowl", "plate"], 40)
    row(NEXT, profile, models, product_ids=("fork",))
    assert models.calls[-2] == ("next_item", ["bowl", "plate", "fork"], 40)


def test_somebody_back_after_a_pause_begins_a_new_visit() -> None:
    profile = known(fact(ListViewed, 2 * HOUR), profile=visited(("cup", 0)))
    models = PlainModels(SHELF, next_item=["spade"])
    assert "next_item" not in {pick.kind for pick in row(NEXT, profile, models).picks}
    row(NEXT, profile, models, product_ids=("fork",))
    assert ("next_item", ["fork"], 40) in models.calls


def test_scores_of_a_ranker_are_odds_against_its_best() -> None:
    ranking = row(NEXT, visited(("cup", 0)), PlainModels(SHELF, next_item=["spade", "fork", "plate"]))
    assert np.allclose([pick.score for pick in ranking.picks[:3]], [1.0, 1 / 2, 1 / 3])


def test_a_basket_is_completed_with_exact_counts_or_without_the_claim() -> None:
    models = PlainModels(SHELF, basket=["shirt", "plate", "bowl"], bought_together=["bowl", "fork", "plate"])
    ranking = row("cart.cross-sell", None, models, product_ids=("cup", "spade"))
    assert reasons(ranking) == [
        ("shirt", "for_you", "cup", 0),
        ("plate", "bought_together", "cup", 98),
        ("bowl", "bought_together", "cup", 100),
        ("fork", "bought_together", "cup", 99),
    ]
    assert [pick.lift for pick in ranking.picks[:3]] == [0.0, 3.0, 3.0]
    assert models.calls[0] == ("basket", ["spade", "cup"], 40)


def test_a_basket_without_any_pair_claims_none() -> None:
    ranking = row("cart.cross-sell", None, PlainModels(SHELF, basket=["bowl"]), product_ids=("cup",))
    assert reasons(ranking)[0] == ("bowl", "for_you", "cup", 0)


def test_where_no_basket_was_learned_exact_counts_answer() -> None:
    class Unlearned(PlainModels):
        def ranked(self, purpose: str, history: History, limit: int, excluded: IntVector) -> object:  # type: ignore[override]
            return super().ranked("for_you", history, limit, excluded)

    models = Unlearned(SHELF, for_you=["shirt"], bought_together=["bowl"])
    kinds = [kind for _, kind, _, _ in reasons(row("cart.cross-sell", None, models, product_ids=("cup",)))]
    assert kinds == ["bought_together", "for_you"]


def test_what_the_next_order_is_likely_to_hold_is_bought_again_first() -> None:
    profile = known(
        order("o1", line("cup"), at=0),
        order("o2", line("cup"), line("bowl"), at=24 * HOUR),
        order("o3", line("spade"), at=48 * HOUR),
    )
    models = PlainModels(SHELF, next_basket=["plate", "spade", "cup"])
    ranking = rank(RowRequest(), DEFAULT_PLACEMENTS["home.buy-again"], profile, SHELF, models)
    assert [SHELF.product_id(pick.product_index) for pick in ranking.picks][:3] == ["spade", "cup", "bowl"], (
        "what was never bought is not bought again"
    )
    assert [pick.orders for pick in ranking.picks][:3] == [1, 2, 1]
    assert models.calls[0] == ("next_basket", ["cup", "bowl", "cup", "spade"], 150)
