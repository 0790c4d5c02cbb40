"""`[homepage]`, `[weather]` and `[places]` of `dangol.toml`: what a person writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from ingest.vocabulary.context import Place
from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.learning import LearningSettings
from personalization.situation.weather import MONTHS_A_YEAR, temperature

Header = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9-]+$")]


class HomepageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[homepage]`: variants and experiments as they are written, and what is learned.

    Attributes:
        language: what `content` is written in (BCP 47); translations are for whoever prefers another.
    """

    language: Annotated[str, Meta(max_length=35)] = "en"
    learning: LearningSettings = LearningSettings()
    variants: dict[str, dict[str, Any]] = {}
    experiments: dict[str, dict[str, Any]] = {}


class WeatherSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[weather]`: who tells it, where the shop is, and what is normal there, for each month in degrees Celsius.

    Attributes:
        url: the provider's address, where it is another than the usual one, as for paying customers of Open-Meteo.
        normals: who tells what is normal elsewhere, and with normals_url at another address than the usual one.
        latitude, longitude: of the shop, for whoever's place is not known; both or none.
    """

    provider: Literal["none", "open-meteo", "openweather"] = "none"
    url: Annotated[str, Meta(max_length=500, pattern=r"^https?://")] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    normals_c: tuple[float, ...] = ()
    normals: Literal["none", "open-meteo"] = "none"
    normals_url: Annotated[str, Meta(max_length=500, pattern=r"^https?://")] | None = None


class PlacesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[places]`: where visitors are, as far as somebody who can be trusted says so.

    Attributes:
        database: a file in MaxMind's format, by city.
        country_header and the like: headers that a CDN in front sets, and takes from nobody else.
        address_header: the header that has the visitor's address, behind a proxy; its last entry counts.
        country, region, city, time_zone: the shop's, for what nothing else tells; the region as in ISO 3166-2.
        public_holidays: whether those of the visitor's country are told.
    """

    database: str | None = None
    country_header: Header | None = None
    region_header: Header | None = None
    city_header: Header | None = None
    latitude_header: Header | None = None
    longitude_header: Header | None = None
    time_zone_header: Header | None = None
    address_header: Header | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    region: Annotated[str, Meta(pattern=r"^[A-Z0-9]{1,3}$")] | None = None
    city: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    time_zone: str | None = None
    public_holidays: bool = True

    @property
    def shop(self) -> Place | None:
        """Where the shop is, if it says so."""
        return Place(self.country, self.city) if self.country or self.city else None

    @property
    def shop_zone(self) -> ZoneInfo | None:
        """The shop's time zone.

        Raises:
            ConfigurationError: there is no such zone.
        """
        try:
            return None if self.time_zone is None else ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise ConfigurationError(f"places.time_zone: there is no time zone {self.time_zone!r}") from error

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that are trusted, in lower case."""
        named = (value for name, value in msgspec.structs.asdict(self).items() if name.endswith("_header"))
        return tuple(value.lower() for value in named if value is not None)


def check_surroundings(weather: WeatherSettings, places: PlacesSettings) -> None:
    """Refuses settings of weather and places that cannot be.

    Raises:
        ConfigurationError: with the setting, and what it may be.
    """
    if (weather.latitude is None) != (weather.longitude is None):
        raise ConfigurationError("weather.latitude and weather.longitude go together")
    normals = [temperature(normal) for normal in weather.normals_c]
    if normals and (len(normals) != MONTHS_A_YEAR or None in normals):
        raise ConfigurationError(f"weather.normals_c are {MONTHS_A_YEAR} temperatures, January first")
    if (places.latitude_header is None) != (places.longitude_header is None):
        raise ConfigurationError("places.latitude_header and places.longitude_header go together")
    _ = places.shop_zone
