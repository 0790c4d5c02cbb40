"""Several ways to rank or order: which is chosen, how probable it was, and what of a configuration cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Chosen
from ingest.vocabulary.ids import RequestId, Subject
from personalization.experiments.arms import RULES_ARM, Arms, arms_max, read_arms
from personalization.experiments.draws import Propensities, table_of
from personalization.experiments.learning import LearningSettings
from personalization.homepage.variants import Variant, in_order, orders_of, read_variants
from personalization.page.placements import arms_of, read_placements, with_arm

HALVES = {"arms": {"a": 1, "b": 1}, "control": "a"}
THOMPSON = LearningSettings(policy="thompson")


class Weighing:
    """Tables by fixed weights; keeps what it was asked."""

    def __init__(self, **weights: float) -> None:
        self.weights = weights
        self.asked: list[tuple[float, ...]] = []

    def table(self, eligible: Sequence[str], features: Sequence[float]) -> Propensities:
        """The table of some arms."""
        self.asked.append(tuple(features))
        return table_of({name: self.weights.get(name, 1.0) for name in eligible})


def arms(learning: LearningSettings | None = None, tables: Weighing | None = None, **experiments: Any) -> Arms:
    read = read_arms("row", {"a", "b"}, learning, experiments)
    assert read is not None
    return Arms(read, tables or Weighing())


def chosen(made: Arms, number: int = 0, subject: str | None = "mary", learns: bool = True) -> Chosen:
    who = None if subject is None else Subject(subject)
    return made.choose(RequestId(f"r-{number}"), who, learns=learns, features=lambda: (1.0, 0.5))


def test_without_learning_or_experiment_it_is_what_is_configured() -> None:
    assert chosen(arms()) == Chosen(RULES_ARM, eligible={RULES_ARM: 1.0})


def test_what_is_drawn_is_recorded_with_the_probability_it_was_drawn_with() -> None:
    made = arms(THOMPSON, Weighing(a=2.0))
    found = Counter(chosen(made, number).arm for number in range(4_000))
    assert {arm: count / 4_000 for arm, count in found.items()} == pytest.approx(
        {"a": 0.5, "b": 0.25, RULES_ARM: 0.25}, abs=0.03
    )
    one = chosen(made)
    assert (one.policy, one.learner, one.terms) == ("bandit", "row", THOMPSON.terms)
    assert one.propensity == one.eligible[one.arm]
    assert sum(one.eligible.values()) == 1.0
    assert chosen(made) == one
    assert chosen(made, learns=False).learner is None


def test_only_a_contextual_policy_asks_for_the_situation() -> None:
    tables = Weighing()
    assert chosen(arms(THOMPSON, tables)).features == ()
    contextual = LearningSettings(policy="contextual", name="row policy")
    assert chosen(arms(contextual, tables)).features == (1.0, 0.5)
    assert tables.asked == [(), (1.0, 0.5)]


def test_who_is_held_out_gets_what_is_configured_for_good() -> None:
    made = arms(LearningSettings(policy="thompson", holdout=0.3))
    held = {who for who in map(str, range(300)) if chosen(made, subject=who).held_out}
    assert 60 <= len(held) <= 120
    for who in held:
        assert {chosen(made, number, who).arm for number in range(5)} == {RULES_ARM}
        assert chosen(made, subject=who).learner is None


def test_an_experiment_goes_before_learning_and_stays_with_the_person() -> None:
    made = arms(THOMPSON, copy=HALVES)
    by_person = {who: {chosen(made, number, who).arm for number in range(5)} for who in map(str, range(60))}
    assert all(len(its) == 1 for its in by_person.values())
    assert {arm for its in by_person.values() for arm in its} == {"a", "b"}
    one = chosen(made)
    assert (one.policy, one.experiment, one.propensity) == ("experiment", "copy", 0.5)
    assert (dict(one.eligible), one.learner) == ({"a": 0.5, "b": 0.5}, None)
    assert chosen(made, subject=None).policy == "bandit", "nobody takes part in experiments"


@pytest.mark.parametrize(
    ("names", "learning", "experiments", "message"),
    [
        ((), THOMPSON, {}, "it has no arms"),
        ((), None, {"x": HALVES}, "it has no arms"),
        ([str(n) for n in range(arms_max)], None, {}, "may have 4 arms"),
        ((RULES_ARM,), None, {}, "is not 'rules'"),
        (("x" * 17,), None, {}, "1 to 16 characters"),
        (("a", "b"), None, {"x": {**HALVES, "arms": {"a": 1, "c": 1}}}, "arms that there are not: c"),
        (("a", "b"), None, {"x": {"arms": {"a": 1}, "control": "a"}}, "2 to 50 arms"),
        (("a", "b"), None, {"x": {**HALVES, "weight": 1}}, "weight"),
        (("a", "b"), None, {"x": {**HALVES, "ends": 0.5}, "y": {**HALVES, "layer": "z"}}, "of one layer"),
        (("a", "b"), LearningSettings(policy="thompson", floor=0.4), {}, "no room"),
    ],
)
def test_what_cannot_be_chosen_from_is_said(names: Any, learning: Any, experiments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_arms("row", names, learning, experiments)


PLACEMENT: dict[str, Any] = {
    "chain": ["popular"],
    "arms": {"trendy": {"chain": ["trending"], "category_max": 2}},
    "learning": {"policy": "thompson"},
}


def test_an_arm_of_a_placement_changes_what_it_names_and_nothing_else() -> None:
    placement = read_placements({"mine": PLACEMENT})["mine"]
    trendy = with_arm(placement, "trendy")
    assert (trendy.chain, trendy.category_max, trendy.limit) == (("trending",), 2, placement.limit)
    assert with_arm(placement, RULES_ARM) == with_arm(placement, "gone") == placement
    found = arms_of(placement)
    assert found is not None
    assert (found.name, found.arms, found.learning.name) == ("mine", (RULES_ARM, "trendy"), "mine")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": {"trendy": {"chain": ["nonsense"]}}}, "no strategy is called nonsense"),
        ({"arms": {"trendy": {"limit": 3}}}, "limit"),
        ({"arms": {"trendy": {"chain": []}}}, "its chain is empty"),
        ({"arms": {}}, "it has no arms"),
        ({"arms": {"same": {"chain": ["popular"]}}}, "'same' ranks as the placement as it stands does"),
        ({"arms": {each: {"chain": ["trending"]} for each in "ab"}}, "the arm 'b' ranks as the arm 'a' does"),
        ({"experiments": {"copy": {"arms": {"trendy": 1, "b": 1}, "control": "b"}}}, "there are not: b"),
        ({"learning": {"policy": "guess"}}, "policy"),
    ],
)
def test_arms_that_could_not_answer_are_refused_with_their_placement(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"mine.*{message}"):
        read_placements({"mine": {**PLACEMENT, **changed}})


ROWS = [{"placement": "home.popular"}, {"placement": "home.for-you"}]


def test_an_order_names_every_row_once() -> None:
    (rule,), _ = read_variants(
        {"rain": {"when": {"weather": "rain"}, "rows": ROWS, "orders": {"turned": [2, 1]}}}, ROWS_OF
    )
    assert [row.placement for row in in_order(rule.variant, "turned")] == ["home.for-you", "home.popular"]
    assert in_order(rule.variant, "gone") == in_order(rule.variant, RULES_ARM) == rule.variant.rows
    found = orders_of(rule.variant)
    assert found is not None
    assert (found.arms, found.learning.name) == ((RULES_ARM, "turned"), "order of rain")
    assert orders_of(Variant(name="plain")) is None
    for orders in ([1], [1, 1], [0, 1], [1, 2, 3]):
        with pytest.raises(
            ConfigurationError, match=r"variant 'default': orders.odd must name each of the 2 rows once"
        ):
            read_variants({"default": {"rows": ROWS, "orders": {"odd": orders}}}, ROWS_OF)
    with pytest.raises(ConfigurationError, match="or one is that of the rows as they are written"):
        read_variants({"default": {"rows": ROWS, "orders": {"same": [1, 2]}}}, ROWS_OF)
    with pytest.raises(ConfigurationError, match=r"order of default: .* it has no arms"):
        read_variants({"default": {"rows": ROWS, "learning": {"policy": "thompson"}}}, ROWS_OF)


ROWS_OF = ("home.popular", "home.for-you")
