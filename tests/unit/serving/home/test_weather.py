"""Weather over real HTTP, in the background: kept by place and hour, never waited for, rubbish is unknown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingest.vocabulary.errors import ConfigurationError, Unavailable
from personalization.situation.weather import Reading
from serving.home import errands, providers
from serving.home import weather as bounds
from serving.home.providers import OpenMeteo, OpenWeather, provider_of
from serving.home.settings import WeatherSettings
from serving.home.weather import WeatherCache
from tests.support.service import wait_for
from tests.support.weather_server import (
    Handler,
    WeatherServer,
    bytes_of,
    dripping,
    json_of,
    open_meteo,
    openweather,
    silence,
    weather_server,
)

NOON = datetime(2026, 1, 15, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
NORMALS = (1.0, 2.0, 5.0, 9.0, 14.0, 17.0, 19.0, 19.0, 15.0, 10.0, 5.0, 2.0)


class HandsOfAClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        """Where the hands are."""
        return self.moment


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    with weather_server() as running:
        yield running


@pytest.fixture
def clock() -> HandsOfAClock:
    return HandsOfAClock()


@pytest.fixture
def cache(server: WeatherServer, clock: HandsOfAClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeatherCache]:
    monkeypatch.setattr(errands, "PAUSE_S", 0.0)
    monkeypatch.setattr(errands, "POLL_S", 0.01)
    settings = WeatherSettings(provider="open-meteo", url=server.url, latitude=51.5, longitude=-0.1, normals_c=NORMALS)
    made = WeatherCache(OpenMeteo(server.url), clock, settings)
    yield made
    made.close()


def known(cache: WeatherCache, latitude: float, longitude: float, now: datetime) -> Reading:
    return wait_for(lambda: cache.reading(latitude, longitude, now), "a reading")


@pytest.mark.parametrize(
    ("answering", "reading"),
    [
        (open_meteo(61, 7.5), Reading("rain", 7.5)),
        (open_meteo(0, -2), Reading("sunny", -2.0)),
        (open_meteo(0, -2, day=0), Reading("clear", -2.0)),
        (open_meteo(12, 900), Reading()),
        (open_meteo("61", "7"), Reading()),
        (open_meteo(None, None), Reading()),
        (json_of({"current": [1, 2]}), Reading()),
        (json_of({}), Reading()),
        (json_of([{"current": {}}]), Reading()),
    ],
)
def test_open_meteo_is_read_and_rubbish_is_unknown(server: WeatherServer, answering: Handler, reading: Reading) -> None:
    server.answering = answering
    assert OpenMeteo(server.url).read(52.49, 13.44) == reading
    assert server.asked[0]["latitude"] == "52.5"
    assert server.asked[0]["current"] == "temperature_2m,weather_code,is_day"
    assert "apikey" not in server.asked[0]


@pytest.mark.parametrize(
    ("answering", "reading"),
    [
        (openweather(500, 7.5), Reading("rain", 7.5)),
        (openweather(800, 20, "01d"), Reading("sunny", 20.0)),
        (openweather(800, 20, "01n"), Reading("clear", 20.0)),
        (openweather(7, 20), Reading("unknown", 20.0)),
        (json_of({"weather": [], "main": []}), Reading()),
        (json_of({"weather": ["rain"], "main": {"temp": True}}), Reading()),
    ],
)
def test_openweather_is_read_and_rubbish_is_unknown(
    server: WeatherServer, answering: Handler, reading: Reading
) -> None:
    server.answering = answering
    assert OpenWeather("secret", server.url).read(52.49, 13.44) == reading
    assert server.asked[0] == {"lat": "52.5", "lon": "13.4", "units": "metric", "appid": "secret"}


@pytest.mark.parametrize(
    ("answering", "why"),
    [
        (json_of({"error": True, "reason": "no"}, 400), "status 400"),
        (json_of({}, 503), "status 503"),
        (bytes_of(b"<html>"), "JSON"),
        (bytes_of(b"[" * 10_000), "JSON"),
        (bytes_of(b"\xff\xfe"), "JSON"),
        (bytes_of(b" " * 200_000), "more than 65536 bytes"),
        (silence, "does not answer"),
        (dripping, "too slowly"),
    ],
)
def test_a_provider_that_fails_is_unavailable_in_time(
    server: WeatherServer, answering: Handler, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "ANSWER_S", 0.3)
    server.answering = answering
    began = time.monotonic()
    with pytest.raises(Unavailable, match=why):
        OpenMeteo(server.url).read(52.5, 13.4)
    assert time.monotonic() - began < 30


def test_nobody_listening_is_unavailable() -> None:
    with weather_server() as gone:
        url = gone.url
    with pytest.raises(Unavailable, match="does not answer"):
        OpenMeteo(url).read(52.5, 13.4)


def test_what_is_not_known_is_asked_for_once_and_known_soon(server: WeatherServer, cache: WeatherCache) -> None:
    server.answering = open_meteo(71, -3)
    assert cache.reading(48.14, 11.58, NOON) is None
    assert known(cache, 48.14, 11.58, NOON) == Reading("snow", -3.0)
    for _ in range(50):
        assert cache.reading(48.11, 11.61, NOON) == Reading("snow", -3.0), "the same tenth of a degree"
    assert [(each["latitude"], each["longitude"]) for each in server.asked] == [("48.1", "11.6")]


def test_an_hour_later_the_last_reading_serves_until_there_is_another(
    server: WeatherServer, cache: WeatherCache, clock: HandsOfAClock
) -> None:
    known(cache, 48.1, 11.6, NOON)
    server.answering = silence
    clock.moment += HOUR
    assert cache.reading(48.1, 11.6, clock.moment) == Reading("sunny", 20.0)
    assert cache.reading(48.1, 11.6, NOON + 2 * HOUR) == Reading("sunny", 20.0)
    assert cache.reading(48.1, 11.6, NOON + 3 * HOUR) is None, "too old"


def test_at_the_turn_of_the_hour_what_was_wanted_is_asked_for_anew(
    server: WeatherServer, cache: WeatherCache, clock: HandsOfAClock
) -> None:
    known(cache, 48.1, 11.6, NOON)
    server.answering = open_meteo(95, 12)
    clock.moment += HOUR
    wait_for(lambda: len(server.asked) == 2, "the next hour to be asked for, though nobody wants it yet")
    wait_for(lambda: cache.reading(48.1, 11.6, clock.moment) == Reading("storm", 12.0), "the new reading")
    clock.moment += 3 * HOUR
    assert cache.reading(0.0, 0.0, clock.moment) is None
    wait_for(lambda: len(server.asked) == 3, "the other place")
    assert server.asked[-1]["latitude"] == "0.0", "what nobody wanted in the last hour is let be"


def test_what_is_normal_is_known_of_the_shops_place_alone(cache: WeatherCache) -> None:
    cache.begin()
    shops = known(cache, 51.52, -0.08, NOON)
    assert shops == Reading("sunny", 20.0, 1.0)
    assert known(cache, 10.0, 10.0, NOON).normal_c is None


def test_a_provider_that_hangs_delays_nobody(server: WeatherServer, cache: WeatherCache) -> None:
    server.answering = silence
    began = time.perf_counter()
    for number in range(2_000):
        assert cache.reading(number % 90, number % 180, NOON) is None
    assert time.perf_counter() - began < 5, "each asking would take seconds"
    assert len(cache._errands) <= errands.queued_max


def test_a_provider_that_fails_is_left_alone_and_tried_again(server: WeatherServer, cache: WeatherCache) -> None:
    server.answering = json_of({}, 500)
    assert cache.reading(48.1, 11.6, NOON) is None
    wait_for(lambda: server.asked, "the first asking")
    server.answering = open_meteo(61, 7)
    assert known(cache, 48.1, 11.6, NOON) == Reading("rain", 7.0)
    assert len(server.asked) <= 3


@pytest.mark.parametrize(("latitude", "longitude"), [(91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0)])
def test_a_place_that_is_none_has_no_weather(cache: WeatherCache, latitude: float, longitude: float) -> None:
    assert cache.reading(latitude, longitude, NOON) is None
    assert not len(cache._errands)


def test_cells_are_bounded_and_the_longest_unwanted_goes_first(
    cache: WeatherCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "cells_max", 3)
    for latitude in (1.0, 2.0, 3.0, 4.0, 5.0):
        known(cache, latitude, 0.0, NOON)
    assert list(cache._kept) == [(30, 0), (40, 0), (50, 0)]


def test_the_provider_is_the_one_that_is_configured() -> None:
    assert provider_of(WeatherSettings(), None) is None
    assert isinstance(provider_of(WeatherSettings(provider="open-meteo"), None), OpenMeteo)
    assert isinstance(provider_of(WeatherSettings(provider="openweather"), "key"), OpenWeather)
    with pytest.raises(ConfigurationError, match="DANGOL_WEATHER_KEY"):
        provider_of(WeatherSettings(provider="openweather"), None)
