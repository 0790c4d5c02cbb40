"""Worlds with a known truth: visitors who convert at known rates, people of an experiment, decisions of a log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.events import Terms
from personalization.experiments import thompson
from personalization.experiments.comparison import winsorised
from personalization.experiments.contextual import LinearPolicy
from personalization.experiments.counting import Counted, Counts, Linear, Place
from personalization.experiments.draws import Propensities
from personalization.experiments.learning import Learning
from personalization.experiments.sequences import events_min, people_min, radii, tightest_at
from personalization.experiments.summing import linear_of
from personalization.experiments.thompson import Learned

Floats = NDArray[np.float64]
PERIOD_S = 21_600


class Round(NamedTuple):
    """A period of a simulation: the table that was drawn from, and the true rates then."""

    table: Propensities
    rates: Floats


def learn_rates(
    rates_at: Callable[[int], Sequence[float]],
    rounds: int,
    visitors: int,
    learning: Learning,
    seed: int,
    delay: int = 0,
) -> list[Round]:
    """A Thompson policy over some periods; a period's visitors are drawn from the table of those before.

    Their orders are known `delay` periods later.
    """
    generator = np.random.default_rng(seed)
    state, played, orders = thompson.UNLEARNED, [], []
    for at in range(rounds):
        rates = np.array(rates_at(at))
        arms = [f"arm-{each:02}" for each in range(len(rates))]
        table = thompson.table(state, arms, learning)
        played.append(Round(table, rates))
        shown = generator.multinomial(visitors, table.probabilities)
        orders.append(generator.binomial(shown, rates))
        state = thompson.merged(state, counted(arms, at, decisions=shown))
        if at >= delay:
            state = thompson.merged(state, counted(arms, at - delay, ordered=orders[at - delay]))
    return played


def counted(arms: Sequence[str], period: int, **columns: NDArray[np.int64]) -> Learned:
    """What was counted of some arms in a period."""
    return Learned(
        {arm: {period: Counts(**{name: int(of[at]) for name, of in columns.items()})} for at, arm in enumerate(arms)}
    )


def earned(played: Sequence[Round]) -> float:
    """The mean true rate of what the tables would draw."""
    return float(np.mean([np.dot(each.table.probabilities, each.rates) for each in played]))


def best_fixed(played: Sequence[Round]) -> float:
    """The mean true rate of the best fixed split that hindsight could choose, which is one arm always."""
    return float(np.mean([each.rates for each in played], axis=0).max())


def even_split(played: Sequence[Round]) -> float:
    """The mean true rate of showing all arms alike."""
    return float(np.mean([each.rates.mean() for each in played]))


def learn_situations(
    rates: Floats, rounds: int, visitors: int, learning: Learning, seed: int
) -> list[tuple[Propensities, ...]]:
    """A contextual policy over some rounds in situations that come equally often; `rates` is (situations, arms).

    The features of a situation are 1 and which one it is.
    """
    generator = np.random.default_rng(seed)
    situations, count = rates.shape
    arms = [f"arm-{each:02}" for each in range(count)]
    features = np.hstack([np.ones((situations, 1)), np.eye(situations)])
    states, played = list[tuple[Place, Counted]](), []
    for at in range(rounds):
        policy = LinearPolicy(linear_of(states, situations + 1, learning), arms, situations + 1, learning)
        tables = tuple(policy.table(x.tolist()) for x in features)
        played.append(tables)
        shown = np.array([generator.multinomial(visitors, table.probabilities) for table in tables])
        clicked = generator.binomial(shown, rates)
        sums = {
            f"{situations + 1}:{arm}": _sums(features, shown[:, each], clicked[:, each])
            for each, arm in enumerate(arms)
        }
        states.append((Place(0, at, Terms(period_s=PERIOD_S), "p"), Counted({}, sums)))
    return played


def _sums(features: Floats, shown: NDArray[np.int64], clicked: NDArray[np.int64]) -> Linear:
    squares = ((features * shown[:, None]).T @ features)[np.triu_indices(features.shape[1])]
    products, nothing = tuple((clicked @ features).tolist()), (0.0,) * features.shape[1]
    rewards = (float(clicked.sum()), 0.0, 0.0, 0.0)
    return Linear(float(shown.sum()), tuple(squares.tolist()), (products, nothing, nothing, nothing), rewards)


class People(NamedTuple):
    """People of many experiments in the order in which they entered; each (experiments, people)."""

    treated: NDArray[np.bool_]
    outcomes: Floats
    before: Floats
    difference: float  # the truth


def converting(experiments: int, people: int, seed: int, rate: float = 0.03, lift: float = 0.0) -> People:
    """People who buy or do not."""
    generator = np.random.default_rng(seed)
    treated = generator.random((experiments, people)) < 0.5
    outcomes = (generator.random(treated.shape) < np.where(treated, rate * (1 + lift), rate)).astype(float)
    return People(treated, outcomes, np.zeros_like(outcomes), rate * lift)


def lopsided(experiments: int, people: int, seed: int, rate: float = 0.03) -> People:
    """People of whom few buy, one in ten of them in the new arm."""
    generator = np.random.default_rng(seed)
    treated = generator.random((experiments, people)) < 0.1
    outcomes = (generator.random(treated.shape) < rate).astype(float)
    return People(treated, outcomes, np.zeros_like(outcomes), 0.0)


def spending(experiments: int, people: int, seed: int, cap: float = 200.0, share: float = 0.5) -> People:
    """People of whom five in a hundred spend, a few of them very much; values are winsorised."""
    generator = np.random.default_rng(seed)
    treated = generator.random((experiments, people)) < share
    spent = np.where(generator.random(treated.shape) < 0.05, generator.lognormal(3.3, 1.0, treated.shape), 0.0)
    return People(treated, winsorised(spent, cap), np.zeros_like(spent), 0.0)


def spending_in_a_small_arm(experiments: int, people: int, seed: int) -> People:
    """People who spend, one in ten of them in the new arm."""
    return spending(experiments, people, seed, share=0.1)


def habitual(experiments: int, people: int, seed: int, difference: float = 0.0) -> People:
    """People who do much what they did in the pre-period: a correlation of .8."""
    generator = np.random.default_rng(seed)
    treated = generator.random((experiments, people)) < 0.5
    before = generator.exponential(10.0, treated.shape)
    outcomes = before * 0.8 + generator.exponential(6.0, treated.shape) + difference * treated
    return People(treated, outcomes, before, difference)


class Looks(NamedTuple):
    """What is seen after every single person; each (experiments, people). NaN before there are enough."""

    estimates: Floats
    errors: Floats
    people: Floats

    def ever_misses(self, truth: float, planned: int, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Of each experiment, whether the interval after any person leaves out the truth."""
        n = self.people[0]
        radius = self.errors * np.sqrt(n) * radii(n, tightest_at(planned, alpha), alpha)
        missed: NDArray[np.bool_] = (np.abs(self.estimates - truth) > radius).any(axis=1)
        return missed


