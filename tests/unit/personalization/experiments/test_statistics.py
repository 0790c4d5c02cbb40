"""What an experiment says: known truths under continuous peeking, CUPED, the split alarm, plans that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.comparison import Sums, cap_of, cuped_coefficient, judge, winsorised
from personalization.experiments.planning import Measure, detectable_difference, plan
from personalization.experiments.sequences import (
    UNKNOWN,
    interval,
    p_value,
    people_min,
    radii,
    split_is_wrong,
    split_p_value,
    tightest_at,
)
from tests.support.simulated import (
    converting,
    habitual,
    look_after_everyone,
    lopsided,
    share_that_misses,
    spending,
    spending_in_a_small_arm,
)

EVEN = {"a": 1.0, "b": 1.0}
RUNS = pytest.mark.parametrize("runs", [200, pytest.param(2_000, marks=pytest.mark.soak)])
PEOPLE = 10_000


@RUNS
@pytest.mark.parametrize("people", [converting, lopsided, spending, spending_in_a_small_arm, habitual])
def test_under_continuous_peeking_fewer_than_five_per_cent_of_experiments_find_what_is_not_there(
    people, runs: int
) -> None:
    share = share_that_misses(people, runs, PEOPLE, seed=100)
    print(f"{people.__name__}: {share:.2%} of {runs} A/A runs of {PEOPLE} people were ever significant")
    assert share < 0.05


@RUNS
def test_the_sequence_covers_a_true_effect_at_every_look_at_least_as_often_as_it_says(runs: int) -> None:
    missed = {
        "conversion": share_that_misses(
            lambda n, size, seed: converting(n, size, seed, rate=0.1, lift=0.3), runs, PEOPLE, 500
        ),
        "CUPED": share_that_misses(lambda n, size, seed: habitual(n, size, seed, difference=0.5), runs, PEOPLE, 600),
    }
    print(missed)
    assert max(missed.values()) < 0.05


def test_the_lift_of_uneven_arms_is_covered_at_every_look_too() -> None:
    generator, missed, runs = np.random.default_rng(13), 0, 200
    for _ in range(runs):
        treated = generator.random(PEOPLE) < 0.3
        bought = generator.random(PEOPLE) < np.where(treated, 0.13, 0.1)
        seen = [np.cumsum(each) for each in (~treated, ~treated & bought, treated, treated & bought)]
        for at in range(999, PEOPLE, 500):
            n, k, treated_n, treated_k = (int(each[at]) for each in seen)
            arms = {"a": Sums(n, k, k), "b": Sums(treated_n, treated_k, treated_k)}
            lift = judge(arms, {"a": 0.7, "b": 0.3}, "a", planned_people=PEOPLE).compared[0].lift
            if not lift.low <= 0.3 <= lift.high:
                missed += 1
                break
    print(f"{missed} of {runs}")
    assert missed / runs < 0.05


def test_a_fixed_interval_at_every_look_would_be_wrong_far_more_often() -> None:
    looks = look_after_everyone(converting(200, PEOPLE, 100))
    fooled = (np.abs(looks.estimates) > 1.96 * looks.errors).any(axis=1).mean()
    assert fooled > 0.2


def test_the_simulated_looks_are_what_the_comparison_says() -> None:
    people = habitual(1, 3_000, 8, difference=0.4)
    looks = look_after_everyone(people)
    for seen in (1_000, 3_000):
        treated = people.treated[0, :seen]
        y, x = people.outcomes[0, :seen], people.before[0, :seen]
        arms = {"a": Sums.of(y[~treated], x[~treated]), "b": Sums.of(y[treated], x[treated])}
        (compared,) = judge(arms, EVEN, "a", planned_people=3_000).compared
        radius = looks.errors[0, seen - 1] * math.sqrt(seen) * radii(np.array([float(seen)]), tightest_at(3_000))[0]
        assert compared.difference.estimate == pytest.approx(looks.estimates[0, seen - 1], rel=1e-9)
        assert compared.difference.high - compared.difference.estimate == pytest.approx(radius, rel=1e-9)


def test_the_interval_is_the_published_formula() -> None:
    # Theorem 2.2 at n = 100, rho = 0.5, alpha = 0.05 by hand: sqrt(2 * 26 / 2500 * ln(sqrt(26) / 0.05)) = 0.310154
    assert radii(np.array([100.0]), 0.5)[0] == pytest.approx(math.sqrt(0.0208 * math.log(math.sqrt(26) / 0.05)))
    assert radii(np.array([100.0]), 0.5)[0] == pytest.approx(0.310154, abs=1e-6)
    found = interval(1.0, 0.1, 100, 0.5)
    assert (found.low, found.high) == (pytest.approx(1 - 0.310154, abs=1e-6), pytest.approx(1 + 0.310154, abs=1e-6))


def test_the_chosen_rho_is_the_narrowest_at_the_planned_number() -> None:
    best = tightest_at(5_000)
    here = [radii(np.array([5_000.0]), best * factor)[0] for factor in (0.7, 0.95, 1.0, 1.05, 1.4)]
    assert min(here) >= here[2] * 0.999
    assert here[0] > here[2] < here[4]


@pytest.mark.parametrize("estimate", [0.0, 0.1, 0.25, 0.4, -0.4])
def test_the_p_value_is_below_alpha_exactly_where_the_interval_leaves_nought(estimate: float) -> None:
    for alpha in (0.1, 0.05, 0.001):
        found = interval(estimate, 0.1, 400, 0.1, alpha)
        assert found.significant == (found.p_value < alpha)


def test_without_spread_or_people_nothing_is_claimed() -> None:
    assert interval(float("nan"), 1.0, 10, 0.1) == UNKNOWN
    assert p_value(0.0, 0.0, 10, 0.1) == 1.0
    few = Sums.of(np.ones(people_min - 1))
    (compared,) = judge({"a": few, "b": few}, EVEN, "a", planned_people=1_000).compared
    assert compared.difference == UNKNOWN
    nine = Sums(1_000, 9.0, 9.0)
    assert judge({"a": nine, "b": nine}, EVEN, "a", planned_people=1_000).compared[0].difference == UNKNOWN
    ten = Sums(1_000, 10.0, 10.0)
    assert judge({"a": ten, "b": ten}, EVEN, "a", planned_people=1_000).compared[0].difference != UNKNOWN
    assert judge({}, EVEN, "a", planned_people=1_000).compared[0].people == 0


def test_a_small_arm_where_nobody_has_bought_is_as_uncertain_as_people_are() -> None:
    control, treated = Sums(9_600, 288.0, 288.0), Sums(400, 0.0, 0.0)
    (compared,) = judge({"a": control, "b": treated}, {"a": 24.0, "b": 1.0}, "a", planned_people=10_000).compared
    everybody = 0.0288 * 0.9712
    error = math.sqrt(everybody / 400 + 0.03 * 0.97 / 9_600)
    radius = error * 100 * radii(np.array([10_000.0]), tightest_at(10_000))[0]
    assert compared.difference.estimate == pytest.approx(-0.03)
    assert compared.difference.high == pytest.approx(-0.03 + radius, rel=1e-3)


def test_cuped_halves_the_width_where_people_do_what_they_did_and_changes_no_truth() -> None:
    people = habitual(1, 20_000, 9, difference=0.3)
    treated, y, x = people.treated[0], people.outcomes[0], people.before[0]
    with_before = {"a": Sums.of(y[~treated], x[~treated]), "b": Sums.of(y[treated], x[treated])}
    without = {"a": Sums.of(y[~treated]), "b": Sums.of(y[treated])}
    (adjusted,) = judge(with_before, EVEN, "a", planned_people=20_000).compared
    (plain,) = judge(without, EVEN, "a", planned_people=20_000).compared
    assert cuped_coefficient(with_before) == pytest.approx(0.8, abs=0.02)
    assert cuped_coefficient(without) == 0.0
    # Variance of y: 0.64 * 100 + 36 = 100; what x does not explain: 36.
    assert adjusted.variance_reduction == pytest.approx(0.64, abs=0.03)
    assert adjusted.difference.low <= 0.3 <= adjusted.difference.high
    widths = [each.difference.high - each.difference.low for each in (adjusted, plain)]
    assert widths[0] / widths[1] == pytest.approx(0.6, abs=0.03)


def test_the_lift_is_relative_and_unknown_where_the_control_is_near_nought() -> None:
    ones = np.concatenate([np.ones(600), np.zeros(9_400)])
    twice = np.concatenate([np.ones(1_200), np.zeros(8_800)])
    (compared,) = judge({"a": Sums.of(ones), "b": Sums.of(twice)}, EVEN, "a", planned_people=20_000).compared
    assert compared.lift.estimate == pytest.approx(1.0)
    assert compared.lift.significant
    assert compared.difference.estimate == pytest.approx(0.06)
    rare = np.concatenate([np.ones(12), np.zeros(9_988)])
    (compared,) = judge({"a": Sums.of(rare), "b": Sums.of(rare)}, EVEN, "a", planned_people=20_000).compared
    assert compared.lift == UNKNOWN


def test_several_arms_share_the_errors() -> None:
    arms = {name: Sums.of(np.arange(2_000) % 2.0) for name in "abcd"}
    widths = []
    for names in ("ab", "abcd"):
        weights = dict.fromkeys(names, 1.0)
        verdict = judge({name: arms[name] for name in names}, weights, "a", planned_people=2_000 * len(names))
        widths.append(verdict.compared[0].difference.high)
    assert widths[1] > widths[0]


def test_sums_of_parts_are_the_sums_of_all_and_can_be_taken_back() -> None:
    generator = np.random.default_rng(3)
    y, x = generator.integers(0, 9, 500).astype(float), generator.integers(0, 9, 500).astype(float)
    whole = Sums.of(y, x)
    assert Sums.of(y[:100], x[:100]) + Sums.of(y[100:], x[100:]) == whole
    assert whole - Sums.of(y[:100], x[:100]) == Sums.of(y[100:], x[100:])


def test_one_order_of_a_hundred_thousand_does_not_decide_once_values_are_capped() -> None:
    generator = np.random.default_rng(4)
    before = np.where(generator.random(50_000) < 0.05, generator.lognormal(3.3, 0.8, 50_000), 0.0)
    cap = cap_of(before)
    assert cap == pytest.approx(np.quantile(before[before > 0], 0.99))
    values = np.where(generator.random(20_000) < 0.05, generator.lognormal(3.3, 0.8, 20_000), 0.0)
    with_outlier = values.copy()
    with_outlier[0] = 100_000.0
    capped = judge(
        {"a": Sums.of(winsorised(values, cap)), "b": Sums.of(winsorised(with_outlier, cap))},
        EVEN,
        "a",
        planned_people=40_000,
    ).compared[0]
    raw = judge({"a": Sums.of(values), "b": Sums.of(with_outlier)}, EVEN, "a", planned_people=40_000).compared[0]
    assert abs(capped.lift.estimate) < 0.02
    assert with_outlier.mean() > 3 * values.mean()
    assert raw.difference == UNKNOWN  # one buyer is all there is
    assert cap_of(np.zeros(3)) == math.inf


def test_the_split_alarm_stays_silent_in_sound_experiments_however_often_one_looks() -> None:
    generator = np.random.default_rng(7)
    alarms = 0
    for _ in range(300):
        treated = np.cumsum(generator.random(5_000) < 0.5)
        looks = range(49, 5_000, 50)
        alarms += any(split_is_wrong({"a": at + 1 - int(treated[at]), "b": int(treated[at])}, EVEN) for at in looks)
    assert alarms <= 1


@pytest.mark.parametrize(("share", "people"), [(0.51, 100_000), (0.55, 3_000), (0.9, 50), (1.0, 25)])
def test_the_split_alarm_finds_small_faults_in_many_people_and_gross_ones_in_few(share: float, people: int) -> None:
    counted = {"a": round(people * share), "b": people - round(people * share)}
    assert split_is_wrong(counted, EVEN), split_p_value(counted, EVEN)
    assert not split_is_wrong({"a": people // 2, "b": people // 2}, EVEN)


def test_the_split_is_judged_by_the_weights_and_only_by_arms_that_have_one() -> None:
    assert split_p_value({"a": 9_000, "b": 1_000}, {"a": 9.0, "b": 1.0}) == 1.0
    assert split_is_wrong({"a": 5_000, "b": 5_000}, {"a": 9.0, "b": 1.0})
    assert split_is_wrong({"a": 500}, EVEN)
    with pytest.raises(ConfigurationError, match="people are counted"):
        split_p_value({"c": 1}, EVEN)
    with pytest.raises(ConfigurationError, match="none of the arms"):
        judge({}, EVEN, "z", planned_people=1_000)


def test_a_verdict_says_that_its_split_is_wrong() -> None:
    many, few = Sums.of(np.arange(6_000) % 2.0), Sums.of(np.arange(4_000) % 2.0)
    assert judge({"a": many, "b": few}, EVEN, "a", planned_people=10_000).split_is_wrong
    assert not judge({"a": many, "b": few}, {"a": 6.0, "b": 4.0}, "a", planned_people=10_000).split_is_wrong


def test_standings_are_those_of_sampling_the_means() -> None:
    arms = {name: Sums(2_000, float(k), float(k)) for name, k in (("a", 100), ("b", 120), ("c", 90))}
    verdict = judge(arms, dict.fromkeys("abc", 1.0), "a", planned_people=6_000)
    rates = np.array([0.05, 0.06, 0.045])
    variances = np.maximum(rates * (1 - rates), rates.mean() * (1 - rates.mean()))
    drawn = np.random.default_rng(12).normal(rates, np.sqrt(variances / 2_000), (400_000, 3))
    sampled = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    assert [each.best for each in verdict.standings] == pytest.approx(sampled, abs=3e-3)
    assert [each.loss for each in verdict.standings] == pytest.approx(drawn.max(axis=1).mean() - rates, abs=3e-5)
    assert [each.arm for each in verdict.standings] == ["a", "b", "c"]
    few = {**arms, "c": Sums(people_min - 1, 9.0, 9.0)}
    assert judge(few, dict.fromkeys("abc", 1.0), "a", planned_people=6_000).standings == ()


def test_a_planned_experiment_finds_its_effect_as_often_as_planned() -> None:
    planned = plan(Measure.of_rate(0.05, 0.2), 0.2, 1_000)
    assert planned.days == math.ceil(planned.people / 1_000)
    generator = np.random.default_rng(11)
    half, found = planned.people // 2, 0
    for _ in range(1_000):
        bought = generator.binomial(half, 0.05), generator.binomial(half, 0.06)
        arms = {name: Sums(half, float(k), float(k)) for name, k in zip("ab", bought, strict=True)}
        found += judge(arms, EVEN, "a", planned_people=planned.people).compared[0].difference.significant
    print(f"{planned}: found in {found} of 1000")
    assert 0.77 <= found / 1_000 <= 0.85


def test_the_plan_and_the_detectable_difference_are_inverse() -> None:
    measure = Measure(10.0, 900.0, 0.5)
    planned = plan(measure, 0.05, 250.0, arms=3)
    assert detectable_difference(measure, planned.people, arms=3) <= 0.5
    assert detectable_difference(measure, planned.people - 1, arms=3) > 0.5
    assert plan(Measure(10.0, 900.0), 0.05, 250.0, arms=3).people == pytest.approx(planned.people / 0.75, rel=0.01)


@pytest.mark.parametrize(
    ("measure", "difference", "per_day", "arms"),
    [
        (Measure.of_rate(0.05), 0.0, 10.0, 2),
        (Measure.of_rate(0.05), 0.1, 0.0, 2),
        (Measure.of_rate(0.0), 0.1, 10.0, 2),
        (Measure.of_rate(0.05), 0.1, 10.0, 1),
        (Measure.of_rate(0.05), 1e-7, 10.0, 2),
        (Measure(1.0, 1.0, 1.0), 0.1, 10.0, 2),
    ],
)
def test_what_cannot_be_planned_is_refused(measure: Measure, difference: float, per_day: float, arms: int) -> None:
    with pytest.raises(ConfigurationError):
        plan(measure, difference, per_day, arms=arms)
