"""Whoever tells what is normal hangs: the weather is told all the same, and no homepage waits."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from tests.support.service import Service, serving, wait_for
from tests.support.weather_server import archive, dripping, open_meteo, silence, weather_server

CONFIGURATION = """
[homepage.variants.cold-for-here]
when = {{ above_normal_c = {{ below = -3 }} }}

[weather]
provider = "open-meteo"
url = "{sky}"
normals = "open-meteo"
normals_url = "{years}"

[places]
country_header = "X-Country"
latitude_header = "X-Latitude"
longitude_header = "X-Longitude"
"""


def asked_at(service: Service, latitude: float) -> tuple[dict[str, Any], float]:
    """The answer at a latitude, and the seconds that it took."""
    headers = {"X-Country": "GB", "X-Latitude": str(latitude), "X-Longitude": "0"}
    began = time.perf_counter()
    answered = service.send("GET", "/v1/homepage", headers=headers)
    assert answered.status == 200
    assert answered.json["degraded"] == []
    return answered.json, time.perf_counter() - began


def test_normals_that_hang_delay_neither_a_homepage_nor_the_weather(small_folder: Path) -> None:
    with weather_server() as sky, weather_server() as years:
        sky.answering = open_meteo(3, 9.0, temperature_2m_mean=[4.0])
        configuration = CONFIGURATION.format(sky=sky.url, years=years.url)
        (small_folder / "dangol.toml").write_text(configuration, encoding="utf-8")
        with serving(small_folder) as service:
            took = []
            for answering in (silence, dripping):
                years.answering = answering
                for number in range(30):
                    answered, seconds = asked_at(service, 50.0 + number / 10)
                    assert (answered["variant"], answered["context"]["above_normal_c"]["value"]) == ("default", None)
                    took.append(seconds)
            wait_for(lambda: years.asked, "what is normal to be asked for")
            wait_for(lambda: asked_at(service, 50.0)[0]["context"]["weather"]["value"] == "cloudy", "the weather")
            assert statistics.median(took) < 1.0, "who hangs would take five seconds"
            assert max(took) < 4.0
            years.answering = archive(lambda _: 8.5)
            wait_for(
                lambda: asked_at(service, 50.0)[0]["variant"] == "cold-for-here", "what is normal, once it is told"
            )
            above = asked_at(service, 50.0)[0]["context"]["above_normal_c"]
            assert (above["value"], above["source"], above["confidence"]) == (-4.5, "derived", 0.9)
