"""Conditions are read, hold or not, and are told in words, on literal examples."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from ingest.vocabulary.errors import ConfigurationError
from personalization.homepage.choosing import Homepage, read_homepage, why_not
from personalization.homepage.conditions import holds, in_words
from personalization.homepage.fields import FIELDS, facts_from
from personalization.homepage.language import read_condition
from personalization.page.placements import DEFAULT_PLACEMENTS


def homepage(configured: dict[str, Any]) -> Homepage:
    return read_homepage(configured, DEFAULT_PLACEMENTS)


def fits(when: object, **facts: object) -> bool:
    problems: list[str] = []
    condition = read_condition(when, "when", problems)
    assert problems == []
    return holds(condition, facts_from(facts))


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ({}, {}, True),
        ({"weather": "rain"}, {"weather": "rain"}, True),
        ({"weather": "Rain "}, {"weather": "RAIN"}, True),
        ({"weather": ["rain", "snow"]}, {"weather": "snow"}, True),
        ({"weather": "rain"}, {}, False),
        ({"not": {"weather": "rain"}}, {}, True),
        ({"weather": "unknown"}, {}, True),
        ({"weather": ["unknown", "rain"]}, {"weather": "sunny"}, False),
        ({"weather": "rain", "device": "mobile"}, {"weather": "rain", "device": "tv"}, False),
        ({"any": [{"weather": "rain"}, {"device": "tv"}]}, {"device": "tv"}, True),
        ({"all": [{"weather": "rain"}, {"device": "tv"}]}, {"device": "tv"}, False),
        ({"not": {"weather": "rain", "device": "tv"}}, {"device": "tv"}, True),
        ({"temperature_c": {"below": 15}}, {"temperature_c": 15}, False),
        ({"temperature_c": {"to": 15}}, {"temperature_c": 15}, True),
        ({"temperature_c": {"above": 15}}, {"temperature_c": 15}, False),
        ({"temperature_c": {"from": 15}}, {"temperature_c": 15}, True),
        ({"temperature_c": {"above": 15}}, {"temperature_c": 15.001}, True),
        ({"temperature_c": {"from": 15}}, {}, False),
        ({"temperature_c": [{"below": 0}, {"from": 28}, "unknown"]}, {"temperature_c": 30}, True),
        ({"temperature_c": [{"below": 0}, {"from": 28}, "unknown"]}, {}, True),
        ({"temperature_c": [{"below": 0}, {"from": 28}, "unknown"]}, {"temperature_c": 20}, False),
        ({"orders": 0}, {"orders": 0}, True),
        ({"orders": [1, 2]}, {"orders": 3}, False),
        ({"orders": {"above": 1}}, {"orders": 2}, True),
        ({"cart_value": {"from": 20, "below": 50}}, {"cart_value": 50}, False),
        ({"time": {"from": "17:00", "to": "22:00"}}, {"time": "22:00"}, True),
        ({"time": {"from": "17:00", "to": "22:00"}}, {"time": "22:01"}, False),
        ({"time": {"from": "22:00", "to": "06:00"}}, {"time": "23:30"}, True),
        ({"time": {"from": "22:00", "to": "06:00"}}, {"time": "05:00"}, True),
        ({"time": {"from": "22:00", "below": "06:00"}}, {"time": "06:00"}, False),
        ({"not": {"time": {"from": "22:00", "to": "06:00"}}}, {"time": "12:00"}, True),
        ({"date": {"from": "2026-12-01", "to": "2026-12-24"}}, {"date": "2026-12-24"}, True),
        ({"date": {"from": "2026-12-01", "to": "2026-12-24"}}, {"date": "2026-12-25"}, False),
        ({"date": "2026-12-24"}, {"date": "2026-12-24"}, True),
        ({"channel": ["email", "Paid Search"]}, {"channel": "Email"}, True),
        ({"campaign": "Spring"}, {"campaign": "spring"}, True),
        ({"country": "GB"}, {"country": "gb"}, True),
        ({"not": {"city": ["leeds", "york"]}}, {"city": "Bath"}, True),
        ({"not": {"city": ["leeds", "york"]}}, {"city": "Leeds"}, False),
    ],
)
def test_a_condition_says_what_it_says(when: object, facts: dict[str, object], expected: bool) -> None:
    assert fits(when, **facts) is expected
    chosen = homepage({"x": {"when": when}}).choose(facts_from(facts)).policy
    assert chosen == ("rule" if expected else "default")


@pytest.mark.parametrize(
    ("when", "complaint"),
    [
        ("rain", "`$.when`"),
        ({"wether": "rain"}, "did you mean 'weather'"),
        ({"moment": {"from": 1}}, "is no field"),
        ({"weather": "drizzle"}, "there are sunny"),
        ({"device": "moble"}, "did you mean 'mobile'"),
        ({"weather": []}, "1 to 200 alternatives"),
        ({"city": ["x"] * 201}, "1 to 200 alternatives"),
        ({"city": ""}, "must be a word"),
        ({"city": 7}, "must be a word"),
        ({"country": "Germany"}, "two letters"),
        ({"temperature_c": "warm"}, "a number from -90 to 60"),
        ({"temperature_c": {}}, "no bound"),
        ({"temperature_c": {"under": 3}}, "under; a range has from, to, above, below"),
        ({"temperature_c": {"below": 200}}, "cannot be 200"),
        ({"temperature_c": {"from": 5, "to": 4}}, "nothing in it"),
        ({"temperature_c": {"above": 5, "below": 5}}, "nothing in it"),
        ({"orders": {"above": 1, "below": 2}}, "nothing in it"),
        ({"orders": 1.5}, "whole number"),
        ({"orders": -1}, "whole number"),
        ({"orders": True}, "whole number"),
        ({"time": "25:00"}, "as in 17:30"),
        ({"date": "24.12.2026"}, "as in 2026-12-24"),
        ({"any": []}, "list of tables"),
        ({"any": {"weather": "rain"}}, "list of tables"),
        ({"not": "rain"}, "when.not must be a table"),
        ({"any": [{"weather": "rain"}, {"x": 1}]}, "when.any[1] asks for 'x'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_there_is(when: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        homepage({"x": {"when": when}})
    assert "variant 'x': " in str(caught.value)
    assert complaint in str(caught.value)


def test_conditions_have_bounds_on_depth_and_cases() -> None:
    deep: dict[str, Any] = {"weather": "rain"}
    for _ in range(11):
        deep = {"not": deep}
    with pytest.raises(ConfigurationError, match="nested deeper than 10"):
        homepage({"x": {"when": deep}})
    either = {"any": [{"device": "tv", "weather": "rain"}, {"os": "ios", "season": "winter"}]}
    wide = [
        {"any": [{a: "unknown", b: "unknown"}, {c: "unknown", d: "unknown"}]}
        for a, b, c, d in zip(*[iter([field.name for field in FIELDS if field.kind != "moment"])] * 4, strict=False)
    ]
    assert homepage({"x": {"when": {"all": [either, *wide[:3]]}}}).rules[0].boxes
    many = {"all": [{"any": [{"city": f"a{n}", "source": f"b{m}"} for n in range(20)]} for m in range(2)]}
    crossed = {"any": [{"city": f"a{n}", "source": f"b{n}"} for n in range(17)]}
    other = {"any": [{"medium": f"a{n}", "campaign": f"b{n}"} for n in range(17)]}
    assert homepage({"x": {"when": many}}).rules[0].boxes == ()  # no source is two sources
    with pytest.raises(ConfigurationError, match="more than 256 cases"):
        homepage({"x": {"when": {"all": [crossed, other]}}})


def test_all_conditions_together_have_a_bound() -> None:
    cities = [{"city": f"c{n}", "source": f"s{n}"} for n in range(200)]
    assert homepage({f"v{n}": {"when": {"any": cities}} for n in range(25)}).rules
    with pytest.raises(ConfigurationError, match="5000 cases"):
        homepage({f"v{n}": {"when": {"any": cities}} for n in range(26)})


def test_a_condition_is_told_in_words_and_so_is_what_keeps_it_from_fitting() -> None:
    when = {"weather": ["rain", "storm"], "time": {"from": "17:00"}, "any": [{"device": "tv"}, {"not": {"os": "ios"}}]}
    page = homepage({"x": {"when": when}})
    assert page.rules[0].words == (
        "weather is rain or storm and time is from 17:00 and (device is tv or not (os is ios))"
    )
    assert why_not(page.rules[0], facts_from({"weather": "sunny", "time": "09:30", "os": "ios"})) == (
        "weather is rain or storm: it is sunny",
        "time is from 17:00: it is 09:30",
        "device is tv or not (os is ios): it is not so",
    )
    assert why_not(page.rules[0], facts_from({"weather": "rain", "time": "18:00"})) == ()
    assert in_words(read_condition({}, "when", [])) == "always"


def test_dates_and_times_may_be_toml_s_own() -> None:
    when = tomllib.loads("date = { from = 2026-12-01, to = 2026-12-24 }\ntime = { from = 17:30:00 }")
    assert fits(when, date="2026-12-24", time="17:30")
    assert not fits(when, date="2026-12-25", time="17:30")
    assert (
        homepage({"x": {"when": when}}).rules[0].words
        == "date is from 2026-12-01 to 2026-12-24 and time is from 17:30:00"
    )
