"""How probable each variant or arm is under a configuration, in a situation that the log recorded."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import HomepageShown, Shown
from personalization.experiments.arms import RULES_ARM
from personalization.experiments.assignment import Experiment
from personalization.experiments.draws import table_of
from personalization.homepage.fields import Facts, facts_from
from personalization.page.placements import Placement, with_arm
from serving.configuration import Configuration


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


class RowTarget:
    """How a configuration ranks a placement: as it stands, mixed with its experiments by their weights.

    Arms are told apart by what they do, whatever they are called: what the log knows of one is known of any other that
    ranks alike.

    Args:
        present: the configuration whose arms the log has drawn.

    Raises:
        ConfigurationError: the configuration has no such placement, or learns how to rank it.
    """

    def __init__(self, name: str, configuration: Configuration, present: Configuration) -> None:
        placement = configuration.placements.get(name)
        if placement is None:
            raise ConfigurationError(f"the configuration has no placement {name!r}")
        arms = configuration.arms.get(name)
        if arms is not None and arms.learning.policy != "rule":
            raise ConfigurationError(
                f"{name!r} learns how to rank, and has no probabilities before it has learned: give a configuration "
                'in which its learning has policy = "rule", whose experiments may have weights'
            )
        known, drawn = present.placements.get(name), present.arms.get(name)
        names = () if known is None or drawn is None else drawn.arms
        self._known = {_ranking(with_arm(known, arm)): arm for arm in reversed(names)} if known is not None else {}
        found: dict[str, float] = {}
        left = 1.0
        for experiment in () if arms is None else arms.experiments:
            takes_part = (experiment.ends - experiment.begins) * experiment.admitted
            left -= takes_part
            for arm, share in _arms(experiment, RULES_ARM).items():
                called = self._called(placement, arm)
                found[called] = found.get(called, 0.0) + takes_part * share
        called = self._called(placement, RULES_ARM)
        found[called] = found.get(called, 0.0) + max(left, 0.0)
        self.table = {arm: share for arm, share in found.items() if share > 0}

    def _called(self, placement: Placement, arm: str) -> str:
        return self._known.get(_ranking(with_arm(placement, arm)), f"{arm} of the configuration")


def _ranking(placement: Placement) -> bytes:
    """What decides how a placement is ranked, apart from which ways there are."""
    return msgspec.json.encode(replace(placement, arms={}, learning=None, experiments={}, purpose=""), order="sorted")


def facts_then(event: Shown) -> Facts:
    """The facts that a homepage was chosen by."""
    assert isinstance(event, HomepageShown), event
    return facts_from({**event.facts, "moment": epoch_ms(event.occurred_at) / 1_000})


def _arms(experiment: Experiment, by_rule: str) -> dict[str, float]:
    """The variants of an experiment with their shares; the rules may choose what is an arm as well."""
    table = table_of(dict(experiment.arms))
    found: dict[str, float] = {}
    for arm, share in zip(table.arms, table.probabilities, strict=True):
        variant = by_rule if arm == RULES_ARM else arm
        found[variant] = found.get(variant, 0.0) + share
    return found
