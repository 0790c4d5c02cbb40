"""The weather at places, kept by the hour and asked for in a thread of its own: a request never waits for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import date, datetime
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from ingest.vocabulary.clock import HOUR_S, Clock
from personalization.situation.weather import Reading, normal_on
from serving.home.errands import Errands
from serving.home.settings import WeatherSettings

TENTHS = 10  # of a degree: the grid that weather is kept by, some ten kilometres
cells_max = 5_000  # about a megabyte; a shop's visitors live in some hundred
stale_hours_max = 2  # an older reading is none
prefetched_max = 200  # cells that are asked for anew at the turn of the hour; a free plan allows 600 in a minute

Cell = tuple[int, int]


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


class Normals(Protocol):
    """Knows what is normal at places.

    Guarantees: it never waits.
    """

    def normal_c(self, cell: Cell, day: date) -> float | None:
        """The mean temperature that a day of the year has there; None if it is not known (yet)."""
        ...

    def close(self) -> None:
        """Ask nobody any more."""
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
    """Readings by cell and hour, with what is normal there. Any thread may ask.

    Guarantees: asking never waits for the provider; what it knows no answer to is asked for in the background, once,
    however many want it. Bounded: `cells_max` cells, the ones wanted longest ago go first.
    Not guaranteed: that there is a reading.
    """

    def __init__(
        self, provider: WeatherProvider, clock: Clock, settings: WeatherSettings, normals: Normals | None = None
    ) -> None:
        self._provider, self._clock = provider, clock
        self._normals, self._elsewhere = settings.normals_c, normals
        self._shop = cell_of(settings.latitude, settings.longitude)
        self._errands = Errands("weather", self._ask, self._prefetch)
        self._kept: OrderedDict[Cell, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._prefetched_hour = -1

    def begin(self) -> None:
        """Ask for the shop's own place, so that it is there when somebody wants it."""
        if self._shop is not None:
            self._errands.ask_for(self._shop)

    def reading(self, latitude: float, longitude: float, now: datetime) -> Reading | None:
        """The weather of a cell in this hour, or of `stale_hours_max` before while this one's is asked for."""
        cell = cell_of(latitude, longitude)
        if cell is None:
            return None
        hour = _hour(now)
        with self._lock:
            kept = self._kept.get(cell)
            if kept is not None:
                self._kept[cell] = kept._replace(wanted_hour=hour)
                self._kept.move_to_end(cell)
        if kept is None or kept.hour != hour:
            self._errands.ask_for(cell)
        if kept is None or not 0 <= hour - kept.hour <= stale_hours_max:
            return None
        return self._with_normal(cell, kept.reading, now)

    def close(self) -> None:
        """Ask no more."""
        if self._errands.close():
            self._provider.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _with_normal(self, cell: Cell, reading: Reading, now: datetime) -> Reading:
        """What is normal is configured for the shop's place, and asked of somebody for others."""
        if cell == self._shop and self._normals:
            return replace(reading, normal_c=normal_on(self._normals, now.date()))
        if self._elsewhere is None:
            return reading
        return replace(reading, normal_c=self._elsewhere.normal_c(cell, now.date()))

    def _ask(self, cell: Cell) -> None:
        """Ask for a cell. What cannot be had is asked for when somebody wants it again."""
        hour = _hour(self._clock.now())
        reading = self._provider.read(cell[0] / TENTHS, cell[1] / TENTHS)
        with self._lock:
            before = self._kept.get(cell)
            self._kept[cell] = _Kept(hour, reading, hour if before is None else before.wanted_hour)
            while len(self._kept) > cells_max:
                self._kept.popitem(last=False)

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
            self._errands.ask_for(cell)


def cell_of(latitude: float | None, longitude: float | None) -> Cell | None:
    """The cell of the grid; None where there is no such place."""
    if latitude is None or longitude is None:
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return round(latitude * TENTHS), round(longitude * TENTHS)


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // HOUR_S
