"""The situation in a row: what is wanted more comes further up and says so; without one nothing changes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from personalization.customer.profile import Profile, Recent
from personalization.page.boosts import Boost
from personalization.page.feed import Ranking, rank
from personalization.page.placements import Pin, Placement
from personalization.page.reasons import items
from personalization.page.request import Filter, RowRequest
from tests.support.shop import PlainModels, PlainShelf, product

IDS = ["hat", "cup", "coat", "boot", "mac"]
SHELF = PlainShelf(
    [
        product(
            each,
            availability="out_of_stock" if each == "mac" else "in_stock",
            attributes={"colour": "red" if each == "cup" else "blue"},
        )
        for each in IDS
    ]
)
RAIN = Context(weather=Weather("rain"))
LEARNED = {("weather", "rain"): {"coat": 3.0, "boot": 2.4, "mac": 3.0, "hat": 0.4}, ("device", "mobile"): {"boot": 1.1}}


def ranked(context: Context | None, learned: Any = LEARNED, chain: str = "popular", **asked: Any) -> Ranking:
    placement = Placement(name="x", chain=(chain,), **asked.pop("placed", {}))
    profile = asked.pop("profile", None)
    models = PlainModels(SHELF, popular=IDS, affinity=learned)
    return rank(RowRequest(context=context, **asked), placement, profile, SHELF, models)


def shown(ranking: Ranking) -> list[str]:
    return [SHELF.product_id(pick.product_index) for pick in ranking.picks]


def reasons(ranking: Ranking) -> dict[str, str]:
    return {item.product_id: item.reason.text for item in items(ranking.picks, None, SHELF)}


def test_rain_brings_up_what_is_wanted_in_rain_and_no_sold_out_product_back() -> None:
    assert shown(ranked(None)) == ["hat", "cup", "coat", "boot"]
    assert shown(ranked(RAIN)) == ["coat", "boot", "cup", "hat"]
    assert shown(ranked(RAIN, filter=Filter(brand=("none",)))) == []


def test_the_reason_says_what_speaks_for_a_product_where_it_is_worth_saying() -> None:
    said = reasons(ranked(Context(weather=Weather("rain"), device="mobile")))
    assert said["coat"] == "Popular in the shop, wanted 3.0 times as much as usual in rain"
    assert said["boot"].endswith("wanted 2.4 times as much as usual in rain"), "the strongest part"
    assert said["cup"] == said["hat"] == "Popular in the shop"
    assert reasons(ranked(Context(device="mobile")))["boot"] == "Popular in the shop", "a tenth more is not worth it"


def test_an_explanation_counts_what_each_part_is_for() -> None:
    (step,) = ranked(RAIN, explain=True, limit=4).steps
    assert step.boosted == {"learned: in rain": 3}


@given(
    st.sampled_from([None, Context(), Context(weather=Weather("snow")), Context(place=Place("GB", "Leeds"))]),
    st.sampled_from([{}, {("weather", "fog"): {"cup": 9.0}}, {("source", "google"): {"cup": 9.0}}]),
)
def test_nothing_changes_without_a_situation_or_where_nothing_was_learned_of_it(
    context: Context | None, learned: Any
) -> None:
    assert ranked(context, learned) == ranked(None, LEARNED)


def test_pins_stay_and_so_does_the_order_of_what_somebody_looked_at() -> None:
    pinned = ranked(RAIN, placed={"pins": (Pin("cup", 1),)})
    assert shown(pinned)[0] == "cup"
    seen = Profile(recents={"coat": Recent(10, 1), "cup": Recent(10, 2)})
    looked_at = ranked(RAIN, chain="recently_viewed", profile=seen)
    assert shown(looked_at)[:2] == ["cup", "coat"]
    assert looked_at.picks[1].favour == ""


def test_a_merchandisers_boosts_count_as_well() -> None:
    source = Context(traffic_source=TrafficSource("Google", "CPC"))
    learned = {("source", "google / cpc"): {"cup": 1.5}}
    red = {"boosts": (Boost(attribute="colour", values=("red",), lift=1.5),)}
    assert shown(ranked(source, learned))[0] == shown(ranked(None, learned, placed=red))[0] == "hat"
    assert shown(ranked(source, learned, placed=red))[0] == "cup", "1.5 times 1.5 of a half is more than one"
