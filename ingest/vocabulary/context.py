"""The situation of a visitor as far as an event or a request states it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Device = Literal["mobile", "tablet", "desktop", "tv", "other"]
WeatherCondition = Literal["sunny", "clear", "cloudy", "fog", "rain", "sleet", "snow", "storm", "unknown"]

TEXT_LENGTH_MAX = 200
ShortText = str


class TrafficSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a visit came from, in the terms of campaign tagging (UTM)."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None


class Weather(msgspec.Struct, frozen=True, omit_defaults=True):
    """The weather where the visitor is; temperature in degrees Celsius."""

    condition: WeatherCondition | None = None
    temperature_c: float | None = None


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A coarse place; nothing finer than a city is ever kept. `country` is ISO 3166-1 alpha-2."""

    country: str | None = None
    city: str | None = None


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """The situation: every part may be absent."""

    device: Device | None = None
    traffic_source: TrafficSource | None = None
    weather: Weather | None = None
    place: Place | None = None
    local_time: datetime | None = None
