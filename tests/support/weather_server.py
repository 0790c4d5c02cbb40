"""A provider of weather on this machine: a real HTTP server that answers as it is told to, rubbish and silence too."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Handler = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """One request to the provider."""

    server: WeatherServer

    def do_GET(self) -> None:
        """Answer as the server was told to."""
        self.server.asked.append(dict(parse_qsl(urlsplit(self.path).query)))
        with contextlib.suppress(OSError):  # whoever asked has gone
            self.server.answering(self)

    def answer(self, content: bytes, status: int = 200) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's name for it
        """Say nothing."""


class WeatherServer(ThreadingHTTPServer):
    """The provider; `asked` has the parameters of every request, `over` is set when the test is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.asked: list[dict[str, str]] = []
        self.over = threading.Event()
        self.answering: Handler = open_meteo(0, 20.0)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1/forecast"


@contextlib.contextmanager
def weather_server() -> Iterator[WeatherServer]:
    """A provider that runs, stopped at the end."""
    server = WeatherServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def open_meteo(code: object, temperature_c: object, day: int = 1, **daily: list[object]) -> Handler:
    """Answers as Open-Meteo does."""
    current = {"time": "2026-01-05T10:00", "temperature_2m": temperature_c, "weather_code": code, "is_day": day}
    place = {"latitude": 52.52, "longitude": 13.42, "timezone": "Europe/Berlin"}
    return json_of({**place, "current": current, **({"daily": daily} if daily else {})})


def archive(mean_of: Callable[[date], object]) -> Handler:
    """Answers as Open-Meteo's archive does, with the mean of each day that is asked for."""

    def answering(asked: Asked) -> None:
        parameters = asked.server.asked[-1]
        first, last = (date.fromisoformat(parameters[name]) for name in ("start_date", "end_date"))
        days = [first + timedelta(number) for number in range((last - first).days + 1)]
        daily = {"time": [day.isoformat() for day in days], "temperature_2m_mean": [mean_of(day) for day in days]}
        json_of({"latitude": 52.5, "longitude": 13.4, "timezone": "Europe/Berlin", "daily": daily})(asked)

    return answering


def openweather(code: int, temperature_c: float, icon: str = "10d") -> Handler:
    """Answers as OpenWeather does."""
    weather = [{"id": code, "main": "Rain", "description": "light rain", "icon": icon}]
    return json_of({"weather": weather, "main": {"temp": temperature_c, "feels_like": 1.0}, "cod": 200})


def json_of(value: object, status: int = 200) -> Handler:
    """Answers with JSON."""
    return lambda asked: asked.answer(json.dumps(value).encode(), status)


def bytes_of(content: bytes) -> Handler:
    """Answers with bytes."""
    return lambda asked: asked.answer(content)


def silence(asked: Asked) -> None:
    """Answers nothing until the test is over."""
    asked.server.over.wait(60)


def dripping(asked: Asked) -> None:
    """Answers a byte now and then, and never ends."""
    asked.send_response(200)
    asked.end_headers()
    while not asked.server.over.wait(0.05):
        asked.wfile.write(b" ")
        asked.wfile.flush()
