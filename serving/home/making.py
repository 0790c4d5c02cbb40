"""The parts of a homepage, made from a configuration; what only some shops need is imported where they need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from ingest.privacy import Alias
from ingest.vocabulary.clock import Clock
from ingest.vocabulary.events import HomepageShown
from personalization.experiments.draws import Propensities, table_of
from personalization.situation.visitor import PriceOf
from serving.configuration import Configuration
from serving.home.choice import Choosing
from serving.home.homepages import Homepages, Rows
from serving.home.settings import WeatherSettings
from serving.home.surroundings import Places, Surroundings, Weather
from serving.home.weather import NoWeather, WeatherCache


class EqualTables:
    """Nothing is learned: every variant is as probable as the others."""

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """The same for each."""
        return table_of(dict.fromkeys(eligible, 1.0))


def weather_of(settings: WeatherSettings, key: str | None, clock: Clock) -> WeatherCache | NoWeather:
    """The weather of a configuration.

    Raises:
        ConfigurationError: the provider needs a key and there is none.
    """
    if settings.provider == "none":
        return NoWeather()
    from serving.home.providers import provider_of  # a shop without weather needs no client of HTTP

    provider = provider_of(settings, key)
    assert provider is not None, settings
    return WeatherCache(provider, clock, settings)


def homepages_of(
    configuration: Configuration,
    *,
    rows: Rows,
    weather: Weather,
    places: Places,
    price_of: PriceOf,
    clock: Clock,
    shown: Callable[[HomepageShown, Alias | None], None],
) -> Homepages:
    """The service that answers homepages."""
    rules = configuration.homepage_rules
    settings = configuration.homepage
    origins = (urlsplit(origin).hostname for origin in configuration.serving.origins)
    return Homepages(
        choosing=Choosing(rules, settings.learning, EqualTables()),
        surroundings=Surroundings(places, weather, configuration.places, configuration.weather),
        rows=rows,
        placements=configuration.placements,
        own_hosts=[host for host in origins if host],
        language=settings.language,
        price_of=price_of,
        clock=clock,
        configuration_id=configuration.configuration_id,
        shown=shown,
        learns=settings.learning.policy != "rule" or bool(rules.experiments),
    )
