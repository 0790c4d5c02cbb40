"""A situation in coarse parts, as demand is counted and weighed by it: the same words in training and in answering.

No part is finer than a city and a quarter of a day, and none says anything of a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from ingest.vocabulary.context import TEXT_LENGTH_MAX, Context

PartKind = Literal["weather", "warmth", "device", "source", "hour", "country", "city"]
PART_KINDS: tuple[PartKind, ...] = get_args(PartKind)
LASTING: frozenset[PartKind] = frozenset({"device", "source", "hour", "country", "city"})
"""What somebody mostly has in common with themselves of another day; the weather is not of that kind."""

Comfort = Literal["freezing", "cold", "mild", "warm", "hot"]
COMFORTS: tuple[Comfort, ...] = get_args(Comfort)
COMFORT_BOUNDS_C = (0.0, 10.0, 20.0, 28.0)  # below each of them it is the comfort of the same place

QUARTERS = ("night", "morning", "afternoon", "evening")
HOURS_A_QUARTER = 6

Part = tuple[PartKind, str]
Parts = tuple[Part, ...]


def parts_of(context: Context) -> Parts:
    """The parts of what was stated, in the order of `PART_KINDS`; what is absent is left out. Cost: about 2 µs."""
    source, weather, place = context.traffic_source, context.weather, context.place
    hour = None if context.local_time is None else context.local_time.hour
    return _parts(
        None if weather is None else weather.condition,
        None if weather is None else weather.temperature_c,
        context.device,
        (None, None) if source is None else (source.source, source.medium),
        hour,
        (None, None) if place is None else (place.country, place.city),
    )


def parts_of_facts(facts: Mapping[str, str | float]) -> Parts:
    """The parts of resolved facts by the names of condition fields, as a shown homepage records them."""
    minutes = _number(facts.get("time"))
    return _parts(
        _text(facts.get("weather")),
        _number(facts.get("temperature_c")),
        _text(facts.get("device")),
        (_text(facts.get("source")), _text(facts.get("medium"))),
        None if minutes is None else int(minutes) // 60,
        (_text(facts.get("country")), _text(facts.get("city"))),
    )


def comfort_of(temperature_c: float) -> Comfort:
    """How a temperature feels to most: freezing below 0 °C, cold below 10, mild below 20, warm below 28, else hot."""
    return COMFORTS[sum(temperature_c >= bound for bound in COMFORT_BOUNDS_C)]


def in_words(part: Part) -> str:
    """A part as one says it of demand: `in rain`, `on mobile`, `in the evening`."""
    kind, value = part
    match kind:
        case "weather":
            return _IN_WEATHER.get(value, f"in {value}")
        case "warmth":
            return f"when it is {value}"
        case "device":
            return f"on {value}"
        case "source":
            return f"by visitors from {value}"
        case "hour":
            return "at night" if value == "night" else f"in the {value}"
        case "country":
            return f"in {value.upper()}"
        case "city":
            return f"in {value.title()}"


_IN_WEATHER = {"sunny": "in sunshine", "clear": "in clear weather", "cloudy": "when it is cloudy"}


def _parts(
    condition: str | None,
    temperature_c: float | None,
    device: str | None,
    source: tuple[str | None, str | None],
    hour: int | None,
    place: tuple[str | None, str | None],
) -> Parts:
    values = (
        None if condition == "unknown" else condition,
        None if temperature_c is None else comfort_of(temperature_c),
        device,
        " / ".join(tidied for text in source if (tidied := _tidied(text))),
        None if hour is None else QUARTERS[hour // HOURS_A_QUARTER % len(QUARTERS)],
        _tidied(place[0]),
        _tidied(place[1]),
    )
    return tuple((kind, value) for kind, value in zip(PART_KINDS, values, strict=True) if value)


def _tidied(text: str | None) -> str:
    return (text or "").strip().casefold()[:TEXT_LENGTH_MAX]


def _text(fact: str | float | None) -> str | None:
    return fact if isinstance(fact, str) else None


def _number(fact: str | float | None) -> float | None:
    return None if fact is None or isinstance(fact, str) else fact
