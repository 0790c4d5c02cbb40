"""Named days: which it is, which comes next, when the shop's own are, and how sure a situation is of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.context import Context, Place
from ingest.vocabulary.errors import ConfigurationError
from personalization.homepage.fields import PLACE_OF, facts_of
from personalization.situation.days.ahead import AHEAD_DAYS_MAX, Ahead, Period, ahead_of
from personalization.situation.days.occasions import Occasion, easter_sunday, periods_of, read_occasions
from personalization.situation.parts import Part
from personalization.situation.resolve import Seen, Situation, resolve

NOON = datetime(2026, 12, 24, 12, tzinfo=UTC)
CHRISTMAS = datetime(2026, 12, 25, 9, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")


def day_in(text: str, *written: Mapping[str, Any], country: str | None = None) -> Ahead | None:
    """A day among some that were written."""
    day = date.fromisoformat(text)
    return ahead_of(day, periods_of(read_occasions(written), country, day))


def test_a_day_is_one_of_the_named_or_so_many_days_before_the_next() -> None:
    feast = {"name": "Our Birthday", "on": "06-15"}
    assert day_in("2026-06-15", feast) == Ahead("our birthday", "our birthday", 0)
    assert day_in("2026-06-14", feast) == Ahead("none", "our birthday", 1)
    assert day_in("2026-06-16", feast) == Ahead("none", "our birthday", 364)


def test_within_a_season_the_shorter_of_two_counts_and_a_day_of_it_most() -> None:
    season = {"name": "Gifts", "from": "11-20", "to": "12-24"}
    friday = {"name": "Black Friday", "weekday": "thursday", "nth": 4, "month": "november", "after": 1}
    assert day_in("2026-11-26", season, friday) == Ahead("gifts", "gifts", 0)
    assert day_in("2026-11-27", season, friday) == Ahead("black friday", "black friday", 0)
    assert day_in("2026-11-10", season, friday) == Ahead("none", "gifts", 10)


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ({"on": date(2026, 3, 1)}, ["2026-03-01"]),
        ({"on": ["02-14", "2026-05-05", "2025-05-05"]}, ["2026-02-14", "2026-05-05"]),
        ({"on": "02-29"}, ["2026-02-28"]),
        ({"easter": -21}, ["2026-03-15"]),  # Mothering Sunday
        ({"weekday": "sunday", "nth": 2, "month": "may"}, ["2026-05-10"]),  # Mother's Day
        ({"weekday": "monday", "nth": -1, "month": "may"}, ["2026-05-25"]),
        ({"weekday": "saturday", "nth": 5, "month": "february"}, []),
        ({"weekday": "thursday", "nth": 4, "month": "november", "after": 4}, ["2026-11-30"]),  # Cyber Monday
        ({"from": "12-27", "to": "01-02"}, ["2026-12-27", "2027-01-02"]),
        ({"from": date(2026, 7, 1), "to": date(2026, 7, 14)}, ["2026-07-01", "2026-07-14"]),
        ({"on": "12-24", "lead_days": 3}, ["2026-12-21", "2026-12-24"]),
    ],
)
def test_a_day_is_written_by_its_date_by_easter_or_by_its_weekday(written: dict[str, Any], days: list[str]) -> None:
    (occasion,) = read_occasions([{"name": "x", **written}])
    periods = list(occasion.periods(2026))
    ends = [end for period in periods for end in dict.fromkeys((period.first, period.last))]
    assert [end.isoformat() for end in ends] == days


@pytest.mark.parametrize(
    ("year", "easter"),
    [(1961, "04-02"), (2000, "04-23"), (2008, "03-23"), (2024, "03-31"), (2026, "04-05"), (2038, "04-25")],
)
def test_easter_is_on_the_sundays_that_almanacs_name(year: int, easter: str) -> None:
    assert easter_sunday(year).isoformat() == f"{year}-{easter}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"name": "x"}, "it needs one of"),
        ({"name": "x", "on": "12-24", "easter": 0}, "it needs one of"),
        ({"name": "x", "on": "13-01"}, "'13-01' is no day"),
        ({"name": "x", "on": "2026-02-30"}, "'2026-02-30' is no day"),
        ({"name": "x", "on": "yesterday"}, "'yesterday' is no day"),
        ({"name": "x", "from": "12-24"}, "from and to go together"),
        ({"name": "x", "from": "12-24", "to": "2026-12-31"}, "both dates or both days of every year"),
        ({"name": "x", "from": "2026-12-24", "to": "2026-12-01"}, "it ends after it begins"),
        ({"name": "x", "weekday": "monday", "nth": 1}, "go together"),
        ({"name": "x", "weekday": "monday", "nth": 0, "month": "may"}, "nth is 1 to 5"),
        ({"name": "none", "on": "12-24"}, "no name for a day"),
        ({"name": " ", "on": "12-24"}, "no name for a day"),
        ({"name": "x", "on": 1224}, "holidays: "),
        ({"name": "x", "on": "12-24", "lead_days": -1}, "holidays: "),
        ({"name": "x", "on": "12-24", "countries": ["Britain"]}, "holidays: "),
        ({"on": "12-24"}, "missing required field `name`"),
    ],
)
def test_what_is_no_day_is_refused_with_a_reason(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_occasions([written])
    assert said in refused.value.message


def test_more_days_than_a_year_can_hold_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        read_occasions([{"name": "x", "on": "12-24"}] * 201)


def test_a_day_of_some_countries_is_none_of_the_others() -> None:
    mothers = {"name": "Mother's Day", "easter": -21, "countries": ["GB", "IE"]}
    assert day_in("2026-03-15", mothers, country="GB") == Ahead("mother's day", "mother's day", 0)
    assert day_in("2026-03-15", mothers, country="DE") is None
    assert day_in("2026-03-15", mothers) is None


names = st.sampled_from(["a", "b", "c"])
days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
periods = st.builds(
    lambda first, length, name: Period(first, date.fromordinal(first.toordinal() + length), name),
    days,
    st.integers(0, 60),
    names,
)


@given(days, st.lists(periods, max_size=6), st.randoms(use_true_random=False))
def test_a_day_among_periods_is_told_truly_whatever_their_order(day: date, held: list[Period], order: Any) -> None:
    told = ahead_of(day, held)
    shuffled = list(held)
    order.shuffle(shuffled)
    assert ahead_of(day, shuffled) == told
    within = {period.name for period in held if period.first <= day <= period.last}
    waits = {(period.first - day).days for period in held if 0 < (period.first - day).days <= AHEAD_DAYS_MAX}
    if within:
        assert told is not None
        assert (told.today, told.days) == (told.coming, 0)
        assert told.today in within
    elif waits:
        assert told is not None
        assert (told.today, told.days) == ("none", min(waits))
    else:
        assert told is None


anything = st.none() | st.booleans() | st.integers(-400, 400) | st.text(max_size=12) | st.dates()
written_days = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=5) | st.just("Easter"),
        "on": anything
        | st.lists(anything, max_size=3)
        | st.sampled_from(["12-24", "02-29", "9999-12-31", "0001-01-01"]),
        "from": anything | st.sampled_from(["12-24", "2026-01-01"]),
        "to": anything | st.sampled_from(["01-06", "2026-01-06"]),
        "easter": anything,
        "weekday": st.sampled_from(["monday", "Sunday", 1]),
        "nth": anything | st.integers(-1, 5),
        "month": st.sampled_from(["february", "may", 5]),
        "after": anything,
        "lead_days": anything,
        "countries": st.lists(st.sampled_from(["GB", "gb", "XX", ""]), max_size=2),
    },
)


@given(written_days, st.dates(), st.none() | st.sampled_from(["GB", "DE", ""]))
def test_whatever_is_written_is_a_day_or_refused(written: dict[str, Any], day: date, country: str | None) -> None:
    try:
        occasions = read_occasions([written])
    except ConfigurationError:
        return
    told = ahead_of(day, periods_of(occasions, country, day))
    assert told is None or 0 <= told.days <= AHEAD_DAYS_MAX


class Almanac:
    """Christmas in one country and region, Eid the day after wherever it is asked for; and the shop's gift season."""

    def holiday(self, country: str, region: str | None, day: date) -> Ahead | None:
        """As a `Calendar`."""
        name = f"christmas in {country}-{region}"
        if (day.month, day.day) == (12, 25):
            return Ahead(name, name, 0)
        return Ahead("none", "eid", 1, sure=False)

    def occasion(self, country: str | None, day: date) -> Ahead | None:
        """As a `Calendar`."""
        return ahead_of(day, periods_of((Occasion(name="Gifts", begins="12-01", ends="12-24"),), country, day))


