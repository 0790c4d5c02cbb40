"""Weather as a value: codes of providers become the contract's conditions, temperatures become comfort.

Source: WMO code table 4677 as Open-Meteo uses it (`weather_code`), OpenWeather's condition ids. What is not in a table
is unknown: table 4680, for automatic stations, has other meanings under the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import get_args

import msgspec

from ingest.vocabulary.context import WeatherCondition
from ingest.vocabulary.situations import COMFORTS as COMFORTS
from ingest.vocabulary.situations import Comfort as Comfort
from ingest.vocabulary.situations import comfort_of as felt
from personalization.situation.parts import within

CONDITIONS: tuple[WeatherCondition, ...] = get_args(WeatherCondition)

TEMPERATURE_MIN_C, TEMPERATURE_MAX_C = -90.0, 60.0  # the coldest and hottest ever measured are -89.2 and 56.7
MONTHS_A_YEAR = 12

_WMO: dict[WeatherCondition, tuple[int, ...]] = {
    "cloudy": (2, 3),
    "fog": (45, 48),
    "rain": (51, 53, 55, 61, 63, 65, 80, 81, 82),
    "sleet": (56, 57, 66, 67),
    "snow": (71, 73, 75, 77, 85, 86),
    "storm": (95, 96, 99),
}
_OF_WMO = {code: condition for condition, codes in _WMO.items() for code in codes}
_OF_OPENWEATHER_GROUP: dict[int, WeatherCondition] = {2: "storm", 3: "rain", 5: "rain", 6: "snow"}
_OPENWEATHER_SLEET = frozenset({511, 611, 612, 613, 615, 616})  # freezing rain; sleet; rain and snow
_OPENWEATHER_FOG = frozenset({701, 741})  # mist and fog; the rest of the group is smoke, dust and sand
_OPENWEATHER_STORM = frozenset({771, 781})  # squalls, tornado


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a provider says of a place and hour; the normal is what this day of the year has there on average.

    `day_mean_c` is the mean of this very day: what a normal is compared with, so that an afternoon is not called warm
    for being one.
    """

    condition: WeatherCondition = "unknown"
    temperature_c: float | None = None
    normal_c: float | None = None
    day_mean_c: float | None = None


def condition_of_wmo(code: object, *, day: bool = True) -> WeatherCondition:
    """The condition of a WMO code; whether the sun is up tells sunny from clear."""
    number = _whole(code)
    if number in (0, 1):
        return "sunny" if day else "clear"
    return _OF_WMO.get(number, "unknown") if number is not None else "unknown"


def condition_of_openweather(code: object, *, day: bool = True) -> WeatherCondition:
    """The condition of an OpenWeather id (`weather[0].id`); few clouds (801) still count as a clear sky."""
    number = _whole(code)
    if number is None or not 200 <= number <= 804:
        return "unknown"
    if number in (800, 801):
        return "sunny" if day else "clear"
    if number > 801:
        return "cloudy"
    if number in _OPENWEATHER_SLEET:
        return "sleet"
    if number in _OPENWEATHER_FOG:
        return "fog"
    if number in _OPENWEATHER_STORM:
        return "storm"
    return _OF_OPENWEATHER_GROUP.get(number // 100, "unknown")


def temperature(value: object) -> float | None:
    """A temperature in degrees Celsius that can be; None for anything else."""
    return within(value, TEMPERATURE_MIN_C, TEMPERATURE_MAX_C)


def comfort_of(temperature_c: float | None) -> Comfort | None:
    """How a temperature feels to most, if it is known."""
    return None if temperature_c is None else felt(temperature_c)


def normal_on(monthly_c: Sequence[float], day: date) -> float | None:
    """The normal temperature of a day, on the line between the means of two months, each of which stands for its 15th.

    Args:
        monthly_c: twelve means, January first; None is the answer for any other number or an impossible one.
    """
    means = [temperature(mean) for mean in monthly_c]
    if len(means) != MONTHS_A_YEAR or None in means:
        return None
    whole, share = divmod(day.month - 1 + (day.day - 15) / 30.5, 1.0)
    before, after = means[int(whole) % MONTHS_A_YEAR], means[(int(whole) + 1) % MONTHS_A_YEAR]
    assert before is not None
    assert after is not None
    return before + share * (after - before)


def above_normal(temperature_c: float | None, normal_c: float | None) -> float | None:
    """By how many degrees it is warmer than the season's normal; negative where it is colder."""
    if temperature_c is None or normal_c is None:
        return None
    difference = temperature_c - normal_c
    return difference if math.isfinite(difference) else None


def _whole(code: object) -> int | None:
    number = within(code, 0, 10_000)
    return int(number) if number is not None and number.is_integer() else None
