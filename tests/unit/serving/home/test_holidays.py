"""Public holidays from the library: real ones, for every country, and without anybody waiting for it."""

from __future__ import annotations

import threading
from datetime import date

import pytest

from personalization.situation.days.ahead import Ahead
from personalization.situation.days.occasions import read_occasions
from serving.home import holidays as module
from serving.home.holidays import Days, PublicHolidays
from tests.support.service import wait_for


@pytest.fixture(scope="module")
def public() -> PublicHolidays:
    """The library, loaded."""
    made = PublicHolidays()
    made.load()
    return made


@pytest.mark.parametrize(
    ("country", "region", "day", "told"),
    [
        ("GB", "ENG", "2026-12-25", Ahead("christmas day", "christmas day", 0)),
        ("GB", "ENG", "2026-12-24", Ahead("none", "christmas day", 1)),
        ("GB", "SCT", "2026-11-30", Ahead("saint andrew's day", "saint andrew's day", 0)),
        ("GB", "ENG", "2026-11-30", Ahead("none", "christmas day", 25)),
        ("GB", "ENG", "2026-12-28", Ahead("boxing day (observed)", "boxing day (observed)", 0)),
        ("GB", "ENG", "2026-12-29", Ahead("none", "new year's day", 3)),
        ("DE", "BY", "2026-01-06", Ahead("epiphany", "epiphany", 0)),
        ("DE", None, "2026-01-06", Ahead("none", "good friday", 87)),
        ("DE", "??", "2026-01-06", Ahead("none", "good friday", 87)),
        ("US", None, "2026-11-26", Ahead("thanksgiving day", "thanksgiving day", 0)),
        ("TR", None, "2026-03-19", Ahead("none", "eid al-fitr", 1, sure=True)),
    ],
)
def test_public_holidays_are_those_of_the_place(
    public: PublicHolidays, country: str, region: str | None, day: str, told: Ahead
) -> None:
    assert Days((), public).holiday(country, region, date.fromisoformat(day)) == told


def test_feasts_that_follow_the_moon_are_called_estimates(public: PublicHolidays) -> None:
    egypt = Days((), public)
    assert egypt.holiday("EG", None, date(2026, 5, 20)) == Ahead("none", "day of arafah", 6, sure=False)
    assert egypt.holiday("EG", None, date(2026, 5, 28)) == Ahead("eid al-adha", "eid al-adha", 0, sure=False)
    labour = egypt.holiday("EG", None, date(2026, 4, 30))
    assert labour is not None
    assert labour.sure


def test_every_country_of_the_library_can_be_told_and_no_other(public: PublicHolidays) -> None:
    days = Days((), public)
    supported = sorted(public._supported)
    assert len(supported) > 200
    silent = [country for country in supported if days.holiday(country, None, date(2026, 6, 1)) is None]
    assert len(silent) < len(supported) / 20, silent
    for strange in ("XX", "", "GBR", "gb", "ß", "A\0"):
        assert days.holiday(strange, None, date(2026, 6, 1)) is None


def test_nobody_waits_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    held, asked = threading.Event(), threading.Event()
    load = PublicHolidays.load

    def slow(self: PublicHolidays) -> None:
        asked.set()
        held.wait(60)
        load(self)

    monkeypatch.setattr(PublicHolidays, "load", slow)
    days = Days((), PublicHolidays())
    assert days.holiday("GB", None, date(2026, 12, 25)) is None
    assert asked.wait(10), "whoever asks first has it loaded"
    assert days.holiday("GB", None, date(2026, 12, 25)) is None
    held.set()
    wait_for(lambda: days.holiday("GB", None, date(2026, 12, 25)) is not None, "the library to be loaded")


def test_a_command_is_patient_and_a_shop_may_do_without() -> None:
    assert Days((), PublicHolidays(), patient=True).holiday("GB", None, date(2026, 12, 25)) is not None
    assert Days((), None, patient=True).holiday("GB", None, date(2026, 12, 25)) is None


def test_what_is_kept_is_bounded(public: PublicHolidays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "days_kept_max", 10)
    days = Days(read_occasions([{"name": "x", "on": "12-24", "countries": ["GB"]}]), public)
    for number in range(1, 29):
        assert days.holiday("GB", None, date(2026, 2, number)) is not None
        assert days.occasion("GB", date(2026, 2, number)) is not None
    for country in ("FR", "A1", "??", None):
        assert days.occasion(country, date(2026, 2, 1)) is None
    assert (len(days._holidays), len(days._own)) == (10, 10)


def test_a_shop_without_a_known_country_loads_nothing() -> None:
    public = PublicHolidays()
    days = Days(read_occasions([{"name": "x", "on": "12-24"}]), public)
    assert days.occasion(None, date(2026, 12, 24)) == Ahead("x", "x", 0)
    assert not public.loaded
    assert public._thread is None