def situation(**seen: Any) -> Situation:
    return resolve(Seen(**{"now": NOON, "calendar": Almanac(), **seen}))


FOUND = Part(Place("GB", "Leeds"), "header", 0.85, "CF-IPCountry")


def test_a_situation_knows_the_holidays_of_its_place_and_how_sure_it_is() -> None:
    told = situation(found=FOUND, region="ENG", zone=LONDON, stated=Context(local_time=CHRISTMAS))
    assert told.holiday == Part("christmas in GB-ENG", "derived", 0.85, "public holidays of GB-ENG")
    assert told.days_to_holiday.value == 0
    assert told.occasion.value == "none"
    assert (told.next_occasion.value, told.days_to_occasion.value) == ("gifts", 341)
    facts = facts_of(told, NOON)
    assert (facts[PLACE_OF["holiday"]], facts[PLACE_OF["days_to_holiday"]]) == ("christmas in gb-eng", 0)


def test_an_estimated_feast_is_less_sure_than_that_today_is_none() -> None:
    told = situation(found=FOUND, zone=LONDON)
    assert (told.holiday.value, told.holiday.confidence) == ("none", 0.85)
    assert (told.next_holiday.value, told.next_holiday.confidence) == ("eid", 0.6)
    assert (told.days_to_holiday.value, told.days_to_holiday.confidence) == (1, 0.6)


def test_the_shops_region_stands_for_the_visitors_within_its_country_only() -> None:
    christmas = Context(local_time=CHRISTMAS)
    shop = {"shop": Place("GB"), "shop_region": "SCT", "stated": christmas}
    assert situation(found=FOUND, **shop).holiday == Part(
        "christmas in GB-SCT", "derived", 0.6, "public holidays of GB-SCT"
    )
    abroad = situation(found=Part(Place("FR"), "header", 0.85, "x"), **shop)
    assert abroad.holiday.value == "christmas in FR-None"
    at_home = situation(**shop)
    assert (at_home.holiday.source, at_home.holiday.confidence) == ("default", 0.3)


def test_without_a_place_or_a_day_no_holiday_is_known() -> None:
    assert situation(zone=LONDON).holiday.value is None
    assert situation(zone=LONDON).occasion.value == "gifts", "the shop's own need no place"
    nowhen = situation(found=FOUND)
    assert (nowhen.holiday.value, nowhen.occasion.value) == (None, None)


def test_days_far_from_now_have_no_names() -> None:
    pretended = Context(local_time=CHRISTMAS.replace(year=2031))
    told = situation(found=FOUND, stated=pretended)
    assert (told.holiday.value, told.occasion.value, told.season.value) == (None, None, "winter")
