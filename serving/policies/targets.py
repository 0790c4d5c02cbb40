"""How probable each variant is under a configuration, in a situation that the log recorded."""

from __future__ import annotations

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import HomepageShown
from personalization.experiments.assignment import Experiment
from personalization.experiments.draws import table_of
from personalization.homepage.fields import Facts, facts_from
from serving.configuration import Configuration
from serving.home.rules import RULES_ARM


class Target:
    """The rules of a configuration, mixed with its experiments by their weights.

    Who takes part in an experiment is taken at random, as often as it admits people: the hash that decides it in the
    shop says nothing about somebody else.

    Raises:
        ConfigurationError: the configuration learns, so that its probabilities are not in it.
    """

    def __init__(self, configuration: Configuration) -> None:
        if configuration.homepage.learning.policy != "rule":
            raise ConfigurationError(
                "a homepage that learns has no probabilities before it has learned: give a configuration with "
                '[homepage.learning] policy = "rule", whose experiments may have weights'
            )
        rules = configuration.homepage_rules
        self._page, self._experiments = rules.page, rules.experiments

    def table(self, facts: Facts) -> dict[str, float]:
        """The probability of each variant that may be shown; they sum to 1. Cost: some 20 µs."""
        by_rule = self._page.choose(facts).variant.name
        fitting = {variant.name for variant in self._page.eligible(facts)}
        found: dict[str, float] = {}
        left = 1.0
        for experiment in self._experiments:
            takes_part = (experiment.ends - experiment.begins) * experiment.admitted
            arms = _arms(experiment, by_rule)
            if takes_part > 0 and arms.keys() <= fitting:
                left -= takes_part
                for variant, share in arms.items():
                    found[variant] = found.get(variant, 0.0) + takes_part * share
        if left > 0:
            found[by_rule] = found.get(by_rule, 0.0) + left
        return found


def facts_then(event: HomepageShown) -> Facts:
    """The facts that a homepage was chosen by."""
    return facts_from({**event.facts, "moment": epoch_ms(event.occurred_at) / 1_000})


def _arms(experiment: Experiment, by_rule: str) -> dict[str, float]:
    """The variants of an experiment with their shares; the rules may choose what is an arm as well."""
    table = table_of(dict(experiment.arms))
    found: dict[str, float] = {}
    for arm, share in zip(table.arms, table.probabilities, strict=True):
        variant = by_rule if arm == RULES_ARM else arm
        found[variant] = found.get(variant, 0.0) + share
    return found
