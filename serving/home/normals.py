"""What is normal at places, by the last years' days there, asked for in a thread of its own: nobody waits for it.

The normal of a day is the mean of the 31 days around it in the last five years. A month of a place takes an asking for
each year and is kept while the process lives, for its cell of a tenth of a degree; nothing finer is asked or kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple, Protocol

from ingest.vocabulary.clock import Clock
from serving.home.errands import Errands
from serving.home.weather import TENTHS, Cell

YEARS = 5  # their mean is right to half a degree or so, and a free plan allows some 400 months of places a day
AROUND_DAYS = 15  # on either side of a day: so many that its own weather does not count, so few that spring does
KNOWN_SHARE_MIN = 0.6  # of the days that make a mean
NEXT_FROM_DAY = 24  # of a month: then the next one is asked for as well
months_kept_max = 10_000  # of cells: some 500 bytes each

Values = Sequence[float | None]


class ClimateProvider(Protocol):
    """Somebody who knows how warm it was.

    Not guaranteed: that it answers at all, or soon.
    """

    def daily_means(self, latitude: float, longitude: float, first: date, last: date) -> Values:
        """The mean temperature of each day there, in turn; None for what is not known.

        Raises:
            Unavailable: it did not answer.
        """
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


class _Month(NamedTuple):
    """A month of a cell."""

    cell: Cell
    number: int


class _Kept(NamedTuple):
    """The normals of a month's days, and when they were asked for."""

    normals_c: Values
    asked_on: date


class PlaceNormals:
    """Normals by cell and month. Any thread may ask.

    Guarantees: as `Normals`; bounded by `months_kept_max`, the ones wanted longest ago go first.
    Not guaranteed: that there is one. A month of which nothing is known is asked for again on another day.
    """

    def __init__(self, provider: ClimateProvider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock
        self._errands = Errands("normals", self._ask)
        self._kept: OrderedDict[_Month, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def normal_c(self, cell: Cell, day: date) -> float | None:
        """The mean temperature that a day of the year has in a cell; None until it is known."""
        kept = self._month(_Month(cell, day.month), day)
        if day.day >= NEXT_FROM_DAY:
            self._month(_Month(cell, day.month % 12 + 1), day)
        return None if kept is None else kept.normals_c[day.day - 1]

    def close(self) -> None:
        """Ask no more."""
        if self._errands.close():
            self._provider.close()

    def _month(self, month: _Month, day: date) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(month)
            if kept is not None:
                self._kept.move_to_end(month)
        if kept is None or (kept.asked_on != day and not any(normal is not None for normal in kept.normals_c)):
            self._errands.ask_for(month)
        return kept

    def _ask(self, month: _Month) -> None:
        today = self._clock.now().date()
        latitude, longitude = month.cell[0] / TENTHS, month.cell[1] / TENTHS
        spans = [_span(today.year - back, month.number) for back in range(1, YEARS + 1)]
        told = [self._provider.daily_means(latitude, longitude, *span) for span in spans]
        with self._lock:
            self._kept[month] = _Kept(normals_of(told), today)
            while len(self._kept) > months_kept_max:
                self._kept.popitem(last=False)


def normals_of(years: Sequence[Values]) -> tuple[float | None, ...]:
    """The normals of the 31 days that a month may have.

    Args:
        years: the days of one month in each year, from `AROUND_DAYS` before its first day on.
    """
    return tuple(_mean([value for year in years for value in year[at : at + 2 * AROUND_DAYS + 1]]) for at in range(31))


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < KNOWN_SHARE_MIN * YEARS * (2 * AROUND_DAYS + 1):
        return None
    return round(sum(known) / len(known), 1)


def _span(year: int, month: int) -> tuple[date, date]:
    """From some days before a month until as many behind its 31st day."""
    first = date(year, month, 1) - timedelta(AROUND_DAYS)
    return first, first + timedelta(30 + 2 * AROUND_DAYS)
