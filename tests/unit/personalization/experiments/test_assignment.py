"""Who is in which experiment: spread evenly, apart in a layer, unrelated between layers, and for good."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.assignment import Experiment, assign, assign_all, check, experiments_max, grew_only
from personalization.experiments.draws import Propensities, draw, draw_or_hold, table_of, uniform

COPY = Experiment(name="copy", arms={"a": 0.5, "b": 0.3, "c": 0.2}, control="a")
PEOPLE = [f"subject-{at}" for at in range(20_000)]


def arms_of(experiment: Experiment) -> list[str | None]:
    found = (assign(experiment, customer) for customer in PEOPLE)
    return [assignment.arm if assignment else None for assignment in found]


def test_an_assignment_never_changes_between_versions() -> None:
    assert uniform("arm", "copy", "subject-1") == 0.17778219541335172
    assert "".join(assign(COPY, customer).arm for customer in PEOPLE[:12]) == "aaaabaacabbc"


def test_people_spread_over_the_arms_by_their_weights() -> None:
    arms = arms_of(COPY)
    counts = [arms.count(arm) for arm in "abc"]
    assert chisquare(counts, np.array([0.5, 0.3, 0.2]) * len(PEOPLE)).pvalue > 0.001
    assert assign(COPY, PEOPLE[0]).propensity == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2}[arms[0]], abs=1e-9)


def test_experiments_in_different_layers_are_independent() -> None:
    other = msgspec.structs.replace(COPY, name="price", layer="prices")
    pairs = list(zip(arms_of(COPY), arms_of(other), strict=True))
    counted = [[pairs.count((one, two)) for two in "abc"] for one in "abc"]
    assert chi2_contingency(counted).pvalue > 0.001


def test_nobody_is_in_two_experiments_of_a_layer() -> None:
    first = msgspec.structs.replace(COPY, ends=0.4)
    second = msgspec.structs.replace(COPY, name="other", begins=0.4)
    check([first, second])
    taken = [len(assign_all([first, second], customer)) for customer in PEOPLE]
    assert set(taken) == {1}
    assert arms_of(first).count(None) / len(PEOPLE) == pytest.approx(0.6, abs=0.02)


def test_ramping_up_moves_nobody() -> None:
    before: list[str | None] = [None] * len(PEOPLE)
    for admitted in (0.01, 0.1, 0.5, 1.0):
        after = arms_of(msgspec.structs.replace(COPY, admitted=admitted))
        assert all(old in (None, new) for old, new in zip(before, after, strict=True))
        assert 1 - after.count(None) / len(PEOPLE) == pytest.approx(admitted, abs=0.02)
        before = after


def test_a_share_of_a_span_is_admitted_wherever_in_the_span_people_are() -> None:
    half = msgspec.structs.replace(COPY, ends=0.5, admitted=0.5)
    assert 1 - arms_of(half).count(None) / len(PEOPLE) == pytest.approx(0.25, abs=0.02)


def test_what_moves_nobody_is_told_from_what_does() -> None:
    half = msgspec.structs.replace(COPY, admitted=0.5, ends=0.5)
    assert grew_only(half, COPY)
    assert grew_only(COPY, COPY)
    for after in (
        msgspec.structs.replace(half, admitted=0.4),
        msgspec.structs.replace(half, ends=0.4),
        msgspec.structs.replace(half, begins=0.1),
        msgspec.structs.replace(half, arms={"a": 0.4, "b": 0.4, "c": 0.2}),
        msgspec.structs.replace(half, layer="another"),
        msgspec.structs.replace(half, name="another"),
    ):
        assert not grew_only(half, after), after


def test_who_is_held_out_of_everything_is_in_nothing() -> None:
    free = [customer for customer in PEOPLE if assign_all([COPY], customer, holdout=0.1)]
    assert len(free) / len(PEOPLE) == pytest.approx(0.9, abs=0.01)
    assert set(free) >= {customer for customer in PEOPLE if assign_all([COPY], customer, holdout=0.2)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "name has 1 to"),
        ({"arms": {"a": 1.0}}, "2 to 50 arms"),
        ({"arms": {"a": 1.0, "b": 0.0}}, "weight above 0"),
        ({"arms": {"a": 1.0, "b": float("inf")}}, "weight above 0"),
        ({"control": "z"}, "none of its arms"),
        ({"begins": 0.5, "ends": 0.5}, "span within"),
        ({"ends": 1.1}, "span within"),
        ({"admitted": -0.1}, "share from 0 to 1"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_with_its_reason(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check([msgspec.structs.replace(COPY, **changed)])


def test_experiments_that_cannot_run_beside_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="overlap in layer"):
        check([msgspec.structs.replace(COPY, ends=0.5), msgspec.structs.replace(COPY, name="other", begins=0.4)])
    with pytest.raises(ConfigurationError, match="two experiments have the name"):
        check([COPY, msgspec.structs.replace(COPY, layer="another")])
    with pytest.raises(ConfigurationError, match="run at once"):
        check(msgspec.structs.replace(COPY, name=f"e{at}", layer=f"l{at}") for at in range(experiments_max + 1))


def test_a_table_refuses_what_has_no_probabilities() -> None:
    for weights, floor, message in (
        ({}, 0.0, "1 to 50 eligible arms"),
        ({"a": -1.0}, 0.0, "weight of an arm"),
        ({"a": float("nan")}, 0.0, "weight of an arm"),
        ({"a": 1.0, "b": 1.0}, 0.51, "no room"),
        ({"a": 1.0}, -0.1, "no room"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            table_of(weights, floor=floor)


def test_draws_happen_as_often_as_the_table_says() -> None:
    table = table_of({"a": 0.7, "b": 0.25, "c": 0.05})
    drawn = [draw(table, "draw", "home", f"request-{at}") for at in range(20_000)]
    counts = [sum(each.arm == arm for each in drawn) for arm in table.arms]
    assert chisquare(counts, np.array(table.probabilities) * len(drawn)).pvalue > 0.001
    assert all(each.propensity == table.of(each.arm) for each in drawn)


def test_who_is_held_out_of_a_policy_stays_so_and_says_so() -> None:
    table = table_of({"a": 1.0, "b": 1.0})
    held = set()
    for customer in PEOPLE[:2_000]:
        drawn = [draw_or_hold(table, "home", customer, str(at), default="a", holdout=0.2) for at in range(3)]
        assert len({each.held_out for each in drawn}) == 1
        if drawn[0].held_out:
            held.add(customer)
            assert {(each.arm, each.propensity) for each in drawn} == {("a", 1.0)}
    assert len(held) / 2_000 == pytest.approx(0.2, abs=0.03)


def test_an_arm_that_was_not_eligible_has_no_probability() -> None:
    assert Propensities(("a",), (2**30,)).of("b") == 0.0
