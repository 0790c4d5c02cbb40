"""What a homepage is chosen by: the variants, experiments and learning of a configuration, read and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.arms import RULES_ARM, ArmSet
from personalization.experiments.assignment import Experiment, check
from personalization.experiments.learning import Learning
from personalization.homepage.choosing import Homepage, read_homepage
from personalization.homepage.variants import orders_of
from serving.home.settings import HomepageSettings


class HomepageRules(msgspec.Struct, frozen=True):
    """What a homepage is chosen by: `[homepage]`, read and checked; the orders of variants that have several."""

    page: Homepage
    experiments: tuple[Experiment, ...]
    learning: Learning
    orders: Mapping[str, ArmSet] = {}


def read_rules(settings: HomepageSettings, placements: Collection[str]) -> HomepageRules:
    """The variants, experiments and learning of a configuration.

    Raises:
        ConfigurationError: with everything that is wrong with its variants, or the first thing with the rest.
    """
    page = read_homepage(settings.variants, placements)
    names = {page.default.name, *(rule.variant.name for rule in page.rules)}
    variants = (page.default, *(rule.variant for rule in page.rules))
    orders = {each.name: arms for each in variants if (arms := orders_of(each)) is not None}
    return HomepageRules(page, _experiments(settings.experiments, names), settings.learning.learning, orders)


def _experiments(configured: Mapping[str, Mapping[str, Any]], variants: Collection[str]) -> tuple[Experiment, ...]:
    experiments = []
    for name, settings in sorted(configured.items()):
        try:
            experiment = msgspec.convert({**settings, "name": name}, Experiment)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"homepage.experiments {name!r}: {error}") from error
        unknown = sorted(set(experiment.arms) - {*variants, RULES_ARM})
        if unknown:
            raise ConfigurationError(
                f"experiment {name!r} has arms that are no variant: {', '.join(unknown)}; "
                f"{RULES_ARM!r} is whatever the rules choose"
            )
        experiments.append(experiment)
    if len({experiment.layer for experiment in experiments}) > 1:
        raise ConfigurationError("experiments on the homepage decide the same thing: they need to be of one layer")
    return check(experiments)
