"""The local day: its season, by the hemisphere it is lived in.

Meteorological seasons: spring is March to May in the north, September to November in the south. Between the tropics
there are none.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

Season = Literal["spring", "summer", "autumn", "winter"]
SEASONS: tuple[Season, ...] = get_args(Season)
Hemisphere = Literal["north", "south", "tropics"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
TROPIC_DEGREES = 23.44  # the latitude where the sun still stands overhead once a year

_SOUTH = "AR AU BW CL LS MG MU MZ NA NZ PY SZ UY ZA ZW RE NC FK"
# Most of their people live between the tropics; Brazil's south has seasons, its north has none.
_TROPICS = (
    "AO BB BF BI BJ BN BO BR BZ CD CF CG CI CM CO CR CU DJ DM DO EC ER ET FJ GA GD GF GH GM GN GP GQ GT GU GW GY HN HT"
    " ID JM KE KH KI KM KN LA LC LK LR MH ML MM MQ MR MV MW MY NE NG NI NR PA PE PF PG PH PR PW RW SB SC SD SG SL SN SO"
    " SR SS ST SV TD TG TH TL TO TT TV TZ UG VC VE VN VU WS YE ZM"
)
_ELSEWHERE: dict[str, Hemisphere] = {
    **dict.fromkeys(_SOUTH.split(), "south"),
    **dict.fromkeys(_TROPICS.split(), "tropics"),
}


def hemisphere_of(country: str | None, latitude: float | None = None) -> Hemisphere | None:
    """Where a place lies; a country lies where most of its people live. None for what is no country code.

    Args:
        country: ISO 3166-1 alpha-2, any case.
        latitude: degrees, north positive; it decides where it is known.
    """
    if latitude is not None and -90 <= latitude <= 90:
        if abs(latitude) < TROPIC_DEGREES:
            return "tropics"
        return "north" if latitude > 0 else "south"
    code = (country or "").upper()
    if len(code) != 2 or not (code.isascii() and code.isalpha()):
        return None
    return _ELSEWHERE.get(code, "north")


def season_of(day: date, hemisphere: Hemisphere | None) -> Season | None:
    """The season of a day; None in the tropics and where the hemisphere is not known."""
    if hemisphere is None or hemisphere == "tropics":
        return None
    northern = (day.month // 3 + 3) % 4  # March to May is 0
    return SEASONS[northern if hemisphere == "north" else (northern + 2) % 4]
