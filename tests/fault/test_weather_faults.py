"""The provider of weather hangs, lies or goes away: homepages are answered all the same, and none waits."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.support.service import Service, serving, wait_for
from tests.support.weather_server import bytes_of, dripping, json_of, open_meteo, silence, weather_server

CONFIGURATION = """
[homepage.variants.rain]
when = {{ weather = "rain" }}

[weather]
provider = "open-meteo"
url = "{url}"
latitude = 51.5
longitude = -0.1

[places]
country_header = "X-Country"
latitude_header = "X-Latitude"
longitude_header = "X-Longitude"
"""


def asked_at(service: Service, latitude: float) -> tuple[str, str | None, float]:
    """The variant and the weather at a latitude, and the seconds that it took."""
    headers = {"X-Country": "GB", "X-Latitude": str(latitude), "X-Longitude": "0"}
    began = time.perf_counter()
    answered = service.send("GET", "/v1/homepage", headers=headers)
    took = time.perf_counter() - began
    assert answered.status == 200
    assert answered.json["degraded"] == []
    return answered.json["variant"], answered.json["context"]["weather"]["value"], took


def test_a_provider_that_hangs_or_talks_rubbish_delays_no_homepage(small_folder: Path) -> None:
    with weather_server() as provider:
        (small_folder / "dangol.toml").write_text(CONFIGURATION.format(url=provider.url), encoding="utf-8")
        with serving(small_folder) as service:
            wait_for(lambda: provider.asked, "the shop's own place to be asked for at the start")
            took = []
            for place, answering in enumerate((silence, dripping, bytes_of(b"\x00"), json_of({}, 500))):
                provider.answering = answering
                for number in range(30):
                    variant, weather, seconds = asked_at(service, place * 10 + number / 10)
                    assert (variant, weather) == ("default", None)
                    took.append(seconds)
            assert statistics.median(took) < 1.0, "a hanging provider would take its five seconds"
            assert max(took) < 4.0
            provider.answering = open_meteo(61, 7)
            wait_for(lambda: asked_at(service, 50.0)[:2] == ("rain", "rain"), "the weather, once it is told again")
            assert service.send("GET", "/readyz").status == 200


def test_a_server_stops_in_order_while_the_provider_hangs(small_folder: Path) -> None:
    with weather_server() as provider:
        provider.answering = silence
        (small_folder / "dangol.toml").write_text(CONFIGURATION.format(url=provider.url), encoding="utf-8")
        with serving(small_folder) as service:
            asked_at(service, 50.0)
            wait_for(lambda: provider.asked, "the provider to be asked")
            began = time.monotonic()
        assert time.monotonic() - began < 60
