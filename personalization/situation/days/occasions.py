"""The shop's own days: what a person configures, and when that is in a year.

A day is fixed (`on`), counted from Easter (`easter`), or the nth weekday of a month (`weekday`, `nth`, `month`); a
season is `from` … `to`. `after` moves it, `lead_days` lets it begin earlier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingest.vocabulary.errors import ConfigurationError
from personalization.situation.days.ahead import NONE, Period
from personalization.situation.seasons import MONTHS, WEEKDAYS

occasions_max = 200  # a day in two, in a long retail calendar
LENGTH_DAYS_MAX = 366

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Month = Literal[
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
]  # fmt: skip
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_ONCE = re.compile(r"^\d{4}-\d\d-\d\d$", re.ASCII)
_EVERY_YEAR = re.compile(r"^(\d\d)-(\d\d)$", re.ASCII)
_LEAP_YEAR = 2024  # so that 02-29 can be written


class Occasion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[holidays]]`: a day or season that the shop has a name for.

    Attributes:
        on: a date (`2026-12-24`), a day of every year (`12-24`), or a list of these.
        begins, ends: the same for a season, which may go past the new year; both ends belong to it.
        easter: so many days from Easter Sunday (of the western churches), below 0 before it.
        weekday, nth, month: the nth such weekday of a month, -1 for the last.
        after: so many days later; below 0 earlier.
        lead_days: it begins so many days before.
        countries: only for visitors from there; everywhere, if none is named.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    on: str | tuple[str, ...] | None = None
    begins: str | None = msgspec.field(default=None, name="from")
    ends: str | None = msgspec.field(default=None, name="to")
    easter: Annotated[int, Meta(ge=-100, le=250)] | None = None
    weekday: Weekday | None = None
    nth: Annotated[int, Meta(ge=-1, le=5)] | None = None
    month: Month | None = None
    after: Annotated[int, Meta(ge=-366, le=366)] = 0
    lead_days: Annotated[int, Meta(ge=0, le=LENGTH_DAYS_MAX)] = 0
    countries: tuple[Country, ...] = ()

    @property
    def days(self) -> tuple[str, ...]:
        """The days that are named by their date."""
        if self.on is None:
            return ()
        return self.on if isinstance(self.on, tuple) else (self.on,)

    def is_for(self, country: str | None) -> bool:
        """Whether it is one for visitors from a country; a named one is not for those of whom none is known."""
        return not self.countries or (country or "").upper() in self.countries

    def periods(self, year: int) -> Iterator[Period]:
        """When it is, of what begins in a year before it is moved; nothing in a year that does not have it."""
        for first, last in self._spans(year):
            try:
                moved = timedelta(self.after)
                yield Period(first + moved - timedelta(self.lead_days), last + moved, self.name.strip().casefold())
            except OverflowError:
                continue

    def _spans(self, year: int) -> Iterator[tuple[date, date]]:
        if self.begins is not None and self.ends is not None:
            yield from _season(self.begins, self.ends, year)
        if self.on is not None:
            for written in self.days:
                if (day := _in_year(written, year)) is not None:
                    yield day, day
        if self.easter is not None:
            day = easter_sunday(year) + timedelta(self.easter)
            yield day, day
        if self.weekday is not None and self.month is not None and self.nth is not None:
            day_of_week = nth_weekday(year, MONTHS.index(self.month) + 1, WEEKDAYS.index(self.weekday), self.nth)
            if day_of_week is not None:
                yield day_of_week, day_of_week


def check_occasions(occasions: Sequence[Occasion]) -> None:
    """Refuses days that cannot be.

    Raises:
        ConfigurationError: with the name of the day, and what it may be.
    """
    if len(occasions) > occasions_max:
        raise ConfigurationError(f"holidays: there may be {occasions_max}, got {len(occasions)}")
    for occasion in occasions:
        for wrong, words in _problems(occasion):
            if wrong:
                raise ConfigurationError(f"holidays {occasion.name!r}: {words}")


def _problems(occasion: Occasion) -> Iterator[tuple[bool, str]]:
    by_weekday = (occasion.weekday, occasion.nth, occasion.month)
    span = (occasion.begins, occasion.ends)
    told = [occasion.on is not None, any(part is not None for part in span), occasion.easter is not None]
    told.append(any(part is not None for part in by_weekday))
    name = occasion.name.strip().casefold()
    yield not name or name in (NONE, "unknown"), "that is no name for a day"
    yield sum(told) != 1, "it needs one of on, from and to, easter, or weekday, nth and month"
    yield any(span) and None in span, "from and to go together"
    yield told[3] and None in by_weekday, "weekday, nth and month go together"
    yield occasion.nth == 0, "nth is 1 to 5, or -1 for the last"
    for each in (*occasion.days, *(end for end in span if end is not None)):
        yield _dated(each) is None and _yearly(each) is None, f"{each!r} is no day, as 12-24 or 2026-12-24 is"
    dated = [end for end in map(_dated, filter(None, span)) if end is not None]
    yield len(dated) == 1, "from and to are both dates or both days of every year"
    yield len(dated) == 2 and not 0 <= (dated[1] - dated[0]).days < LENGTH_DAYS_MAX, "it ends after it begins"


def periods_of(occasions: Sequence[Occasion], country: str | None, day: date) -> list[Period]:
    """What the shop has named for a country, as far as it may be near a day."""
    years = [year for year in range(day.year - 2, day.year + 3) if date.min.year < year < date.max.year]
    return [
        period
        for occasion in occasions
        if occasion.is_for(country)
        for year in years
        for period in occasion.periods(year)
    ]


def easter_sunday(year: int) -> date:
    """Easter of the western churches, by the Gregorian calendar.

    Source: the anonymous algorithm of *Nature* (1876), as Meeus gives it in *Astronomical Algorithms*, chapter 8.
    """
    golden, (century, of_century) = year % 19, divmod(year, 100)
    leap_centuries, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - correction + 15) % 30
    leap_years, left = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * leap_years - epact - left) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date | None:
    """The nth weekday (Monday is 0) of a month, the last for -1; None in a month that has no fifth."""
    first = date(year, month, 1)
    day = 1 + (weekday - first.weekday()) % 7 + 7 * ((5 if nth == -1 else nth) - 1)
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 7) if nth == -1 else None


def read_occasions(written: Sequence[Mapping[str, object]]) -> tuple[Occasion, ...]:
    """The days that somebody wrote; dates may be written as such or as text.

    Raises:
        ConfigurationError: one of them cannot be.
    """
    try:
        occasions = msgspec.convert([_with_text(each) for each in written], tuple[Occasion, ...])
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"holidays: {error}") from error
    check_occasions(occasions)
    return occasions


def _with_text(written: object) -> object:
    """Dates of TOML as text, alone and in lists."""
    if isinstance(written, Mapping):
        return {name: _with_text(value) for name, value in written.items()}
    if isinstance(written, list | tuple):
        return [_with_text(each) for each in written]
    return written.isoformat() if type(written) is date else written


def _season(begins: str, ends: str, year: int) -> Iterator[tuple[date, date]]:
    first, last = _in_year(begins, year), _dated(ends) or _in_year(ends, year)
    if first is None or last is None:
        return
    if last < first:
        last = _in_year(ends, year + 1)
    if last is not None:
        yield first, last


def _in_year(written: str, year: int) -> date | None:
    """The day in a year; 29 February is 28 February in years without one."""
    dated, yearly = _dated(written), _yearly(written)
    if dated is not None:
        return dated if dated.year == year else None
    if yearly is None:
        return None
    month, day = yearly
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 1)


def _dated(written: str) -> date | None:
    """A day of one year."""
    try:
        return date.fromisoformat(written) if _ONCE.match(written) else None
    except ValueError:
        return None


def _yearly(written: str) -> tuple[int, int] | None:
    """The month and day of a day of every year."""
    matched = _EVERY_YEAR.match(written)
    if matched is None:
        return None
    month, day = int(matched[1]), int(matched[2])
    try:
        date(_LEAP_YEAR, month, day)
    except ValueError:
        return None
    return month, day
