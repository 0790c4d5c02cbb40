"""The situation of a visitor as far as an event or a request states it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

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
    """The situation: every part may be absent.

    `local_time` has the visitor's own offset from UTC, and so the hour of their day. Stored bytes keep moments without
    an offset: `utc_offset_min` keeps it beside, and nobody needs to state it.
    """

    device: Device | None = None
    traffic_source: TrafficSource | None = None
    weather: Weather | None = None
    place: Place | None = None
    local_time: datetime | None = None
    utc_offset_min: Annotated[int, Meta(ge=-1_439, le=1_439)] | None = None

    def __post_init__(self) -> None:
        """Let the local time and its offset agree, whichever of them brought the offset.

        Raises:
            ValueError: the local time is beyond the calendar.
        """
        moment = self.local_time
        if moment is None or moment.tzinfo is None:
            return
        try:
            if self.utc_offset_min is not None:
                force_setattr(self, "local_time", moment.astimezone(timezone(timedelta(minutes=self.utc_offset_min))))
                return
            ahead = moment.replace(tzinfo=UTC) - moment.astimezone(UTC)
            if ahead:
                force_setattr(self, "utc_offset_min", ahead // timedelta(minutes=1))
        except OverflowError as error:
            raise ValueError(f"{moment.isoformat()} is beyond the calendar") from error
