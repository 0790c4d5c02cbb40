"""A day among named days: which of them it is, which comes next, and in how many days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, Protocol

NONE = "none"  # what a day that has no name is called; it is known, unlike what is unknown
AHEAD_DAYS_MAX = 400  # a year and its leap day, and room for feasts that follow the moon


class Period(NamedTuple):
    """A named day, or several in a row; both ends belong to it. Not `sure` is what may still move by a day."""

    first: date
    last: date
    name: str
    sure: bool = True


class Ahead(NamedTuple):
    """A day among named ones.

    Attributes:
        today: the name it has; `NONE` for an ordinary day.
        coming: the name of the next one; today's, if it has one.
        days: how many there are until that begins; 0 within it.
        sure: whether what this rests on is certain to fall on its day.
    """

    today: str
    coming: str
    days: int
    sure: bool = True


class Calendar(Protocol):
    """Knows named days.

    Guarantees: it never waits and never fails; what it has told of a day it tells again.
    Not guaranteed: that it knows.
    """

    def holiday(self, country: str, region: str | None, day: date) -> Ahead | None:
        """A day among the public holidays of a country (ISO 3166-1), and of a region of it (the end of ISO 3166-2)."""
        ...

    def occasion(self, country: str | None, day: date) -> Ahead | None:
        """A day among those the shop has named for visitors from a country."""
        ...


class NoCalendar:
    """Knows no day by name."""

    def holiday(self, country: str, region: str | None, day: date) -> Ahead | None:
        """Nothing."""
        return None

    def occasion(self, country: str | None, day: date) -> Ahead | None:
        """Nothing."""
        return None


NO_CALENDAR = NoCalendar()


def ahead_of(day: date, periods: Iterable[Period]) -> Ahead | None:
    """A day among periods. None if it is in none and none begins within `AHEAD_DAYS_MAX` days.

    Of several at once the shortest counts, since the long ones are seasons; of equal ones the first to begin, then the
    first by name.
    """
    here: list[Period] = []
    later: list[Period] = []
    for period in periods:
        if period.first <= day <= period.last:
            here.append(period)
        elif 0 < (period.first - day).days <= AHEAD_DAYS_MAX:
            later.append(period)
    if here:
        found = min(here, key=_shortest)
        return Ahead(found.name, found.name, 0, found.sure)
    if not later:
        return None
    found = min(later, key=lambda period: (period.first, _shortest(period)))
    return Ahead(NONE, found.name, (found.first - day).days, found.sure)


def _shortest(period: Period) -> tuple[int, date, str]:
    return (period.last - period.first).days, period.first, period.name
