"""Named days for homepages: public holidays by the library `holidays`, and the shop's own from its configuration.

The library brings its data along and asks nobody. It takes half a second and 40 MB to load, so that it is loaded in a
thread of its own, and only where a country is known; until then no public holiday is.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import structlog

from personalization.situation.days.ahead import Ahead, Period, ahead_of
from personalization.situation.days.occasions import Occasion, periods_of

days_kept_max = 4_096  # places and days: some 200 bytes each
years_kept_max = 2_000  # years of a country or region: some 2 KB each

_ESTIMATED = re.compile(r"\s*\((observed, )?estimated\)$")  # feasts that begin when the moon is seen
_ENGLISH = ("en_US", "en_GB")

_log = structlog.get_logger(__name__)
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class PublicHolidays:
    """Public holidays of some 250 countries, by years. Any thread may ask.

    Guarantees: nobody waits for the library, unless they `load` it. What is not supported has no holidays.
    """

    def __init__(self) -> None:
        self._library: Any = None
        self._supported: Mapping[str, Sequence[str]] = {}
        self._years: OrderedDict[tuple[str, str | None, int], tuple[Period, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def loaded(self) -> bool:
        """Whether the library is there."""
        return self._library is not None

    def begin(self) -> None:
        """Load the library in the background, once."""
        with self._lock:
            if self._thread is None and not self.loaded:
                self._thread = threading.Thread(target=self.load, name="holidays", daemon=True)
                self._thread.start()

    def load(self) -> None:
        """Load the library now. Cost: half a second."""
        try:
            import holidays

            supported = holidays.list_supported_countries()
            holidays.country_holidays("GB", years=[2026])  # loads the countries
        except Exception:  # noqa: BLE001 - logged with its trace: a page does without holidays
            _log.exception("public holidays cannot be told")
            return
        self._supported = {country: regions for country, regions in supported.items() if len(country) == 2}
        self._library = holidays

    def knows(self, country: str) -> bool:
        """Whether the country is supported, as far as that is known yet."""
        return country in self._supported

    def periods(self, country: str, region: str | None, year: int) -> tuple[Period, ...]:
        """The holidays of a year; those of the whole country where the region is not known. Cost: once, some 0.5 ms."""
        key = (country, region if region in self._supported.get(country, ()) else None, year)
        with self._lock:
            found = self._years.get(key)
        if found is None:
            found = tuple(self._of_library(*key))
            _keep(self._lock, self._years, key, found, years_kept_max)
        return found

    def _of_library(self, country: str, region: str | None, year: int) -> list[Period]:
        try:
            languages = self._library.country_holidays(country).supported_languages
            language = next((each for each in _ENGLISH if each in languages), None)
            named = self._library.country_holidays(country, subdiv=region, years=[year], language=language)
        except Exception:  # noqa: BLE001 - whatever is wrong with a country's rules, a page does without them
            _log.exception("public holidays cannot be told", country=country, region=region, year=year)
            return []
        return [_period(day, name) for day, names in sorted(named.items()) for name in names.split("; ")]


class Days:
    """The named days of a shop's visitors: a `Calendar`. Any thread may ask.

    Cost: 1 µs for a day asked for lately.

    Args:
        public: tells public holidays; None where nobody wants them.
        patient: whether whoever asks waits for the library, as a command may.
    """

    def __init__(self, occasions: Sequence[Occasion], public: PublicHolidays | None, *, patient: bool = False) -> None:
        self._occasions, self._public, self._patient = tuple(occasions), public, patient
        self._named = frozenset(country for occasion in occasions for country in occasion.countries)
        self._holidays: OrderedDict[tuple[str, str | None, date], Ahead | None] = OrderedDict()
        self._own: OrderedDict[tuple[str | None, date], Ahead | None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Load what takes time, in the background."""
        if self._public is not None:
            self._public.begin()

    def upcoming(self, country: str | None, region: str | None, begin: date) -> list[tuple[str, Period]]:
        """What has a name in the year from a day on, in order, each with whether it is `public` or the shop's `own`."""
        public = self._public
        found = [("own", period) for period in periods_of(self._occasions, country, begin)]
        if public is not None and country is not None:
            public.load()
            years = (begin.year, begin.year + 1) if public.knows(country) else ()
            found += [("public", period) for year in years for period in public.periods(country, region, year)]
        end = begin.replace(year=begin.year + 1, day=min(begin.day, 28))
        return sorted(
            (each for each in found if begin <= each[1].last and each[1].first < end), key=lambda each: each[1]
        )

    def holiday(self, country: str, region: str | None, day: date) -> Ahead | None:
        """A day among public holidays; None until they can be told, and where the country is not supported."""
        public = self._public
        if public is None:
            return None
        if not public.loaded:
            public.load() if self._patient else public.begin()
        if not public.loaded:
            return None
        key = (country, region, day)
        with self._lock:
            if key in self._holidays:
                return self._holidays[key]
        years = range(day.year, min(day.year + 2, date.max.year) + 1) if public.knows(country) else ()
        found = ahead_of(day, [period for year in years for period in public.periods(country, region, year)])
        _keep(self._lock, self._holidays, key, found, days_kept_max)
        return found

    def occasion(self, country: str | None, day: date) -> Ahead | None:
        """A day among those of the shop."""
        if not self._occasions:
            return None
        key = (country if country in self._named else None, day)
        with self._lock:
            if key in self._own:
                return self._own[key]
        found = ahead_of(day, periods_of(self._occasions, key[0], day))
        _keep(self._lock, self._own, key, found, days_kept_max)
        return found


def _period(day: date, name: str) -> Period:
    """A holiday by its name; that it is an estimate is kept apart from it."""
    plain, estimated = _ESTIMATED.subn(lambda found: " (observed)" if found[1] else "", name)
    return Period(day, day, plain.strip().casefold(), not estimated)


def _keep(lock: threading.Lock, kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, kept_max: int) -> None:
    """Keep an answer, in place of the one kept longest if there are too many."""
    with lock:
        kept[key] = value
        while len(kept) > kept_max:
            kept.popitem(last=False)
