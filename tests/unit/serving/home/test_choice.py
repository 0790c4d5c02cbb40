"""Which variant is shown and how probable that was: what is recorded is what it was drawn with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.draws import Propensities, table_of
from personalization.homepage.features import FEATURE_NAMES
from personalization.homepage.fields import facts_from
from serving.home.choice import Choosing, Chosen
from serving.home.rules import read_rules
from serving.home.settings import HomepageSettings, LearningSettings

VARIANTS: dict[str, dict[str, Any]] = {
    "rain": {"priority": 2, "when": {"weather": "rain"}},
    "phone": {"priority": 1, "when": {"device": "mobile"}},
    "default": {},
}
RAIN = facts_from({"weather": "rain"})
RAIN_ON_A_PHONE = facts_from({"weather": "rain", "device": "mobile"})
SUN = facts_from({"weather": "sunny"})
HALVES: dict[str, Any] = {"arms": {"rain": 1, "default": 1}, "control": "default"}


class Weighing:
    """Tables by fixed weights; keeps what it was asked."""

    def __init__(self, **weights: float) -> None:
        self._weights = weights
        self.asked: list[tuple[tuple[str, ...], tuple[float, ...]]] = []

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """The table of some arms."""
        self.asked.append((tuple(eligible), tuple(features)))
        return table_of({name: self._weights.get(name, 1.0) for name in eligible})


def choosing(tables: Weighing | None = None, **settings: Any) -> Choosing:
    configured = HomepageSettings(variants=VARIANTS, **settings)
    return Choosing(read_rules(configured, ["home.popular"]), configured.learning, tables or Weighing())


def chosen(made: Choosing, facts: Any, number: int = 0, subject: str | None = None, learns: bool = True) -> Chosen:
    who = None if subject is None else Subject(subject)
    return made.choose(facts, RequestId(f"r-{number}"), who, learns=learns)


def test_without_learning_the_rules_choose_with_certainty() -> None:
    made = choosing()
    found = chosen(made, RAIN_ON_A_PHONE, subject="mary")
    assert (found.variant.name, found.policy, found.propensity, found.learner) == ("rain", "rule", 1.0, None)
    assert found.rule == "weather is rain"
    assert dict(found.eligible) == {"rain": 1.0}
    assert chosen(made, SUN).policy == "default"


def test_what_is_learned_is_drawn_with_the_probability_that_is_recorded() -> None:
    tables = Weighing(rain=6.0, phone=3.0, default=1.0)
    made = choosing(tables, learning=LearningSettings(policy="thompson"))
    drawn = [chosen(made, RAIN_ON_A_PHONE, number) for number in range(4_000)]
    for each in drawn:
        assert dict(each.eligible) == pytest.approx({"rain": 0.6, "phone": 0.3, "default": 0.1}, abs=1e-9)
        assert sum(each.eligible.values()) == 1.0
        assert each.propensity == each.eligible[each.variant.name]
        assert (each.policy, each.learner) == ("bandit", "homepage")
    shares = Counter(each.variant.name for each in drawn)
    for name, probability in drawn[0].eligible.items():
        deviation = (probability * (1 - probability) / len(drawn)) ** 0.5
        assert abs(shares[name] / len(drawn) - probability) < 5 * deviation
    assert tables.asked[0] == (("rain", "phone", "default"), ())
    assert chosen(made, RAIN_ON_A_PHONE, 7) == chosen(made, RAIN_ON_A_PHONE, 7), "the request decides the draw"


def test_where_one_variant_fits_there_is_nothing_to_learn() -> None:
    found = chosen(choosing(learning=LearningSettings(policy="thompson")), SUN)
    assert (found.policy, found.learner, found.propensity) == ("default", None, 1.0)


def test_a_decision_nobody_can_be_told_to_follow_teaches_nothing() -> None:
    found = chosen(choosing(learning=LearningSettings(policy="thompson")), RAIN, learns=False)
    assert (found.policy, found.learner) == ("bandit", None)


def test_what_is_learned_in_situations_sees_the_situation() -> None:
    tables = Weighing()
    found = chosen(choosing(tables, learning=LearningSettings(policy="contextual")), RAIN_ON_A_PHONE)
    seen = dict(zip(FEATURE_NAMES, found.features, strict=True))
    assert {name for name, value in seen.items() if value} == {"one", "mobile", "wet"}
    assert tables.asked == [(("rain", "phone", "default"), found.features)]


def test_who_is_held_out_always_gets_what_the_rules_say() -> None:
    learning = LearningSettings(policy="thompson", holdout=0.5)
    made = choosing(Weighing(rain=0.0, default=1.0), learning=learning)
    people = [[chosen(made, RAIN, number, f"subject-{who}") for number in range(3)] for who in range(200)]
    held = [person for person in people if person[0].held_out]
    assert 60 < len(held) < 140
    for person in held:
        assert {(each.variant.name, each.propensity, each.learner) for each in person} == {("rain", 1.0, None)}
    assert not any(each.held_out for person in people if person not in held for each in person)
    assert not any(chosen(made, RAIN, number).held_out for number in range(100)), "nobody in particular never is"


def test_an_experiment_keeps_a_customer_in_an_arm_and_goes_before_learning() -> None:
    made = choosing(learning=LearningSettings(policy="thompson"), experiments={"wet": HALVES})
    names = set()
    for who in range(50):
        shown = [chosen(made, RAIN, number, f"subject-{who}") for number in range(3)]
        assert len({each.variant.name for each in shown}) == 1
        found = shown[0]
        assert found.experiment is not None
        assert (found.policy, found.learner, found.propensity) == ("experiment", None, 0.5)
        assert found.experiment.arm == found.variant.name
        assert dict(found.eligible) == {"rain": 0.5, "default": 0.5}
        names.add(found.variant.name)
    assert names == {"rain", "default"}
    assert chosen(made, RAIN).policy == "bandit", "nobody in particular takes part"


def test_an_experiment_waits_where_one_of_its_arms_does_not_fit() -> None:
    made = choosing(experiments={"wet": HALVES})
    assert chosen(made, SUN, subject="mary").experiment is None
    assert chosen(made, SUN, subject="mary").policy == "default"


def test_an_arm_may_be_whatever_the_rules_choose() -> None:
    made = choosing(experiments={"phones": {"arms": {"rules": 1, "phone": 3}, "control": "rules"}})
    found = {chosen(made, RAIN_ON_A_PHONE, subject=f"s-{who}").variant.name for who in range(60)}
    assert found == {"rain", "phone"}
    mobile = chosen(made, facts_from({"device": "mobile"}), subject="s-1")
    assert (mobile.variant.name, mobile.propensity) == ("phone", 1.0), "both arms show it"


def test_more_variants_than_can_be_learned_leave_the_last_before_the_default_out() -> None:
    many = {f"v{number:02d}": {"priority": 100 - number} for number in range(60)} | {"default": {}}
    settings = HomepageSettings(variants=many, learning=LearningSettings(policy="thompson"))
    tables = Weighing()
    chosen(Choosing(read_rules(settings, []), settings.learning, tables), SUN)
    ((eligible, _),) = tables.asked
    assert eligible == (*(f"v{number:02d}" for number in range(49)), "default")
