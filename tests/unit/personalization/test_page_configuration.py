"""Placements and filters say clearly what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from personalization.page.placements import (
    DEFAULT_PLACEMENTS,
    STRATEGIES,
    Pin,
    Placement,
    check_placement,
    read_placements,
)
from personalization.page.request import Filter, PriceRange, check_limit, parse_filter
from personalization.page.strategies import BY_NAME


def test_the_standard_placements_are_those_of_the_contract() -> None:
    assert {name: placement.chain for name, placement in DEFAULT_PLACEMENTS.items()} == {
        "home.for-you": ("for_you",),
        "home.popular": ("popular",),
        "home.recently-viewed": ("recently_viewed",),
        "home.buy-again": ("buy_again",),
        "category.popular": ("popular",),
        "product.similar": ("similar",),
        "product.other-styles": ("other_styles", "similar"),
        "product.bought-together": ("bought_together", "similar"),
        "cart.cross-sell": ("basket", "bought_together", "for_you"),
        "search.no-results": ("next_item", "for_you", "popular"),
        "email.for-you": ("for_you",),
        "email.cart": ("bought_together", "similar"),
        "email.after-order": ("bought_together", "for_you"),
    }
    for name, placement in DEFAULT_PLACEMENTS.items():
        check_placement(placement)
        assert (placement.name, placement.limit) == (name, 10)
        assert placement.one_per_group is (name != "product.other-styles")
    assert DEFAULT_PLACEMENTS["email.after-order"].seeds == ("asked", "last_order", "history")


def test_every_strategy_that_may_be_named_exists() -> None:
    assert tuple(sorted(BY_NAME)) == tuple(sorted(STRATEGIES))


def test_a_configuration_changes_and_adds_placements() -> None:
    placements = read_placements(
        {
            "home.popular": {"limit": 4, "pins": [{"product_id": "a", "position": 1}]},
            "home.new": {"chain": ["trending", "popular"]},
        }
    )
    assert placements["home.popular"] == Placement(
        name="home.popular",
        purpose="What sells best",
        chain=("popular",),
        exclude_seeds=False,
        limit=4,
        pins=(Pin("a", 1),),
    )
    assert placements["home.new"] == Placement(name="home.new", chain=("trending", "popular"))
    assert placements["product.similar"] is DEFAULT_PLACEMENTS["product.similar"]
    assert len(placements) == 14


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chain": []}, "its chain is empty; there are bought_together, similar, "),
        ({"chain": ["magic", "popular"]}, "no strategy is called magic; there are bought_together, "),
        ({"chain": ["popular", "popular"]}, "its chain names a strategy twice"),
        ({"chain": list(STRATEGIES) + ["popular"] * 2}, "its chain may have 10 strategies"),
        ({"limit": 0}, "limit must be 1 to 100, got 0"),
        ({"limit": 101}, "limit must be 1 to 100, got 101"),
        ({"seeds": []}, "it needs a source of seeds: asked, cart, last_order or history"),
        ({"seeds": ["moon"]}, "Invalid enum value 'moon'"),
        ({"exclude_purchased_days": 0}, "exclude_purchased_days is 0"),
        ({"exclude_purchased_days": 3_651}, "exclude_purchased_days is 3651"),
        ({"category_max": 0}, "category_max must be 1 or more"),
        ({"brand_max": 0}, "brand_max must be 1 or more"),
        ({"pins": [{"product_id": f"p{n}", "position": n + 1} for n in range(21)]}, "it may have 20 pins"),
        ({"pins": [{"product_id": "a", "position": 0}]}, "a pin's position must be 1 to 100"),
        ({"pins": [{"product_id": "a", "position": 101}]}, "a pin's position must be 1 to 100"),
        (
            {"pins": [{"product_id": "a", "position": 1}, {"product_id": "b", "position": 1}]},
            "two pins have the same position",
        ),
        (
            {"pins": [{"product_id": "a", "position": 1}, {"product_id": "a", "position": 2}]},
            "a product is pinned twice",
        ),
        ({"exclude": ["a"] * 1_001}, "it may exclude 1000 products"),
        ({"colour": "red"}, "Object contains unknown field `colour`"),
        ({"limit": "ten"}, "Expected `int`, got `str` - at `$.limit`"),
    ],
)
def test_a_placement_that_could_not_answer_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_placements({"home.x": {"chain": ["popular"], **settings}})
    assert str(caught.value).startswith(f"placement 'home.x': {message}")


@pytest.mark.parametrize(
    "settings",
    [
        {"limit": 1},
        {"limit": 100},
        {"exclude_purchased_days": 1},
        {"exclude_purchased_days": 3_650},
        {"category_max": 1},
        {"brand_max": 1},
        {"pins": [{"product_id": f"p{n}", "position": n + 1} for n in range(20)]},
        {"pins": [{"product_id": "a", "position": 100}]},
        {"exclude": ["a"] * 1_000},
    ],
)
def test_the_edges_of_a_setting_are_allowed(settings: dict[str, Any]) -> None:
    assert "x" in read_placements({"x": {"chain": ["popular"], **settings}})


def test_a_new_placement_needs_a_name_and_a_chain() -> None:
    with pytest.raises(ConfigurationError, match=r"placement '': it needs a name"):
        read_placements({"": {"chain": ["popular"]}})
    with pytest.raises(ConfigurationError, match=r"placement 'x': Object missing required field `chain`"):
        read_placements({"x": {}})


def test_there_may_be_two_hundred_placements() -> None:
    assert len(read_placements({f"p{n}": {"chain": ["popular"]} for n in range(187)})) == 200
    with pytest.raises(ConfigurationError, match=r"^there may be 200 placements, got 201$"):
        read_placements({f"p{n}": {"chain": ["popular"]} for n in range(188)})


def test_a_filter_has_the_shape_of_the_contract() -> None:
    raw = {"category": ["kitchen"], "brand": ["x"], "price": {"min": 5, "max": 40}, "attributes": {"colour": ["red"]}}
    assert parse_filter(raw) == Filter(("kitchen",), ("x",), PriceRange(5, 40), {"colour": ("red",)})
    assert parse_filter({}) == Filter()
    assert parse_filter({"price": {"min": 5, "max": 5}}).price == PriceRange(5, 5)
    assert parse_filter({"price": {"max": "40"}}, strict=False).price == PriceRange(None, 40)
    assert parse_filter({"price": {"min": 0}}).price == PriceRange(0, None)


@pytest.mark.parametrize(
    ("raw", "message", "pointer"),
    [
        ({"colour": ["red"]}, "the filter cannot be read: Object contains unknown field `colour`", "/filter"),
        ({"price": {"max": "40"}}, "the filter cannot be read: Expected `float | null`, got `str`", "/filter"),
        ({"price": {"min": 2, "max": 1}}, "the lowest price 2.0 is above the highest 1.0", "/filter/price"),
        ({"price": {"min": -1}}, "a price bound must be a number from 0 up, got -1.0", "/filter/price"),
        ({"price": {"max": float("inf")}}, "a price bound must be a number from 0 up, got inf", "/filter/price"),
        ({"price": {"max": float("nan")}}, "a price bound must be a number from 0 up, got nan", "/filter/price"),
        ({"category": ["a"] * 101}, "/filter/category may list 100 values, got 101", "/filter/category"),
        ({"brand": [""]}, "/filter/brand has a value of 0 characters; 1 to 500 are allowed", "/filter/brand"),
        ({"brand": ["a" * 501]}, "/filter/brand has a value of 501 characters; 1 to 500", "/filter/brand"),
        ({"attributes": {"c": [""]}}, "/filter/attributes/c has a value of 0", "/filter/attributes/c"),
        (
            {"attributes": {f"a{n}": ["x"] for n in range(21)}},
            "filter.attributes may name 20 attributes, got 21",
            "/filter/attributes",
        ),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(raw: object, message: str, pointer: str) -> None:
    with pytest.raises(MalformedEvent) as caught:
        parse_filter(raw)
    assert str(caught.value).startswith(message)
    assert caught.value.pointer == pointer


def test_the_edges_of_a_filter_are_allowed() -> None:
    raw = {"category": ["a"] * 100, "brand": ["a" * 500], "attributes": {f"a{n}": ["x"] for n in range(20)}}
    assert len(parse_filter(raw).attributes) == 20


def test_a_row_has_one_to_a_hundred_products() -> None:
    assert (check_limit(1), check_limit(100)) == (1, 100)
    for limit in (0, 101):
        with pytest.raises(MalformedEvent) as caught:
            check_limit(limit)
        assert (str(caught.value), caught.value.pointer) == (f"limit must be 1 to 100, got {limit}", "/limit")
