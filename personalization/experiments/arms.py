"""Several ways to do one thing: what a placement is ranked by, in which order rows stand; and which of them it is.

An experiment goes before learning, learning before what is configured, as it is for homepages. All arms are always
eligible: they rank what was asked for, whatever the situation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Chosen
from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.assignment import Assignment, Experiment, assign_all, check
from personalization.experiments.draws import Propensities, draw_or_hold, table_of
from personalization.experiments.learning import LearningSettings

RULES_ARM = "rules"  # whatever the configuration says, without any arm
arms_max = 5  # of a placement or a page: the record of a shown list stays below a kilobyte
ARM_NAME_LENGTH_MAX = 16  # likewise

Features = Callable[[], tuple[float, ...]]


class Tables(Protocol):
    """Knows how probable each of some arms is to be shown, from what was learned."""

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """The probability of each; `features` are empty where the situation does not matter."""
        ...


class ArmSet(NamedTuple):
    """What there is to choose from, and how.

    Attributes:
        name: of whatever has arms, such as a placement.
        arms: their names, `RULES_ARM` first.
        learning: whose name tells it from all other policies.
        experiments: of one layer, since they decide the same thing.
    """

    name: str
    arms: tuple[str, ...]
    learning: LearningSettings
    experiments: tuple[Experiment, ...]


class Arms:
    """Chooses an arm. Any thread may ask.

    Guarantees: the same request is shown the same, as long as the tables are the same; a recorded probability is the
    one it was drawn with.
    """

    def __init__(self, what: ArmSet, tables: Tables) -> None:
        self._what, self._tables = what, tables
        self._shares = {each.name: _shares(each) for each in what.experiments}
        self.is_contextual = what.learning.policy == "contextual"

    def choose(self, request_id: RequestId, subject: Subject | None, *, learns: bool, features: Features) -> Chosen:
        """The arm of a request. Cost: three hashes an experiment, 10 µs where an arm is drawn.

        Args:
            subject: who asks; nobody else takes part in experiments.
            learns: whether what follows can be told to belong to this decision.
            features: the situation as numbers, asked for by a contextual policy only.
        """
        what = self._what
        if subject is not None and what.experiments:
            assigned = assign_all(what.experiments, subject)
            if assigned:
                return of_experiment(assigned[0], self._shares[assigned[0].experiment])
        if what.learning.policy == "rule":
            return Chosen(RULES_ARM, eligible={RULES_ARM: 1.0})
        seen = features() if self.is_contextual else ()
        return drawn(
            what.learning, self._tables.table(what.arms, seen), RULES_ARM, request_id, subject, learns=learns, seen=seen
        )


def of_experiment(assigned: Assignment, shares: Mapping[str, float]) -> Chosen:
    """The arm somebody has in an experiment."""
    return Chosen(
        assigned.arm,
        "experiment",
        eligible=dict(shares),
        propensity=assigned.propensity,
        experiment=assigned.experiment,
    )


def drawn(
    settings: LearningSettings,
    table: Propensities,
    default: str,
    request_id: RequestId,
    subject: Subject | None,
    *,
    learns: bool,
    seen: tuple[float, ...],
) -> Chosen:
    """An arm by what was learned; the default for who is held out.

    Args:
        seen: the situation as numbers, where it matters.
    """
    holdout = 0.0 if subject is None else settings.holdout
    found = draw_or_hold(table, settings.name, subject or "", request_id, default=default, holdout=holdout)
    if found.held_out:
        return Chosen(default, eligible={default: 1.0}, held_out=True)
    return Chosen(
        found.arm,
        "bandit",
        learner=settings.name if learns else None,
        terms=settings.terms if learns else None,
        eligible=dict(zip(table.arms, table.probabilities, strict=True)),
        propensity=found.propensity,
        features=seen,
    )


def read_arms(
    name: str, arms: Collection[str], learning: LearningSettings | None, experiments: Mapping[str, Mapping[str, Any]]
) -> ArmSet | None:
    """What there is to choose from, checked; None where there is nothing.

    Args:
        name: also the default of a learner's name and of an experiment's layer.
        experiments: as somebody wrote them.

    Raises:
        ConfigurationError: says what cannot be.
    """
    if not arms:
        if learning is not None or experiments:
            raise ConfigurationError(f"{name}: there is nothing to learn or compare: it has no arms")
        return None
    if len(arms) >= arms_max:
        raise ConfigurationError(f"{name}: it may have {arms_max - 1} arms beside {RULES_ARM!r}, got {len(arms)}")
    for arm in arms:
        if not 1 <= len(arm) <= ARM_NAME_LENGTH_MAX or arm == RULES_ARM:
            raise ConfigurationError(
                f"{name}: an arm's name has 1 to {ARM_NAME_LENGTH_MAX} characters and is not {RULES_ARM!r}, got {arm!r}"
            )
    settings = LearningSettings() if learning is None else learning
    if settings.name == LearningSettings().name:
        settings = msgspec.structs.replace(settings, name=name)
    if settings.learning.floor * (len(arms) + 1) > 1:
        raise ConfigurationError(f"{name}: a floor of {settings.floor} has no room for {len(arms) + 1} arms")
    every = (RULES_ARM, *sorted(arms))
    return ArmSet(name, every, settings, _experiments(name, experiments, every))


def _experiments(name: str, written: Mapping[str, Mapping[str, Any]], arms: Collection[str]) -> tuple[Experiment, ...]:
    found = []
    for called, settings in sorted(written.items()):
        try:
            experiment = msgspec.convert({"layer": name, **settings, "name": called}, Experiment)
        except (msgspec.ValidationError, TypeError) as error:
            raise ConfigurationError(f"{name}: experiment {called!r}: {error}") from error
        unknown = sorted(set(experiment.arms) - set(arms))
        if unknown:
            raise ConfigurationError(
                f"{name}: experiment {called!r} has arms that there are not: {', '.join(unknown)}; "
                f"there are {', '.join(arms)}"
            )
        found.append(experiment)
    if len({experiment.layer for experiment in found}) > 1:
        raise ConfigurationError(f"{name}: its experiments decide the same thing: they need to be of one layer")
    return check(found)


def _shares(experiment: Experiment) -> dict[str, float]:
    table = table_of(dict(experiment.arms))
    return dict(zip(table.arms, table.probabilities, strict=True))
