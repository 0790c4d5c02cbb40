"""What a configuration says without meaning it is found: variants never shown, overlaps, schedules that are over."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personalization.homepage.choosing import Homepage, read_homepage
from personalization.homepage.fields import FIELDS, PLACE_OF, facts_from
from personalization.homepage.linting import Finding, lint, lint_configuration
from personalization.page.placements import DEFAULT_PLACEMENTS
from personalization.situation.channels import CHANNELS

GUIDE = Path(__file__).parents[4] / "docs/homepage.md"
NOW = datetime(2026, 11, 23, 19, 5, 30, tzinfo=UTC)  # a Monday


def homepage(configured: dict[str, Any]) -> Homepage:
    return read_homepage(configured, DEFAULT_PLACEMENTS)


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
    sale = configured["black-friday"]["from"].timestamp()
    assert shown(weather="rain", temperature_c=7, moment=sale) == "black-friday"
    assert shown(visitor="regular", time="17:00", moment=NOW.timestamp()) == "evening-regulars"
    assert shown(visitor="regular", time="16:59", moment=NOW.timestamp()) == "default"
    table = guide[guide.index("| field | what it may be |") :]
    for field in FIELDS[: PLACE_OF["moment"]]:
        (line,) = [line for line in table.splitlines() if re.match(rf"\| .*`{field.name}`.* \|", line)]
        assert field.name in ("month", "weekday") or all(value in line for value in field.values)
