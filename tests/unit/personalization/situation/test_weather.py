"""What weather codes, temperatures and dates say, on literal examples."""

from __future__ import annotations

from datetime import date

import pytest

from personalization.situation.parts import within
from personalization.situation.seasons import hemisphere_of, season_of
from personalization.situation.weather import (
    above_normal,
    comfort_of,
    condition_of_openweather,
    condition_of_wmo,
    normal_on,
    temperature,
)


@pytest.mark.parametrize(
    ("code", "day", "night"),
    [
        *((code, "sunny", "clear") for code in (0, 1)),
        *((code, "cloudy", "cloudy") for code in (2, 3)),
        *((code, "fog", "fog") for code in (45, 48)),
        *((code, "rain", "rain") for code in (51, 53, 55, 61, 63, 65, 80, 81, 82)),
        *((code, "sleet", "sleet") for code in (56, 57, 66, 67)),
        *((code, "snow", "snow") for code in (71, 73, 75, 77, 85, 86)),
        *((code, "storm", "storm") for code in (95, 96, 99)),
        *((code, "unknown", "unknown") for code in (4, 100, -1, 1.5, None, "61", True, 10**400)),
    ],
)
def test_a_wmo_code_is_a_condition_of_the_contract(code: object, day: str, night: str) -> None:
    assert (condition_of_wmo(code), condition_of_wmo(code, day=False)) == (day, night)


@pytest.mark.parametrize(
    ("code", "condition"),
    [
        *((code, "storm") for code in (200, 232, 771, 781)),
        *((code, "rain") for code in (300, 321, 500, 531)),
        *((code, "sleet") for code in (511, 611, 616)),
        *((code, "snow") for code in (600, 622)),
        *((code, "fog") for code in (701, 741)),
        *((code, "sunny") for code in (800, 801)),
        *((code, "cloudy") for code in (802, 804)),
        *((code, "unknown") for code in (731, 761, 400, 805, 199, "800", None)),
    ],
)
def test_an_openweather_id_is_a_condition_of_the_contract(code: object, condition: str) -> None:
    assert condition_of_openweather(code) == condition
    assert condition_of_openweather(800, day=False) == "clear"


def test_comfort_goes_by_degrees_and_impossible_temperatures_are_unknown() -> None:
    bands = [comfort_of(degrees) for degrees in (-0.1, 0, 9.9, 10, 19.9, 20, 27.9, 28)]
    assert bands == ["freezing", "cold", "cold", "mild", "mild", "warm", "warm", "hot"]
    assert [temperature(value) for value in (-91, 61, float("nan"), "7", None, True, 10**400)] == [None] * 7
    assert within(7, 0, 10) == 7.0


def test_the_normal_lies_between_the_means_of_two_months() -> None:
    months = [0.0, 2.0, 6.0, 10.0, 14.0, 18.0, 20.0, 20.0, 16.0, 10.0, 6.0, 2.0]
    assert normal_on(months, date(2026, 3, 15)) == 6.0
    assert 2.0 < (normal_on(months, date(2026, 3, 1)) or 0) < 6.0
    assert 0.0 < (normal_on(months, date(2026, 1, 1)) or 0) < 2.0  # between December and January
    assert normal_on(months[:11], date(2026, 3, 15)) is None
    assert normal_on([*months[:11], 99.0], date(2026, 3, 15)) is None
    assert (above_normal(9.0, 6.0), above_normal(None, 6.0), above_normal(9.0, None)) == (3.0, None, None)


def test_seasons_turn_with_the_hemisphere() -> None:
    northern = [season_of(date(2026, month, 1), "north") for month in (2, 3, 6, 9, 12)]
    assert northern == ["winter", "spring", "summer", "autumn", "winter"]
    assert season_of(date(2026, 12, 24), hemisphere_of("au")) == "summer"
    assert season_of(date(2026, 12, 24), hemisphere_of("SG")) is None
    assert season_of(date(2026, 12, 24), None) is None
    assert (hemisphere_of("GB"), hemisphere_of("BR", -33.0), hemisphere_of("X1"), hemisphere_of(None)) == (
        "north",
        "south",
        None,
        None,
    )
