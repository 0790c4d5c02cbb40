"""Where a request comes from: headers that a CDN in front sets, or a database in MaxMind's format.

Only what the configuration trusts is believed. Nothing finer than a city and a tenth of a degree leaves here, and no
address.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import maxminddb
import structlog

from ingest.vocabulary.context import TEXT_LENGTH_MAX, Place
from ingest.vocabulary.errors import ConfigurationError
from personalization.situation.parts import Part, within
from serving.home.settings import PlacesSettings
from serving.home.surroundings import NOWHERE, Found

BY_CDN, BY_DATABASE = 0.85, 0.7  # how sure: a city by its address is right most of the time, a country nearly always
REGION_LENGTH_MAX = 3  # ISO 3166-2
NO_COUNTRY = frozenset({"XX", "T1", "ZZ"})  # what CDNs say of addresses they cannot place, and of Tor

_log = structlog.get_logger(__name__)


class Database(Protocol):
    """What is asked of a reader of MaxMind's format."""

    def get(self, ip_address: str) -> Any:
        """The record of an address, or None."""
        ...


class VisitorPlaces:
    """Finds places by trusted headers first, then in the database. Total; any thread may ask. Cost: some 20 µs."""

    def __init__(self, settings: PlacesSettings, database: Database | None = None) -> None:
        self._settings, self._database = settings, database
        self._told = bool(settings.country_header or settings.city_header or settings.latitude_header)

    def find(self, headers: Mapping[str, str], address: str | None) -> Found:
        """The place of whoever asks."""
        if self._told:
            found = self._by_headers(headers)
            if found is not NOWHERE:
                return found
        return NOWHERE if self._database is None else self._by_address(headers, address, self._database)

    def _by_headers(self, headers: Mapping[str, str]) -> Found:
        settings = self._settings
        country, city = _country(_header(headers, settings.country_header)), _header(headers, settings.city_header)
        latitude = _degrees(_header(headers, settings.latitude_header), 90)
        longitude = _degrees(_header(headers, settings.longitude_header), 180)
        if country is None and city is None and latitude is None:
            return NOWHERE
        region = _region(_header(headers, settings.region_header))
        place = Part(Place(country, city), "header", BY_CDN, settings.country_header or settings.city_header or "cdn")
        zone = _zone(_header(headers, settings.time_zone_header))
        if latitude is None or longitude is None:
            return Found(place, None, None, zone, region)
        return Found(place, latitude, longitude, zone, region)

    def _by_address(self, headers: Mapping[str, str], address: str | None, database: Database) -> Found:
        behind = self._settings.address_header
        if behind is not None:
            address = headers.get(behind.lower(), "").rpartition(",")[2].strip() or address
        try:
            record = database.get(address) if address else None
        except (ValueError, maxminddb.InvalidDatabaseError):
            return NOWHERE
        if not isinstance(record, dict):
            return NOWHERE
        country = _country(_at(record, "country", "iso_code"))
        city = _at(record, "city", "names", "en")
        location = record.get("location")
        latitude = _degrees(_at(record, "location", "latitude"), 90)
        longitude = _degrees(_at(record, "location", "longitude"), 180)
        if country is None and not isinstance(city, str):
            return NOWHERE
        zone = _zone(_at(record, "location", "time_zone")) if isinstance(location, dict) else None
        place = Place(country, city[:TEXT_LENGTH_MAX] if isinstance(city, str) else None)
        both = latitude is not None and longitude is not None
        found = Part(place, "derived", BY_DATABASE, "address")
        divisions = record.get("subdivisions")
        region = _region(_at(divisions[0], "iso_code")) if isinstance(divisions, list) and divisions else None
        return Found(found, latitude if both else None, longitude if both else None, zone, region)


def places_of(settings: PlacesSettings, folder: Path) -> VisitorPlaces:
    """The places of a configuration; a relative path of the database is one within the data folder.

    Raises:
        ConfigurationError: the database cannot be read.
    """
    if settings.database is None:
        return VisitorPlaces(settings)
    path = folder / settings.database
    try:
        return VisitorPlaces(settings, maxminddb.open_database(path))
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(f"places.database: {path} cannot be read: {error}") from error


def _header(headers: Mapping[str, str], name: str | None) -> str | None:
    """What a trusted header says; CDNs percent-encode what is not ASCII."""
    value = "" if name is None else headers.get(name.lower(), "").strip()
    return unquote(value)[:TEXT_LENGTH_MAX] or None


def _country(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    code = value.strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() and code not in NO_COUNTRY else None


def _region(value: object) -> str | None:
    """The end of a code of ISO 3166-2: one to three letters and digits."""
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if 1 <= len(code) <= REGION_LENGTH_MAX and code.isascii() and code.isalnum() else None


def _degrees(value: object, most: float) -> float | None:
    """A coordinate to a tenth of a degree."""
    try:
        number = within(float(value) if isinstance(value, str) else value, -most, most)
    except ValueError:
        return None
    return None if number is None else round(number, 1)


def _zone(value: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(value) if isinstance(value, str) and value else None
    except (KeyError, ValueError, OSError):
        return None


def _at(record: Any, *names: str) -> Any:
    """What is within tables, by names; None where anything of it is missing."""
    value: Any = record
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
