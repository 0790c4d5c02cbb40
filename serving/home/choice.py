"""Which variant is shown: an experiment's arm, else what was learned, else the rules; and how probable that was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ingest.vocabulary.events import Terms
from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.arms import RULES_ARM, Tables, drawn
from personalization.experiments.assignment import Assignment, Experiment, assign_all
from personalization.experiments.draws import arms_max, table_of
from personalization.experiments.learning import LearningSettings
from personalization.homepage.choosing import Choice, Homepage
from personalization.homepage.features import features_of
from personalization.homepage.fields import Facts
from personalization.homepage.variants import Variant
from serving.home.rules import HomepageRules

Policy = Literal["rule", "bandit", "experiment", "default"]


class Chosen(NamedTuple):
    """The variant that is shown, and everything that has to be known to learn from it.

    Attributes:
        rule: why, in words.
        eligible: every variant it was chosen from, with its probability; they sum to 1.
        learner, terms: the name under which is learned from it, if at all, and how it is counted.
    """

    variant: Variant
    policy: Policy
    rule: str
    propensity: float
    eligible: Mapping[str, float]
    learner: str | None = None
    terms: Terms | None = None
    held_out: bool = False
    experiment: Assignment | None = None
    features: tuple[float, ...] = ()


class Choosing:
    """Chooses variants. Any thread may ask.

    Guarantees: the same request in the same situation is shown the same, as long as the tables are the same; a
    recorded probability is the one it was drawn with.
    """

    def __init__(self, rules: HomepageRules, learning: LearningSettings, tables: Tables) -> None:
        self.page, self._experiments, self._learning, self._tables = rules.page, rules.experiments, learning, tables
        self._arms = {each.name: _shares(each) for each in rules.experiments}

    def choose(self, facts: Facts, request_id: RequestId, subject: Subject | None, *, learns: bool) -> Chosen:
        """The variant for a situation.

        Args:
            subject: whoever asks, if they are known and may be; nobody else takes part in experiments.
            learns: whether what follows can be told to belong to this decision.
        """
        choice = self.page.choose(facts)
        if subject is not None and self._experiments:
            assigned = assign_all(self._experiments, subject)
            if assigned:
                chosen = self._of_experiment(assigned[0], choice, facts)
                if chosen is not None:
                    return chosen
        if self._learning.policy != "rule":
            chosen = self._learned(choice, facts, request_id, subject, learns)
            if chosen is not None:
                return chosen
        return Chosen(choice.variant, choice.policy, choice.rule, 1.0, {choice.variant.name: 1.0})

    def _of_experiment(self, assigned: Assignment, choice: Choice, facts: Facts) -> Chosen | None:
        """The variant of an arm; None where one of the arms' variants does not fit, so that none may be compared."""
        fitting = {variant.name: variant for variant in self.page.eligible(facts)}
        shown: dict[str, Variant] = {}
        eligible: dict[str, float] = {}
        for arm, probability in self._arms[assigned.experiment].items():
            variant = choice.variant if arm == RULES_ARM else fitting.get(arm)
            if variant is None:
                return None
            shown[arm] = variant
            eligible[variant.name] = eligible.get(variant.name, 0.0) + probability
        variant = shown[assigned.arm]
        words = f"experiment {assigned.experiment}, arm {assigned.arm}"
        return Chosen(variant, "experiment", words, eligible[variant.name], eligible, experiment=assigned)

    def _learned(
        self, choice: Choice, facts: Facts, request_id: RequestId, subject: Subject | None, learns: bool
    ) -> Chosen | None:
        """The variant that was drawn; None where there is but one."""
        fitting = {variant.name: variant for variant in _bounded(self.page, facts)}
        if len(fitting) < 2:
            return None
        settings = self._learning
        features = features_of(facts) if settings.policy == "contextual" else ()
        table = self._tables.table(tuple(fitting), features)
        default = choice.variant.name
        found = drawn(settings, table, default, request_id, subject, learns=learns, seen=features)
        if found.held_out:
            words = f"held out of what is learned: {choice.rule}"
            return Chosen(choice.variant, choice.policy, words, 1.0, found.eligible, held_out=True)
        words = f"learned as {settings.name!r}: shown {found.propensity:.1%} of the time in this situation"
        return Chosen(
            fitting[found.arm],
            "bandit",
            words,
            found.propensity,
            found.eligible,
            found.learner,
            found.terms,
            features=features,
        )


def _bounded(page: Homepage, facts: Facts) -> tuple[Variant, ...]:
    """What fits, the default included, as many as can be learned."""
    fitting = page.eligible(facts)
    return fitting if len(fitting) <= arms_max else (*fitting[: arms_max - 1], fitting[-1])


def _shares(experiment: Experiment) -> dict[str, float]:
    table = table_of(dict(experiment.arms))
    return dict(zip(table.arms, table.probabilities, strict=True))
