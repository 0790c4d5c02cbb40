"""Of the variants that fit one is chosen; what cannot be shown is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.errors import ConfigurationError
from personalization.customer.profile import Profile
from personalization.customer.touches import NO_TOUCHES, evolve_touches
from personalization.homepage.choosing import Homepage, read_homepage
from personalization.homepage.fields import FIELDS, PLACE_OF, facts_from, facts_of
from personalization.homepage.variants import STANDARD, Variant, content_in
from personalization.page.placements import DEFAULT_PLACEMENTS
from personalization.situation.resolve import Seen, resolve

NOW = datetime(2026, 11, 23, 19, 5, 30, tzinfo=UTC)  # a Monday


def homepage(configured: dict[str, Any]) -> Homepage:
    return read_homepage(configured, DEFAULT_PLACEMENTS)


def test_of_those_that_fit_the_highest_priority_is_shown_then_the_first_name() -> None:
    page = homepage(
        {
            "b": {"when": {"weather": "rain"}, "priority": 5},
            "a": {"when": {"device": "mobile"}, "priority": 5},
            "z": {"when": {"season": "winter"}, "priority": 9},
            "default": {"content": {"hero": "everyday.jpg"}},
        }
    )
    facts = facts_from({"weather": "rain", "device": "mobile", "season": "winter"})
    choice = page.choose(facts)
    assert (choice.variant.name, choice.policy, choice.rule) == ("z", "rule", "season is winter")
    assert [variant.name for variant in page.eligible(facts)] == ["z", "a", "b", "default"]
    nothing = page.choose(facts_from({}))
    assert (nothing.variant.content, nothing.policy) == ({"hero": "everyday.jpg"}, "default")


def test_a_homepage_without_variants_is_the_standard_one() -> None:
    page = homepage({})
    assert page.choose(facts_from({})).variant == STANDARD
    assert {row.placement for row in STANDARD.rows} <= set(DEFAULT_PLACEMENTS)


def test_a_schedule_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    page = homepage({"sale": {"from": "2026-11-27T00:00:00+01:00", "until": "2026-11-30T00:00:00+01:00"}})

    def shown(moment: str) -> str:
        return page.choose(facts_from({"moment": datetime.fromisoformat(moment).timestamp()})).variant.name

    assert shown("2026-11-26T22:59:59+00:00") == "default"
    assert shown("2026-11-26T23:00:00+00:00") == "sale"
    assert shown("2026-11-29T22:59:59.999+00:00") == "sale"
    assert shown("2026-11-29T23:00:00+00:00") == "default"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("rain", "must be a table"),
        ({"wehn": {}}, "unknown field `wehn`"),
        ({"priority": 10**7}, "priority must be"),
        ({"from": "2026-11-27T00:00:00"}, "need an offset"),
        ({"from": "2026-11-27T00:00:00Z", "until": "2026-11-27T00:00:00Z"}, "until must be after from"),
        ({"rows": [{"placement": "home.nowhere"}]}, "rows[0]: no placement is called 'home.nowhere'"),
        ({"rows": [{"placement": "home.popular", "limit": 0}]}, "limit must be 1 to 100"),
        ({"rows": [{"placement": "home.popular"}] * 21}, "it may have 20 rows"),
        ({"rows": [{"placement": "home.popular", "boosts": [{"lift": 0, "category": ["a"]}]}]}, "lift must be"),
        ({"rows": [{"placement": "home.popular", "boosts": [{"lift": 2}]}]}, "for a category or for an attribute"),
        (
            {"rows": [{"placement": "home.popular", "boosts": [{"lift": 2, "attribute": "a", "category": ["b"]}]}]},
            "for a category or for an attribute",
        ),
        (
            {"rows": [{"placement": "home.popular", "boosts": [{"lift": 2, "attribute": "a"}]}]},
            "an attribute goes with its values",
        ),
        ({"content": {"text": "x" * 64_000}}, "64000 bytes"),
    ],
)
def test_a_variant_that_cannot_be_shown_is_refused(settings: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        homepage({"x": settings})
    assert complaint in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        homepage(
            {"a": {"when": {"wether": 1, "device": "phone"}, "priority": 10**7}, "default": {"when": {"os": "ios"}}}
        )
    assert len(str(caught.value).splitlines()) == 4
    with pytest.raises(ConfigurationError, match="1000 variants"):
        homepage({f"v{n}": {} for n in range(1_001)})
    with pytest.raises(ConfigurationError, match="a name has"):
        homepage({"x" * 101: {}})


def test_content_is_translated_as_far_as_it_is_said() -> None:
    variant = Variant(
        name="x",
        content={"headline": "Rain?", "hero": {"image": "rain.jpg", "alt": "Rain"}},
        translations={"de": {"headline": "Regen?", "hero": {"alt": "Regen"}}, "de-CH": {"headline": "Räge?"}},
    )
    assert content_in(variant, ("de-AT", "en")) == {"headline": "Regen?", "hero": {"image": "rain.jpg", "alt": "Regen"}}
    assert content_in(variant, ("DE-ch",))["headline"] == "Räge?"
    assert content_in(variant, ("fr", "de"))["headline"] == "Regen?"
    assert content_in(variant, ("fr",)) == content_in(variant) == variant.content


def test_the_facts_of_a_situation_are_its_values() -> None:
    stated = Context(
        device="mobile",
        traffic_source=TrafficSource("Google", "cpc", "Spring"),
        weather=Weather("rain", 7.5),
        place=Place("GB", "Leeds"),
        local_time=datetime.fromisoformat("2026-11-23T19:05:30+00:00"),
    )
    touches = evolve_touches(NO_TOUCHES, TrafficSource("news", "email"), 1)
    seen = Seen(now=NOW, stated=stated, profile=Profile(orders=2, sessions=4), touches=touches, segment="can't lose")
    expected = {
        "device": "mobile",
        "channel": "paid search",
        "first_channel": "email",
        "source": "google",
        "medium": "cpc",
        "campaign": "spring",
        "country": "gb",
        "city": "leeds",
        "weather": "rain",
        "temperature_c": 7.5,
        "comfort": "cold",
        "season": "autumn",
        "date": NOW.date().toordinal(),
        "month": "november",
        "weekday": "monday",
        "time": 19 * 60 + 5,
        "visitor": "regular",
        "visits": 5,
        "orders": 2,
        "session_depth": 0,
        "engagement": 0.0,
        "cart_value": 0.0,
        "segment": "can't lose",
        "moment": NOW.timestamp(),
    }
    facts = facts_of(resolve(seen), NOW)
    assert {field.name: facts[PLACE_OF[field.name]] for field in FIELDS} == {
        field.name: expected.get(field.name) for field in FIELDS
    }


@pytest.mark.parametrize(
    "values",
    [
        {"device": "phone", "os": 7, "city": "x" * 201, "source": " ", "medium": "unknown"},
        {"temperature_c": float("nan"), "orders": 1.5, "visits": -1, "cart_value": "12", "session_depth": True},
        {"temperature_c": 10**400, "date": "soon", "time": "24:00", "moment": -1.0, "weather": None},
        {"date": [], "time": {}, "month": "brumaire"},
    ],
)
def test_impossible_facts_are_unknown(values: dict[str, object]) -> None:
    assert facts_from(values) == facts_from({})
