"""What is normal at places, over real HTTP: by the last years' days, in the background, never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.situation.weather import Reading
from serving.home import errands, normals
from serving.home.normals import PlaceNormals, normals_of
from serving.home.providers import OpenMeteo, OpenMeteoArchive, climate_of
from serving.home.settings import WeatherSettings
from serving.home.weather import WeatherCache
from tests.support.service import wait_for
from tests.support.weather_server import (
    Handler,
    WeatherServer,
    archive,
    bytes_of,
    json_of,
    open_meteo,
    silence,
    weather_server,
)

NOON = datetime(2026, 1, 15, 12, 10, tzinfo=UTC)
BERLIN = (525, 134)
DAY = date(2026, 1, 15)


class HandsOfAClock:
    """A clock that a test moves."""

    moment = NOON

    def now(self) -> datetime:
        """Where the hands are."""
        return self.moment


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    with weather_server() as running:
        running.answering = archive(lambda day: float(day.day))
        yield running


@pytest.fixture
def clock() -> HandsOfAClock:
    return HandsOfAClock()


@pytest.fixture
def places(server: WeatherServer, clock: HandsOfAClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlaceNormals]:
    monkeypatch.setattr(errands, "PAUSE_S", 0.0)
    monkeypatch.setattr(errands, "POLL_S", 0.01)
    made = PlaceNormals(OpenMeteoArchive(server.url), clock)
    yield made
    made.close()


def known(places: PlaceNormals, day: date = DAY) -> float:
    return wait_for(lambda: places.normal_c(BERLIN, day), "a normal")


def test_a_normal_is_the_mean_of_the_days_around_it_in_the_last_years(
    server: WeatherServer, places: PlaceNormals
) -> None:
    server.answering = archive(lambda day: (day - date(day.year, 1, 1)).days / 10 if day.month < 3 else 0.0)
    assert places.normal_c(BERLIN, date(2026, 1, 20)) is None, "nobody waits"
    assert known(places, date(2026, 1, 20)) == 1.9, "the middle of 31 days that grow warmer by the day"
    assert known(places, date(2026, 1, 23)) == 2.2
    assert [(each["start_date"], each["end_date"]) for each in server.asked] == [
        (f"{year - 1}-12-17", f"{year}-02-15") for year in (2025, 2024, 2023, 2022, 2021)
    ]
    assert {(each["latitude"], each["longitude"]) for each in server.asked} == {("52.5", "13.4")}


def test_a_month_of_a_place_is_asked_for_once_and_the_next_before_it_comes(
    server: WeatherServer, places: PlaceNormals
) -> None:
    for _ in range(50):
        places.normal_c(BERLIN, DAY)
    known(places)
    for number in range(1, 24):
        assert places.normal_c(BERLIN, date(2026, 1, number)) is not None
    assert len(server.asked) == 5
    places.normal_c(BERLIN, date(2026, 1, 24))
    wait_for(lambda: len(server.asked) == 10, "February")
    assert server.asked[-1]["start_date"] == "2021-01-17"
    wait_for(lambda: places.normal_c(BERLIN, date(2026, 2, 1)), "it")
    assert places.normal_c(BERLIN, date(2026, 12, 31)) is None
    wait_for(lambda: len(server.asked) == 15, "December; the January after it is known already")


@pytest.mark.parametrize(
    "answering",
    [
        archive(lambda _: None),
        archive(lambda _: "warm"),
        archive(lambda _: 1e9),
        archive(lambda day: 3.0 if day.day == 1 else None),
        json_of({}),
        json_of([]),
        json_of({"daily": {"temperature_2m_mean": [1.0, 2.0]}}),
        json_of({"daily": {"temperature_2m_mean": 7}}),
    ],
)
def test_rubbish_is_unknown_and_asked_for_again_on_another_day(
    server: WeatherServer, places: PlaceNormals, clock: HandsOfAClock, answering: Handler
) -> None:
    server.answering = answering
    assert places.normal_c(BERLIN, DAY) is None
    wait_for(lambda: places._kept, "what there is")
    for _ in range(5):
        assert places.normal_c(BERLIN, DAY) is None
    assert len(server.asked) == 5, "not again today"
    server.answering = archive(lambda _: 2.0)
    clock.moment += timedelta(days=1)
    assert known(places, date(2026, 1, 16)) == 2.0


@pytest.mark.parametrize("answering", [silence, json_of({}, 500), bytes_of(b"\x00")])
def test_a_provider_that_hangs_or_fails_delays_nobody(
    server: WeatherServer, places: PlaceNormals, answering: Handler
) -> None:
    server.answering = answering
    began = time.perf_counter()
    for number in range(2_000):
        assert places.normal_c((number % 900, number), DAY) is None
    assert time.perf_counter() - began < 5, "each asking would take seconds"
    assert len(places._errands) <= errands.queued_max


def test_what_is_kept_is_bounded(places: PlaceNormals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normals, "months_kept_max", 2)
    for number in range(4):
        wait_for(lambda number=number: places.normal_c((number, 0), DAY), "a normal")  # type: ignore[misc]
    assert [month.cell for month in places._kept] == [(2, 0), (3, 0)]


def test_a_reading_has_the_normal_of_its_place_and_the_shops_own_goes_first(
    places: PlaceNormals, clock: HandsOfAClock
) -> None:
    with weather_server() as sky:
        sky.answering = open_meteo(0, 9.0, temperature_2m_mean=[4.5])
        settings = WeatherSettings(latitude=51.5, longitude=-0.1, normals_c=(1.0,) * 12)
        cache = WeatherCache(OpenMeteo(sky.url), clock, settings, places)

        def at(latitude: float, longitude: float) -> Reading:
            def with_normal() -> Reading | None:
                found = cache.reading(latitude, longitude, NOON)
                return None if found is None or found.normal_c is None else found

            return wait_for(with_normal, "a reading with its normal")

        assert at(51.5, -0.1) == Reading("sunny", 9.0, 1.0, 4.5)
        elsewhere = at(52.52, 13.41)
        assert (elsewhere.temperature_c, elsewhere.day_mean_c) == (9.0, 4.5)
        assert elsewhere.normal_c == known(places)
        assert sky.asked[-1]["daily"] == "temperature_2m_mean"
        cache.close()


def test_who_tells_normals_is_configured_and_has_only_its_own_key() -> None:
    assert climate_of(WeatherSettings(provider="open-meteo"), "key") is None
    own = climate_of(WeatherSettings(provider="open-meteo", normals="open-meteo"), "key")
    other = climate_of(WeatherSettings(provider="openweather", normals="open-meteo"), "key")
    assert own is not None
    assert other is not None
    assert (own._key, other._key) == ({"apikey": "key"}, {})


values = st.lists(st.none() | st.floats(-90, 60), max_size=70)


@given(st.lists(values, max_size=5))
def test_normals_lie_within_what_they_are_made_of_or_are_unknown(years: list[list[float | None]]) -> None:
    found = normals_of(years)
    assert len(found) == 31
    every = [value for year in years for value in year if value is not None]
    for normal in found:
        assert normal is None or min(every) - 0.1 <= normal <= max(every) + 0.1


def test_most_of_the_days_have_to_be_known() -> None:
    def years(known: Callable[[int], bool]) -> list[list[float | None]]:
        return [[5.0 if known(number) else None for number in range(61)] for _ in range(5)]

    assert set(normals_of(years(lambda number: number % 10 < 7))) == {5.0}
    assert None in normals_of(years(lambda number: number % 10 < 5))
    assert set(normals_of(years(lambda _: True)[:2])) == {None}, "two years are not enough"
