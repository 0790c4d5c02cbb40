"""The weather at places, kept by the hour and asked for in a thread of its own: a request never waits for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from ingest.vocabulary.clock import HOUR_S, Clock
from ingest.vocabulary.errors import DangolError
from personalization.situation.weather import Reading, normal_on
from serving.circuit import Circuit
from serving.home.settings import WeatherSettings

TENTHS = 10  # of a degree: the grid that weather is kept by, some ten kilometres
cells_max = 5_000  # about a megabyte; a shop's visitors live in some hundred
queued_max = 1_000  # beyond it whoever comes is asked for later
stale_hours_max = 2  # an older reading is none
prefetched_max = 200  # cells that are asked for anew at the turn of the hour; a free plan allows 600 in a minute
PAUSE_S = 0.1  # between two askings, for the same reason
POLL_S = 1.0  # how soon the turn of the hour is noticed
CLOSE_S = 1.0  # for an asking that is under way

Cell = tuple[int, int]

_log = structlog.get_logger(__name__)


class WeatherProvider(Protocol):
    """Somebody who knows the weather.

    Not guaranteed: that it answers at all, or soon.
    """

    def read(self, latitude: float, longitude: float) -> Reading:
        """The weather there now; unknown as far as the answer says nothing that can be.

        Raises:
            Unavailable: it did not answer, or not with weather.
        """
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


class _Kept(NamedTuple):
    """A reading, the hour it is of, and the hour it was last wanted in."""

    hour: int
    reading: Reading
    wanted_hour: int


class NoWeather:
    """Nobody tells the weather."""

    def reading(self, latitude: float, longitude: float, now: datetime) -> Reading | None:
        """Nothing."""
        return None

    def begin(self) -> None:
        """Nothing to ask for."""

    def close(self) -> None:
        """Nothing to let go of."""


class WeatherCache:
    """Readings by cell and hour. Any thread may ask.

    Guarantees: asking never waits for the provider; what it knows no answer to is asked for in the background, once,
    however many want it. Bounded: `cells_max` cells, the ones wanted longest ago go first.
    Not guaranteed: that there is a reading.
    """

    def __init__(self, provider: WeatherProvider, clock: Clock, settings: WeatherSettings) -> None:
        self._provider, self._clock = provider, clock
        self._normals: Sequence[float] = settings.normals_c
        self._shop = _cell(settings.latitude, settings.longitude)
        self._circuit = Circuit(lambda opened: _log.warning("the weather provider", away=opened))
        self._kept: OrderedDict[Cell, _Kept] = OrderedDict()
        self._queued: OrderedDict[Cell, None] = OrderedDict()
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._prefetched_hour = -1

    def begin(self) -> None:
        """Ask for the shop's own place, so that it is there when somebody wants it."""
        if self._shop is not None:
            with self._lock:
                self._queue(self._shop)

    def reading(self, latitude: float, longitude: float, now: datetime) -> Reading | None:
        """The weather of a cell in this hour, or of `stale_hours_max` before while this one's is asked for."""
        cell = _cell(latitude, longitude)
        if cell is None:
            return None
        hour = _hour(now)
        with self._lock:
            kept = self._kept.get(cell)
            if kept is not None:
                self._kept[cell] = kept._replace(wanted_hour=hour)
                self._kept.move_to_end(cell)
            if kept is None or kept.hour != hour:
                self._queue(cell)
        if kept is None or not 0 <= hour - kept.hour <= stale_hours_max:
            return None
        return self._with_normal(cell, kept.reading, now)

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        if self._thread is None or not self._thread.is_alive():  # one that waits for an answer ends with the process
            self._provider.close()

    def _with_normal(self, cell: Cell, reading: Reading, now: datetime) -> Reading:
        """What is normal is known of the shop's place alone."""
        if cell != self._shop or not self._normals:
            return reading
        return replace(reading, normal_c=normal_on(self._normals, now.date()))

    def _queue(self, cell: Cell) -> None:
        """Ask for a cell soon, if it is not waiting already and there is room; under the lock."""
        if cell in self._queued or len(self._queued) >= queued_max or self._closing.is_set():
            return
        self._queued[cell] = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="weather", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            try:
                self._prefetch()
                self._ask_for_what_waits()
            except Exception:  # noqa: BLE001 - logged with its trace, and the thread must live on
                _log.exception("the weather could not be asked for")

    def _ask_for_what_waits(self) -> None:
        while not self._closing.is_set():
            cell = self._next()
            if cell is None or not self._ask(cell):
                break
            self._closing.wait(PAUSE_S)

    def _next(self) -> Cell | None:
        with self._lock:
            return next(iter(self._queued), None)

    def _ask(self, cell: Cell) -> bool:
        """Ask for a cell; whether to ask for the next. What cannot be had is asked for when somebody wants it again."""
        hour = _hour(self._clock.now())
        try:
            reading = self._circuit.call(self._provider.read, cell[0] / TENTHS, cell[1] / TENTHS)
        except DangolError as error:
            _log.info("no weather", reason=error.message)
            with self._lock:
                self._queued.clear()
            return False
        with self._lock:
            self._queued.pop(cell, None)
            before = self._kept.get(cell)
            self._kept[cell] = _Kept(hour, reading, hour if before is None else before.wanted_hour)
            while len(self._kept) > cells_max:
                self._kept.popitem(last=False)
        return True

    def _prefetch(self) -> None:
        """At the turn of the hour, ask anew for what was wanted in the last one, the latest first."""
        hour = _hour(self._clock.now())
        if hour == self._prefetched_hour:
            return
        self._prefetched_hour = hour
        with self._lock:
            every = reversed(self._kept.items())
            wanted = [cell for cell, kept in every if kept.hour < hour and kept.wanted_hour >= hour - 1]
            for cell in wanted[:prefetched_max]:
                self._queue(cell)


def _cell(latitude: float | None, longitude: float | None) -> Cell | None:
    """The cell of the grid; None where there is no such place."""
    if latitude is None or longitude is None:
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return round(latitude * TENTHS), round(longitude * TENTHS)


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // HOUR_S
