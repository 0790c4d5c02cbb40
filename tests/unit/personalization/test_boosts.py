"""Boosts: what weighs more than its score says, within the row and never past a filter."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from personalization.page.boosts import Boost
from personalization.page.feed import rank, rank_page
from personalization.page.lifting import boosted
from personalization.page.placements import DEFAULT_PLACEMENTS, Placement, read_placements
from personalization.page.request import Filter, RowRequest
from tests.support.shop import PlainModels, PlainShelf, product

SHELF = PlainShelf(
    [
        product("hat", category=("Wear",), attributes={"season": "summer"}),
        product("cup", category=("Home", "Kitchen")),
        product("coat", category=("Wear", "Rain"), attributes={"season": "autumn"}),
        product("boot", category=("Wear", "Rain"), attributes={"season": "winter"}),
        product("mac", category=("Wear", "Rain"), availability="out_of_stock"),
    ]
)
POPULAR = ["hat", "cup", "coat", "boot", "mac"]
RAIN = Boost(category=("Rain",), lift=3.0)


def row(*boosts: Boost, **asked: object) -> list[str]:
    placement = Placement(name="x", chain=("popular",), boosts=boosts)
    ranking = rank(RowRequest(**asked), placement, None, SHELF, PlainModels(SHELF, popular=POPULAR))  # type: ignore[arg-type]
    return [SHELF.product_id(pick.product_index) for pick in ranking.picks]


def test_rain_lifts_raincoats_and_no_sold_out_one_comes_back() -> None:
    assert row() == ["hat", "cup", "coat", "boot"]
    assert row(Boost(category=("Rain",), lift=100.0)) == ["coat", "boot", "hat", "cup"]


def test_a_boost_below_one_holds_back() -> None:
    assert row(Boost(attribute="season", values=("summer",), lift=0.01))[-1] == "hat"


def test_what_is_filtered_stays_filtered() -> None:
    assert row(RAIN, filter=Filter(category=("Home",))) == ["cup"]


def test_scores_are_multiplied_by_every_boost_that_is_meant() -> None:
    offered = PlainModels(SHELF, popular=POPULAR).popular(None, 5)
    boosts = (RAIN, Boost(attribute="season", values=("autumn", "winter"), lift=2.0))
    lifted, concerned = boosted(offered, boosts, SHELF)
    before = dict(zip(offered.products.tolist(), offered.scores.tolist(), strict=True))
    times = {0: 1.0, 1: 1.0, 2: 6.0, 3: 6.0, 4: 3.0}
    for product_index, score in zip(lifted.products.tolist(), lifted.scores.tolist(), strict=True):
        assert score == before[product_index] * times[product_index]
    assert lifted.scores.tolist() == sorted(lifted.scores.tolist(), reverse=True)
    assert concerned == {"Rain × 3": 3, "season autumn or winter × 2": 2}
    orders = dict(zip(offered.products.tolist(), offered.orders.tolist(), strict=True))
    assert [orders[each] for each in lifted.products.tolist()] == lifted.orders.tolist()


def test_a_candidate_the_catalogue_never_heard_of_keeps_its_score() -> None:
    offered = PlainModels(SHELF, popular=["never-heard", "coat"]).popular(None, 5)
    lifted, concerned = boosted(offered, (RAIN,), SHELF)
    assert sorted(lifted.products.tolist()) == sorted(offered.products.tolist())
    assert concerned == {"Rain × 3": 1}
    assert np.all(np.diff(lifted.scores) <= 0)


def test_an_explanation_says_how_many_a_boost_was_for() -> None:
    placement = Placement(name="x", chain=("popular",), boosts=(RAIN,))
    models = PlainModels(SHELF, popular=POPULAR)
    (step,) = rank(RowRequest(explain=True, limit=4), placement, None, SHELF, models).steps
    assert step.boosted == {"Rain × 3": 3}


def test_rows_of_a_page_have_lengths_of_their_own() -> None:
    placements = [Placement(name=name, chain=("popular",), limit=limit) for name, limit in (("a", 1), ("b", 2))]
    rankings = rank_page(RowRequest(), placements, None, SHELF, PlainModels(SHELF, popular=POPULAR))
    assert [len(ranking.picks) for ranking in rankings] == [1, 2]


@pytest.mark.parametrize(
    ("boost", "said"),
    [
        ({"lift": 0, "category": ["a"]}, "lift must be"),
        ({"lift": 2}, "for a category or for an attribute"),
        ({"lift": 2, "attribute": "a"}, "goes with its values"),
        ({"lift": 2, "category": [str(number) for number in range(101)]}, "100 values"),
        ({"lift": 2, "categry": ["a"]}, "categry"),
    ],
)
def test_a_placement_may_have_boosts_that_make_sense(boost: dict[str, object], said: str) -> None:
    name = "home.popular"
    good = read_placements({name: {"boosts": [{"lift": 2, "category": ["Rain"]}]}})
    assert good[name].boosts == (Boost(lift=2, category=("Rain",)),)
    assert DEFAULT_PLACEMENTS[name].boosts == ()
    with pytest.raises(ConfigurationError, match=said):
        read_placements({name: {"boosts": [boost]}})
