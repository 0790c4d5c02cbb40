"""`dangol report experiment`, `dangol experiment list` and `plan`: how experiments stand, and how long one takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import click
import msgspec

from serving.commands.attribution import add_attribution
from serving.commands.options import FINDING, GOALS, Options, command, days_option, limit_option

if TYPE_CHECKING:
    from personalization.experiments.comparison import Compared
    from personalization.experiments.learning import Goal
    from personalization.experiments.sequences import Interval
    from serving.policies.lifecycles import Listed
    from serving.policies.standing import ExperimentReport

_SHARE = click.FloatRange(0.0, 1.0, min_open=True, max_open=True)
_ABOVE_NOTHING = click.FloatRange(0.0, min_open=True)


class Planned(msgspec.Struct, frozen=True):
    """The size of an experiment: people in all arms, days (None if nobody said how many people come), and the smallest
    difference and lift that it shows with the wanted power.
    """

    people: int
    days: int | None
    difference: float
    lift: float
    power: float
    arms: int


def add_commands(main: click.Group) -> None:
    """Add what is about experiments."""

    @main.group("report")
    def report() -> None:
        """Results."""

    @main.group("experiment")
    def experiment() -> None:
        """Experiments on the homepage and on rows."""

    _add_report(report)
    add_attribution(report)
    _add_list(experiment)
    _add_plan(experiment)


def _add_report(group: click.Group) -> None:
    @command(group, "experiment")
    @click.argument("name")
    @click.option("--goal", type=click.Choice(GOALS), default="order", show_default=True, help="What counts.")
    @days_option(7.0, "After somebody entered it.")
    @click.option("--before", type=click.FloatRange(0.0, 365.0), default=28.0, show_default=True, help="For CUPED.")
    @click.option(
        "--planned", type=click.IntRange(400), default=10_000, show_default=True, help="People; never change."
    )
    @limit_option(1_000_000)
    def experiment(
        options: Options, name: str, goal: str, days: float, before: float, planned: int, limit: int
    ) -> None:
        """How the arms of the experiment NAME stand; look as often as you like."""
        from serving.policies.standing import Plan, report_experiment
        from serving.wiring import open_engine

        plan = Plan(cast("Goal", goal), days, before, planned, limit)
        with open_engine(options.folder, options.configuration) as engine, options.steps(FINDING) as progress:
            found = report_experiment(engine, name, plan, progress)
        options.show(found, "\n".join(_told(found)))


def _add_list(group: click.Group) -> None:
    @command(group, "list")
    def list_(options: Options) -> None:
        """The experiments that are configured or ever ran."""
        from serving.policies.lifecycles import list_experiments
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            found = list_experiments(engine)
        options.show(found, "\n".join(map(_line, found)) or "no experiment is configured, and none ever ran")


def _add_plan(group: click.Group) -> None:
    @command(group, "plan")
    @click.option("--rate", type=_SHARE, help="The share of people who do it now; or --mean and --variance.")
    @click.option("--mean", type=float, help="Of the outcome of a person, such as money.")
    @click.option("--variance", type=_ABOVE_NOTHING, help="Of the same.")
    @click.option("--correlation", type=click.FloatRange(0.0, 1.0, max_open=True), default=0.0, help="With before.")
    @click.option("--lift", type=float, help="The change to be found, as a share: 0.1 is ten per cent more.")
    @click.option("--people", type=click.IntRange(400), help="Instead of --lift: what so many people show.")
    @click.option("--daily", type=_ABOVE_NOTHING, help="New people a day, all arms together.")
    @click.option("--arms", type=click.IntRange(2, 50), default=2, show_default=True)
    @click.option("--power", type=_SHARE, default=0.8, show_default=True)
    def plan(
        options: Options,
        rate: float | None,
        mean: float | None,
        variance: float | None,
        correlation: float,
        lift: float | None,
        people: int | None,
        daily: float | None,
        arms: int,
        power: float,
    ) -> None:
        """How many people and days an experiment takes, or what so many people show."""
        from personalization.experiments import planning
        from personalization.experiments.planning import Measure

        if (rate is None) == (mean is None or variance is None) or (lift is None) == (people is None):
            raise click.UsageError("give --rate, or --mean with --variance; and either --lift or --people")
        if rate is not None:
            measure = msgspec.structs.replace(Measure.of_rate(rate, lift or 0.0), correlation=correlation)
        else:
            assert mean is not None
            assert variance is not None
            measure = Measure(mean, variance, correlation)
        if people is None:
            assert lift is not None
            sized = planning.plan(measure, lift, daily or 1.0, arms=arms, power=power)
            people, difference = sized.people, sized.difference
        else:
            difference = planning.detectable_difference(measure, people, arms=arms, power=power)
        days = None if daily is None else -int(-people // daily)
        found = Planned(people, days, difference, difference / abs(measure.mean), power, arms)
        lasts = "" if days is None else f", {days:,} days"
        options.show(
            found,
            f"{people:,} people in {arms} arms{lasts}: a change by {found.lift:.2%} ({difference:.5g}) is found with a "
            f"chance of {power:.0%}",
        )


def _told(found: ExperimentReport) -> Iterator[str]:
    """The verdict in lines, the alarm first."""
    verdict = found.verdict
    if verdict.split_is_wrong:
        yield (
            f"ALARM: the arms do not have the people they should (p = {verdict.split_p_value:.2g}): assignment or "
            "counting is broken, believe nothing below"
        )
    what = "value" if found.goal == "value" else f"people with {found.goal}s"
    people = ", ".join(f"{arm} {count:,}" for arm, count in found.people.items())
    yield f"{found.experiment}: {what} within {found.window_days:g} days; people {people}; {found.waiting:,} waiting"
    if found.steps:
        steps = ", ".join(f"{step.what} {step.at:%Y-%m-%d %H:%M}" for step in found.steps)
        yield f"{found.state}: {steps}"
    if found.moved_at is not None:
        yield (
            f"CAUTION: on {found.moved_at:%Y-%m-%d %H:%M} people were moved between arms or out of them; they count "
            "for the arm they were first shown, so effects look smaller; give it another name to start anew"
        )
    if not found.is_whole:
        yield "CAUTION: it has older homepages that were not read, and people are missing: raise --limit"
    if found.moved:
        yield f"{found.moved:,} people saw several arms before they were known; they count for the one they have now"
    for each in verdict.compared:
        yield _compared(each, found.control)
    for standing in verdict.standings:
        yield f"  {standing.arm}: best with a chance of {standing.best:.1%}, loss {standing.loss:.5g}"


def _line(each: Listed) -> str:
    """An experiment of the list."""
    since = "" if each.since is None else f" since {each.since:%Y-%m-%d %H:%M}"
    arms = ", ".join(f"{arm} {weight:g}" for arm, weight in each.arms.items())
    moved = "" if each.moved_at is None else f"; people were moved {each.moved_at:%Y-%m-%d %H:%M}"
    return f"{each.name}  {each.state}{since}; {each.admitted:.0%} admitted; {arms}; control {each.control}{moved}"


def _compared(each: Compared, control: str) -> str:
    if each.difference.low == float("-inf"):
        return f"  {each.arm} against {control}: too few people or buyers to say anything"
    decided = "significant" if each.difference.significant else "not decided"
    return (
        f"  {each.arm} {each.mean:.5g} against {control} {each.control_mean:.5g}: {_interval(each.difference)}, "
        f"lift {_interval(each.lift, percent=True)}, p = {each.difference.p_value:.2g}: {decided}; CUPED took away "
        f"{each.variance_reduction:.0%} of the variance"
    )


def _interval(interval: Interval, *, percent: bool = False) -> str:
    if interval.low == float("-inf"):
        return "unknown"
    form = "{:+.1%}" if percent else "{:+.5g}"
    estimate, low, high = (form.format(value) for value in (interval.estimate, interval.low, interval.high))
    return f"{estimate} ({low} to {high})"
