"""Providers of weather over HTTP: Open-Meteo and OpenWeather. What they answer is checked; rubbish is not known.

Source: Open-Meteo's forecast API (`current` with `temperature_2m`, `weather_code` by WMO table 4677, `is_day`; `daily`
with `temperature_2m_mean`) and historical weather API (the same `daily`); OpenWeather's current weather data 2.5
(`weather[0].id`, `weather[0].icon`, `main.temp`, in metric units).
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import httpx
import msgspec

from ingest.vocabulary.errors import ConfigurationError, Unavailable
from personalization.situation.weather import Reading, condition_of_openweather, condition_of_wmo, temperature
from serving.home.settings import WeatherSettings
from serving.home.weather import WeatherProvider

OPEN_METEO_URL = "https://api.open-meteo.com/v1/forecast"
OPEN_METEO_ARCHIVE_URL = "https://archive-api.open-meteo.com/v1/archive"
OPENWEATHER_URL = "https://api.openweathermap.org/data/2.5/weather"
CONNECT_S, ANSWER_S = 2.0, 5.0  # whoever takes longer is away; nobody waits for it but the thread that asks
ANSWER_BYTES_MAX = 65_536  # an answer has some 500


class OpenMeteo:
    """Open-Meteo; a key only for paying customers."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._asking = _Asking(url or OPEN_METEO_URL)
        self._key = {} if key is None else {"apikey": key}

    def read(self, latitude: float, longitude: float) -> Reading:
        """As `WeatherProvider.read`."""
        told = self._asking.ask(
            latitude=f"{latitude:.1f}",
            longitude=f"{longitude:.1f}",
            current="temperature_2m,weather_code,is_day",
            daily="temperature_2m_mean",
            forecast_days="1",
            timezone="auto",
            **self._key,
        )
        current = _table(told.get("current"))
        condition = condition_of_wmo(current.get("weather_code"), day=current.get("is_day") != 0)
        means = _daily_means(told)
        return Reading(condition, temperature(current.get("temperature_2m")), day_mean_c=means[0] if means else None)

    def close(self) -> None:
        """Let go of its connections."""
        self._asking.close()


class OpenMeteoArchive:
    """Open-Meteo's days of the past; a key only for paying customers."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._asking = _Asking(url or OPEN_METEO_ARCHIVE_URL)
        self._key = {} if key is None else {"apikey": key}

    def daily_means(self, latitude: float, longitude: float, first: date, last: date) -> list[float | None]:
        """As `ClimateProvider.daily_means`; days that the answer leaves out are unknown."""
        told = self._asking.ask(
            latitude=f"{latitude:.1f}",
            longitude=f"{longitude:.1f}",
            start_date=first.isoformat(),
            end_date=last.isoformat(),
            daily="temperature_2m_mean",
            timezone="auto",
            **self._key,
        )
        days, means = (last - first).days + 1, _daily_means(told)
        return means if len(means) == days else [None] * days

    def close(self) -> None:
        """Let go of its connections."""
        self._asking.close()


class OpenWeather:
    """OpenWeather; it needs a key."""

    def __init__(self, key: str, url: str | None = None) -> None:
        self._asking = _Asking(url or OPENWEATHER_URL)
        self._key = key

    def read(self, latitude: float, longitude: float) -> Reading:
        """As `WeatherProvider.read`."""
        told = self._asking.ask(lat=f"{latitude:.1f}", lon=f"{longitude:.1f}", units="metric", appid=self._key)
        weather = told.get("weather")
        first = _table(weather[0]) if isinstance(weather, list) and weather else {}
        day = not str(first.get("icon", "")).endswith("n")
        warmth = temperature(_table(told.get("main")).get("temp"))
        return Reading(condition_of_openweather(first.get("id"), day=day), warmth)

    def close(self) -> None:
        """Let go of its connections."""
        self._asking.close()


def provider_of(settings: WeatherSettings, key: str | None) -> WeatherProvider | None:
    """The provider of a configuration; None for none.

    Raises:
        ConfigurationError: it needs a key and there is none.
    """
    if settings.provider == "open-meteo":
        return OpenMeteo(settings.url, key)
    if settings.provider == "openweather":
        if not key:
            raise ConfigurationError("OpenWeather needs a key: set DANGOL_WEATHER_KEY in the environment")
        return OpenWeather(key, settings.url)
    return None


def climate_of(settings: WeatherSettings, key: str | None) -> OpenMeteoArchive | None:
    """Who tells the days of the past in a configuration; None for nobody. A key is for the provider of that name."""
    if settings.normals == "none":
        return None
    return OpenMeteoArchive(settings.normals_url, key if settings.provider == "open-meteo" else None)


class _Asking:
    """Asks one address for JSON objects, within bounds of time and size."""

    def __init__(self, url: str) -> None:
        self._url = url
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)

    def ask(self, **parameters: str) -> dict[str, Any]:
        """The object that is answered.

        Raises:
            Unavailable: there is none in time.
        """
        deadline_s = time.monotonic() + ANSWER_S
        content = b""
        try:
            with self._client.stream("GET", self._url, params=parameters) as response:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > ANSWER_BYTES_MAX:
                        raise Unavailable(f"the weather provider answers more than {ANSWER_BYTES_MAX} bytes")
                    if time.monotonic() > deadline_s:
                        raise Unavailable("the weather provider answers too slowly")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the weather provider does not answer: {type(error).__name__}") from error
        if response.status_code != httpx.codes.OK:
            raise Unavailable(f"the weather provider answers with status {response.status_code}")
        try:
            return _table(msgspec.json.decode(content))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable("the weather provider does not answer with JSON") from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _daily_means(told: dict[str, Any]) -> list[float | None]:
    """The mean temperatures of an answer's days; what cannot be is unknown."""
    means = _table(told.get("daily")).get("temperature_2m_mean")
    return [temperature(mean) for mean in means] if isinstance(means, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
