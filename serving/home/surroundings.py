"""Where a request comes from and what the weather is there, as far as anybody can tell without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple, Protocol

from ingest.vocabulary.context import Context, Place
from personalization.situation.parts import Part
from personalization.situation.weather import Reading
from serving.home.ask import Said
from serving.home.settings import PlacesSettings, WeatherSettings


class Found(NamedTuple):
    """A place that somebody told: its coordinates to a tenth of a degree, some ten kilometres, and its region."""

    place: Part[Place] | None = None
    latitude: float | None = None
    longitude: float | None = None
    zone: tzinfo | None = None
    region: str | None = None


NOWHERE = Found()


class Places(Protocol):
    """Knows where a request comes from."""

    def find(self, headers: Mapping[str, str], address: str | None) -> Found:
        """The place of whoever asks. Total, and never waits."""
        ...


class Weather(Protocol):
    """Knows the weather at places."""

    def reading(self, latitude: float, longitude: float, now: datetime) -> Reading | None:
        """The weather there and then; None if it is not known yet. Never waits."""
        ...


class Around(NamedTuple):
    """What surrounds a request; `at_shop` is whether the reading is of the shop's place for want of the visitor's."""

    found: Found
    reading: Reading | None
    at_shop: bool


class Surroundings:
    """Tells what surrounds a request."""

    def __init__(
        self, places: Places, weather: Weather, place_settings: PlacesSettings, weather_settings: WeatherSettings
    ) -> None:
        self._places, self._weather = places, weather
        self.shop, self.shop_zone = place_settings.shop, place_settings.shop_zone
        self.shop_region = place_settings.region
        self._shop_at = (weather_settings.latitude, weather_settings.longitude)

    def of(self, said: Said, stated: Context | None, now: datetime) -> Around:
        """What surrounds a request at a moment. Never waits.

        A place that the caller states has weather only if it is the one that was found, or the shop's: nothing here
        knows where towns are.
        """
        found = self._places.find(said.headers, said.address)
        stated_place = None if stated is None else stated.place
        latitude, longitude, at_shop = self._where(found, stated_place)
        if latitude is None or longitude is None or _is_stated(stated):
            return Around(found, None, False)
        return Around(found, self._weather.reading(latitude, longitude, now), at_shop)

    def _where(self, found: Found, stated: Place | None) -> tuple[float | None, float | None, bool]:
        if stated is not None and stated != Place():
            if found.place is not None and _same(stated, found.place.value):
                return found.latitude, found.longitude, False
            return (*self._shop_at, False) if _same(stated, self.shop) else (None, None, False)
        if found.latitude is not None:
            return found.latitude, found.longitude, False
        return (*self._shop_at, True)


def _is_stated(stated: Context | None) -> bool:
    """Whether the caller knows the weather, all of it."""
    weather = None if stated is None else stated.weather
    return weather is not None and weather.condition not in (None, "unknown") and weather.temperature_c is not None


def _same(one: Place, other: Place | None) -> bool:
    """Whether two places are one town, as far as they are told."""
    if other is None:
        return False
    pairs = ((one.country, other.country), (one.city, other.city))
    return all((mine or "").casefold() == (theirs or "").casefold() for mine, theirs in pairs)
