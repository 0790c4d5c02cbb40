"""The parts of a homepage, made from a configuration; what only some shops need is imported where they need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ingest.privacy import Alias
from ingest.vocabulary.clock import Clock
from ingest.vocabulary.events import HomepageShown
from personalization.experiments.arms import Arms, Tables
from personalization.experiments.draws import Propensities, table_of
from personalization.experiments.learning import LearningSettings
from personalization.situation.days.ahead import Calendar
from personalization.situation.visitor import PriceOf
from serving.configuration import Configuration
from serving.home.choice import Choosing
from serving.home.holidays import Days, PublicHolidays
from serving.home.homepages import Homepages, Rows, SegmentOf
from serving.home.settings import WeatherSettings
from serving.home.surroundings import Places, Surroundings, Weather
from serving.home.weather import NoWeather, WeatherCache
from serving.row_arms import RowArms

TablesOf = Callable[[LearningSettings], Tables]


class EqualTables:
    """Nothing is learned: every variant is as probable as the others."""

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """The same for each."""
        return table_of(dict.fromkeys(eligible, 1.0))


class Home(NamedTuple):
    """What answers homepages, and what it has to be told and asked beside the answers."""

    homepages: Homepages
    weather: WeatherCache | NoWeather
    days: Days


def homepages_of(
    configuration: Configuration,
    *,
    rows: Rows,
    places: Places,
    weather: Weather,
    days: Calendar,
    tables: TablesOf,
    price_of: PriceOf,
    segment_of: SegmentOf,
    clock: Clock,
    shown: Callable[[HomepageShown, Alias | None], None],
) -> Homepages:
    """The service that answers homepages."""
    rules, settings = configuration.homepage_rules, configuration.homepage
    origins = (urlsplit(origin).hostname for origin in configuration.serving.origins)
    return Homepages(
        choosing=Choosing(rules, settings.learning, tables(settings.learning)),
        orders={name: Arms(arms, tables(arms.learning)) for name, arms in rules.orders.items()},
        surroundings=Surroundings(places, weather, configuration.places, configuration.weather),
        calendar=days,
        rows=rows,
        placements=configuration.placements,
        own_hosts=[host for host in origins if host],
        language=settings.language,
        price_of=price_of,
        segment_of=segment_of,
        clock=clock,
        configuration_id=configuration.configuration_id,
        shown=shown,
        learns=bool(configuration.learning or configuration.experiments),
    )


def days_of(configuration: Configuration, *, patient: bool = False) -> Days:
    """The named days of a configuration; a command is patient, and waits until they can be told."""
    public = PublicHolidays() if configuration.places.public_holidays else None
    return Days(configuration.occasions, public, patient=patient)


def row_arms_of(configuration: Configuration, tables: TablesOf, clock: Clock) -> RowArms | None:
    """What chooses how rows are ranked; None where every placement has but one way."""
    arms = {name: Arms(each, tables(each.learning)) for name, each in configuration.arms.items()}
    return RowArms(arms, clock) if arms else None


def weather_of(settings: WeatherSettings, key: str | None, clock: Clock) -> WeatherCache | NoWeather:
    """The weather of a configuration.

    Raises:
        ConfigurationError: the provider needs a key and there is none.
    """
    if settings.provider == "none":
        return NoWeather()
    from serving.home.normals import PlaceNormals
    from serving.home.providers import climate_of, provider_of  # a shop without weather needs no client of HTTP

    provider, climate = provider_of(settings, key), climate_of(settings, key)
    assert provider is not None, settings
    return WeatherCache(provider, clock, settings, None if climate is None else PlaceNormals(climate, clock))
