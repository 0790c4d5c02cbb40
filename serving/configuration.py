"""`dangol.toml`: what a person writes, and the checked value it becomes."""

from __future__ import annotations

import hashlib
import os
import tomllib
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ingest.logs.kafka_settings import KafkaSettings, Security
from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.arms import ArmSet
from personalization.experiments.assignment import Experiment, check
from personalization.experiments.learning import LearningSettings
from personalization.page.placements import Placement, arms_of, read_placements
from recommender.configuration import TrainingConfiguration
from serving.folder import CONFIGURATION_FILE, make_folder
from serving.home.settings import HomepageSettings, PlacesSettings, WeatherSettings, check_surroundings

if TYPE_CHECKING:
    from personalization.situation.days.occasions import Occasion
    from serving.home.rules import HomepageRules

Role = Literal["all", "collect", "recommend"]  # what a process that serves does for others


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[serving]`: threads that answer, browser origins that may call, whether the demo store is at `/`."""

    threads: Annotated[int, Meta(ge=1, le=256)] = 8
    origins: tuple[str, ...] = ()
    demo_store: bool = True


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[training]`: a new snapshot so often, if anything was learnt since the last; 0 is never.

    One that lost more than these shares of the last one's size or figures is not published; 1 lets everything through.
    With `from_last` it goes on from the last one: what that searched for is kept for fewer than so many days of the
    shop's history, and while no more than such a share of the interactions came or went.
    """

    every_minutes: Annotated[int, Meta(ge=0, le=10_080)] = 60
    smaller_max: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.2
    worse_max: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.2
    from_last: bool = False
    search_every_days: Annotated[int, Meta(ge=1, le=365)] = 7
    search_after_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.2


class Privacy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[privacy]`: after so many days without a visit, somebody who never identified is forgotten; 0 is never."""

    idle_visitor_days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class Distributed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[distributed]`: where Kafka and Redis are; without the table everything is in the data folder."""

    kafka: str
    redis: str
    prefix: str = "dangol"
    replication: int = 1
    retention_days: int = 30
    security: Security = Security()

    @property
    def kafka_settings(self) -> KafkaSettings:
        """How Kafka is reached.

        Raises:
            ConfigurationError: a value cannot be used.
        """
        return KafkaSettings(
            bootstrap=self.kafka,
            prefix=self.prefix,
            replication=self.replication,
            retention_days=self.retention_days,
            **msgspec.structs.asdict(self.security),
        )


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Placements that the file does not name are the standard ones."""

    serving: Serving = Serving()
    training: Schedule = Schedule()
    models: TrainingConfiguration = TrainingConfiguration()
    privacy: Privacy = Privacy()
    distributed: Distributed | None = None
    placements: dict[str, Placement] = {}
    homepage: HomepageSettings = HomepageSettings()
    weather: WeatherSettings = WeatherSettings()
    places: PlacesSettings = PlacesSettings()
    holidays: tuple[dict[str, Any], ...] = ()

    @property
    def configuration_id(self) -> str:
        """The hash of what decides answers; not of threads and the like."""
        parts = [self.models, self.placements, self.homepage, self.weather, self.places, self.holidays]
        return "sha256:" + hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    @property
    def occasions(self) -> tuple[Occasion, ...]:
        """The shop's own days: `[[holidays]]`, read and checked.

        Raises:
            ConfigurationError: one of them cannot be.
        """
        from personalization.situation.days.occasions import read_occasions  # most commands need no calendar

        return read_occasions(self.holidays)

    @property
    def homepage_rules(self) -> HomepageRules:
        """What a homepage is chosen by. Cost: a millisecond for a dozen variants.

        Raises:
            ConfigurationError: as `read_rules`.
        """
        from serving.home.rules import read_rules  # most commands choose no homepage

        return read_rules(self.homepage, self.placements)

    @property
    def arms(self) -> dict[str, ArmSet]:
        """The ways to rank of each placement that has several.

        Raises:
            ConfigurationError: as `arms_of`.
        """
        found = {name: arms_of(placement) for name, placement in self.placements.items()}
        return {name: arms for name, arms in found.items() if arms is not None}

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """Every experiment: on the homepage, on orders of its rows, on placements.

        Raises:
            ConfigurationError: one cannot be, or two of them cannot run beside each other.
        """
        sets = (*self.homepage_rules.orders.values(), *self.arms.values())
        return check((*self.homepage_rules.experiments, *(each for arms in sets for each in arms.experiments)))

    @property
    def learning(self) -> tuple[LearningSettings, ...]:
        """Everything that learns, each under a name of its own.

        Raises:
            ConfigurationError: two have the same name, or one cannot learn.
        """
        sets = (*self.homepage_rules.orders.values(), *self.arms.values())
        every = [each for each in (self.homepage.learning, *(arms.learning for arms in sets)) if each.policy != "rule"]
        for one, two in pairwise(sorted(each.name for each in every)):
            if one == two:
                raise ConfigurationError(f"two policies learn under the name {one!r}: give each a name of its own")
        return tuple(every)


def load_configuration(path: Path, *, required: bool) -> Configuration:
    """The configuration in a file; the standard one if there is none and none was asked for.

    Raises:
        ConfigurationError: the file is missing, not TOML, or says something that cannot be; the message says where.
    """
    written = written_in(path, required=required)
    try:
        return _with_standard_placements(written)
    except (msgspec.ValidationError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def written_in(path: Path, *, required: bool) -> dict[str, Any]:
    """What a file says, unchecked; nothing if there is none and none was asked for.

    Raises:
        ConfigurationError: the file is missing, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigurationError(f"there is no configuration {path}") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def placements_in(written: dict[str, Any]) -> dict[str, Placement]:
    """The placements of what a file says: the standard ones, with its changes.

    Raises:
        ConfigurationError: one of them could not answer.
    """
    configured = written.get("placements", {})
    if not isinstance(configured, dict) or not all(isinstance(each, dict) for each in configured.values()):
        raise ConfigurationError('placements are tables, as in [placements."home.for-you"]')
    return read_placements(configured)


def write_configuration(folder: Path, more: bytes = b"") -> tuple[Path, bool]:
    """A commented `dangol.toml` in the data folder, unless there is one; its path, and whether it was written.

    Args:
        more: what is to stand at its end.
    """
    path = make_folder(folder) / CONFIGURATION_FILE
    template = files("serving").joinpath("templates", CONFIGURATION_FILE).read_bytes()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return path, False
    with os.fdopen(descriptor, "wb") as file:
        file.write(template + more)
    return path, True


def _with_standard_placements(written: dict[str, Any]) -> Configuration:
    placements = placements_in(written)
    rest = {name: value for name, value in written.items() if name != "placements"}
    configuration = msgspec.structs.replace(msgspec.convert(rest, Configuration), placements=placements)
    check_surroundings(configuration.weather, configuration.places)
    if configuration.holidays:
        _ = configuration.occasions  # says now what is wrong with them
    if configuration.homepage != HomepageSettings() or configuration.arms:
        _ = configuration.experiments, configuration.learning  # says now what is wrong with them
    return configuration
