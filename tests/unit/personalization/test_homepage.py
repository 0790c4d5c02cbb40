"""Conditions are read, variants chosen and linted, on literal examples."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.errors import ConfigurationError
from personalization.customer.profile import Profile
from personalization.customer.touches import NO_TOUCHES, evolve_touches
from personalization.homepage.choosing import Homepage, read_homepage, why_not
from personalization.homepage.conditions import holds, in_words
from personalization.homepage.fields import FIELDS, PLACE_OF, facts_from, facts_of
from personalization.homepage.language import read_condition
from personalization.homepage.linting import Finding, lint, lint_configuration
from personalization.homepage.variants import STANDARD, Variant, content_in
from personalization.page.placements import DEFAULT_PLACEMENTS
from personalization.situation.channels import CHANNELS
from personalization.situation.resolve import Seen, resolve

GUIDE = Path(__file__).parents[3] / "docs/homepage.md"
NOW = datetime(2026, 11, 23, 19, 5, 30, tzinfo=UTC)  # a Monday


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


def test_all_conditions_together_have_a_bound() -> None:
    cities = [{"city": f"c{n}", "source": f"s{n}"} for n in range(200)]
    assert homepage({f"v{n}": {"when": {"any": cities}} for n in range(25)}).rules
    with pytest.raises(ConfigurationError, match="5000 cases"):
        homepage({f"v{n}": {"when": {"any": cities}} for n in range(26)})


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


def found(configured: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    report = lint_configuration(configured, DEFAULT_PLACEMENTS, NOW)
    assert report.undecided == ()
    return [(finding.kind, finding.variant, finding.others) for finding in report.findings]


def test_a_variant_that_others_take_all_of_is_unreachable() -> None:
    before = {"wet": {"priority": 2, "when": {"weather": ["rain", "storm"], "temperature_c": {"below": 15}}}}
    warm = {"warm": {"priority": 2, "when": {"weather": "rain", "temperature_c": [{"from": 10}, "unknown"]}}}
    inside = {"inside": {"when": {"weather": "rain", "device": "mobile"}}}
    assert ("unreachable", "inside", ("warm", "wet")) in found({**before, **warm, **inside})
    assert [kind for kind, name, _ in found({**before, **inside}) if name == "inside"] == []


def test_a_condition_that_contradicts_itself_is_unreachable() -> None:
    assert found({"x": {"when": {"weather": "rain", "not": {"weather": ["rain", "snow"]}}}}) == [
        ("unreachable", "x", ())
    ]


def test_a_default_that_is_never_shown_is_found() -> None:
    halves = {"a": {"when": {"device": "tv"}}, "b": {"priority": 1, "when": {"not": {"device": "tv"}}}}
    assert found({**halves, "default": {}}) == [("unreachable", "default", ("b", "a"))]
    assert found(halves) == []


def test_an_overlap_at_one_priority_is_told_with_an_example() -> None:
    configured = {"cold": {"when": {"comfort": "cold"}}, "rainy": {"when": {"weather": "rain"}}}
    (finding,) = lint_configuration(configured, DEFAULT_PLACEMENTS).findings
    assert (finding.kind, finding.variant, finding.others) == ("overlap", "rainy", ("cold",))
    assert "weather rain, temperature_c 5, comfort cold" in finding.words
    configured["rainy"]["priority"] = 1  # type: ignore[assignment]
    assert found(configured) == []


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        ({"weekday": ["saturday", "sunday"]}, {"date": {"from": "2026-12-21", "to": "2026-12-24"}}, False),
        ({"weekday": "thursday"}, {"date": {"from": "2026-12-21", "to": "2026-12-24"}}, True),
        ({"month": "december"}, {"date": {"from": "2026-11-01", "to": "2026-11-30"}}, False),
        ({"month": "december"}, {"season": "spring"}, False),
        ({"month": "december"}, {"season": "summer"}, True),
        ({"visitor": "new"}, {"orders": {"from": 1}}, False),
        ({"visitor": "regular"}, {"orders": 1}, False),
        ({"visitor": "returning"}, {"orders": 1}, True),
        ({"visitor": "unknown"}, {"segment": "Can't Lose"}, False),
        ({"session_depth": {"from": 1}}, {"visits": "unknown"}, False),
        ({"temperature_c": "unknown"}, {"above_normal_c": {"above": 5}}, False),
        ({"country": "AU", "month": "december"}, {"season": "winter"}, False),
        ({"country": "AU", "month": "december"}, {"season": "summer"}, True),
        ({"country": "SG"}, {"season": ["spring", "summer", "autumn", "winter"]}, False),
        ({"comfort": "hot"}, {"temperature_c": {"below": 28}}, False),
        ({"channel": "email"}, {"source": "google", "medium": "cpc"}, False),
        ({"channel": "email"}, {"campaign": "spring"}, True),
        ({"channel": "direct"}, {"source": "news"}, False),
        *(({"channel": channel}, {"device": "mobile"}, True) for channel in CHANNELS),
        ({"time": {"from": "12:00"}}, {"date": "unknown"}, False),
        ({"first_channel": "email"}, {"channel": "sms"}, True),
        ({"not": {"city": "leeds"}, "device": "tv"}, {"city": "york", "device": ["tv", "mobile"]}, True),
        ({"not": {"city": "leeds"}}, {"city": "leeds"}, False),
        ({"city": "york"}, {"not": {"city": "leeds"}}, True),
        ({"weather": "rain"}, {"weather": ["rain", "snow"]}, True),
    ],
)
def test_an_overlap_needs_a_situation_that_can_be(one: object, other: object, overlaps: bool) -> None:
    kinds = [kind for kind, _, _ in found({"a": {"when": one}, "b": {"when": other}})]
    assert kinds == (["overlap"] if overlaps else [])


def test_schedules_that_do_not_meet_do_not_overlap_and_one_that_is_over_is_found() -> None:
    past = {"when": {"weather": "rain"}, "until": "2026-11-23T00:00:00Z"}
    assert found({"a": past, "b": {"from": "2026-11-23T00:00:00Z", "until": "2027-11-23T00:00:00Z"}}) == [
        ("over", "a", ())
    ]
    ends_now = {"a": {"until": NOW.isoformat()}}
    assert [finding.kind for finding in lint(homepage(ends_now), NOW).findings] == ["over"]
    assert lint(homepage(ends_now), NOW - timedelta(microseconds=1)).findings == ()
    weekend = {"when": {"weekday": "sunday"}}
    monday = {"from": "2026-12-07T11:00:00Z", "until": "2026-12-07T13:00:00Z"}  # Sunday in no place on Earth
    assert found({"a": weekend, "b": monday}) == []


def test_what_cannot_be_read_does_not_keep_the_rest_from_being_linted() -> None:
    configured = {"a": {"when": {"x": 1}}, "b": {"when": {"os": "ios"}}, "c": {"when": {"os": "ios"}}}
    assert found(configured) == [("invalid", "a", ()), ("unreachable", "c", ("b",))]


def test_more_overlaps_than_anybody_reads_are_cut_off_and_said_so() -> None:
    names = [field.name for field in FIELDS if field.kind != "moment"][:16]
    report = lint(homepage({f"v{n:02}": {"when": {name: "unknown"}} for n, name in enumerate(names)}))
    assert len(report.findings) == 100
    assert all(isinstance(each, Finding) and each.kind == "overlap" for each in report.findings)
    assert "more than 100 pairs" in report.undecided[0]


def test_the_guides_example_is_read_without_a_finding_and_its_table_has_every_field() -> None:
    guide = GUIDE.read_text()
    (written,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    configured = tomllib.loads(written)["homepage"]["variants"]
    assert lint_configuration(configured, DEFAULT_PLACEMENTS, NOW) == ((), ())
    page = homepage(configured)

    def shown(**facts: object) -> str:
        return page.choose(facts_from(facts)).variant.name

    assert shown(weather="rain", temperature_c=7, moment=NOW.timestamp()) == "rainy-day"
    assert shown(weather="rain", temperature_c=7, moment=NOW.timestamp() + 4 * 86_400) == "black-friday"
    assert shown(visitor="regular", time="17:00", moment=NOW.timestamp()) == "evening-regulars"
    assert shown(visitor="regular", time="16:59", moment=NOW.timestamp()) == "default"
    for field in FIELDS[: PLACE_OF["moment"]]:
        (line,) = [line for line in guide.splitlines() if re.match(rf"\| .*`{field.name}`.* \|", line)]
        assert field.name in ("month", "weekday") or all(value in line for value in field.values)


def test_dates_and_times_may_be_toml_s_own() -> None:
    when = tomllib.loads("date = { from = 2026-12-01, to = 2026-12-24 }\ntime = { from = 17:30:00 }")
    assert fits(when, date="2026-12-24", time="17:30")
    assert not fits(when, date="2026-12-25", time="17:30")
    assert (
        homepage({"x": {"when": when}}).rules[0].words
        == "date is from 2026-12-01 to 2026-12-24 and time is from 17:30:00"
    )
