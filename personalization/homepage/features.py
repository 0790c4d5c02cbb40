"""A situation as numbers, for what is learned in situations: 1, then what is so (1) or not (0), and the warmth.

What is unknown is 0 everywhere. The list only changes together with the name that is learned under: sums over one list
say nothing about another.
"""

from __future__ import annotations

from typing import NamedTuple

from personalization.homepage.fields import PLACE_OF, Facts

WARMTH_MIDDLE_C, WARMTH_SPAN_C = 15.0, 20.0  # temperatures of the inhabited world come to lie between -2 and 2
EVENING_MIN = 18 * 60


class Feature(NamedTuple):
    """Whether a field is one of some words."""

    name: str
    place: int
    words: frozenset[str]


def _feature(name: str, field: str, *words: str) -> Feature:
    return Feature(name, PLACE_OF[field], frozenset(words))


_WORDS = (
    _feature("mobile", "device", "mobile"),
    _feature("desktop", "device", "desktop"),
    _feature("wet", "weather", "rain", "sleet", "storm"),
    _feature("snow", "weather", "snow"),
    _feature("bright", "weather", "sunny", "clear"),
    _feature("new", "visitor", "new"),
    _feature("regular", "visitor", "regular"),
    _feature("email", "channel", "email"),
    _feature("paid", "channel", "paid search", "paid shopping", "paid social", "paid video", "paid other", "display"),
    _feature("search", "channel", "organic search", "organic shopping"),
    _feature("weekend", "weekday", "saturday", "sunday"),
)
_WARMTH, _TIME = PLACE_OF["temperature_c"], PLACE_OF["time"]
FEATURE_NAMES = ("one", *(feature.name for feature in _WORDS), "warmth", "evening")


def features_of(facts: Facts) -> tuple[float, ...]:
    """The features of a situation, in the order of `FEATURE_NAMES`; every one within [-6, 6]."""
    known = [float(facts[place] in words) for _, place, words in _WORDS]
    warmth, time = facts[_WARMTH], facts[_TIME]
    warm = (warmth - WARMTH_MIDDLE_C) / WARMTH_SPAN_C if isinstance(warmth, float) else 0.0
    evening = float(isinstance(time, float) and time >= EVENING_MIN)
    return (1.0, *known, warm, evening)