def look_after_everyone(people: People) -> Looks:
    """The difference and its standard error after every person, with CUPED, by cumulative sums."""
    columns = {}
    for name, chosen in (("treated", people.treated), ("control", ~people.treated)):
        x, y = people.before * chosen, people.outcomes * chosen
        columns[name] = [np.cumsum(each, axis=1) for each in (chosen.astype(float), y, y * y, x, x * x, x * y)]
    columns["together"] = [sum(both) for both in zip(columns["treated"], columns["control"], strict=True)]
    with np.errstate(all="ignore"):
        within = {name: _within(sums) for name, sums in columns.items()}
        xx, xy = (within["treated"][at] + within["control"][at] for at in (1, 2))
        theta = np.where(xx > 0, xy / xx, 0.0)
        means, variances = {}, {}
        for name, sums in columns.items():
            means[name] = (sums[1] - theta * sums[3]) / sums[0]
            yy, own_xx, own_xy = within[name]
            variances[name] = (yy - 2 * theta * own_xy + theta**2 * own_xx) / (sums[0] - 1)
        squared = sum(
            np.maximum(variances[name], variances["together"]) / columns[name][0] for name in ("treated", "control")
        )
        least = np.minimum(columns["treated"][0], columns["control"][0])
        together = columns["together"]
        events = together[1] ** 2 / together[2] * least / together[0]
        errors = np.where((least >= people_min) & (events >= events_min), np.sqrt(np.maximum(squared, 0)), np.nan)
    count = np.arange(1, people.treated.shape[1] + 1, dtype=float)
    return Looks(means["treated"] - means["control"], errors, np.broadcast_to(count, people.treated.shape))


def _within(sums: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    n, y, yy, x, xx, xy = sums
    return yy - y * y / n, xx - x * x / n, xy - x * y / n


def share_that_misses(
    make: Callable[[int, int, int], People], experiments: int, people: int, seed: int, at_once: int = 100
) -> float:
    """The share of experiments in which who looks after every person ever sees an interval without the truth."""
    missed = 0
    for part in range(math.ceil(experiments / at_once)):
        made = make(min(at_once, experiments - part * at_once), people, seed + part)
        missed += int(look_after_everyone(made).ever_misses(made.difference, people).sum())
    return missed / experiments
