"""`dangol evaluate policy`: what homepages or rows would have earned under other rules or weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from serving.commands.options import FINDING, GOALS, Options, command, days_option, limit_option

if TYPE_CHECKING:
    from personalization.experiments.learning import Goal
    from personalization.experiments.off_policy import Estimate
    from serving.policies.evaluating import PolicyEvaluation


def add_policy(group: click.Group) -> None:
    """Add `policy` to what can be evaluated."""

    @command(group, "policy")
    @click.option(
        "--with",
        "other",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="CONFIG",
        help="The configuration to judge.  [default: the present one]",
    )
    @click.option("--goal", type=click.Choice(GOALS), help="What counts.  [default: as it is learned]")
    @days_option(None, "To earn it.  [default: likewise]")
    @limit_option(200_000)
    @click.option("--placement", metavar="NAME", help="Judge how this one is ranked.  [default: homepage variants]")
    def policy(
        options: Options, other: Path | None, goal: str | None, days: float | None, limit: int, placement: str | None
    ) -> None:
        """What homepages or rows would have earned under another configuration's rules and weights."""
        from serving.configuration import load_configuration
        from serving.policies.evaluating import Plan, evaluate_policy
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine, options.steps(FINDING) as progress:
            present = engine.configuration
            judged = present if other is None else load_configuration(other, required=True)
            arms = present.arms.get(placement or "")
            learning = present.homepage.learning if arms is None else arms.learning
            its_goal, its_days = cast("Goal", goal or learning.goal), days or learning.window_days
            plan = Plan(its_goal, its_days, learning.value_max, limit, placement)
            found = evaluate_policy(engine, judged, plan, progress)
        options.show(found, "\n".join(_told(found, placement or "homepage")))


def _told(found: PolicyEvaluation, of: str) -> Iterator[str]:
    """The estimates in lines."""
    estimates, goal = found.estimates, "value" if found.goal == "value" else f"share with {found.goal}s"
    yield (
        f"{goal} of a {of} within {found.window_days:g} days, from {estimates.decisions:,} drawn ones for "
        f"{found.people:,} people, {estimates.rewarded:,} of which earned anything"
    )
    for name in ("logged", "snips", "ips", "doubly_robust"):
        each: Estimate = getattr(estimates, name)
        yield f"{name.replace('_', ' '):14} {each.value:10.5f}   95 %: {each.low:.5f} to {each.high:.5f}"
    yield (
        f"effective size {estimates.effective_size:,.0f}, greatest weight {estimates.weight_max:.1f}, "
        f"never tried {estimates.untried_share:.2%}"
    )
    for name, arm in found.arms.items():
        yield (
            f"  {name}: drawn {arm.drawn:,} times, {arm.logged_share:.1%} of the log, {arm.target_share:.1%} under the "
            "configuration"
        )
    left_out = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in found.left_out.items() if count)
    if left_out:
        yield f"left out: {left_out}"
    if found.left_out.get("fixed") and found.fixed_otherwise > 0:
        yield f"of those without a choice {found.fixed_otherwise:.1%} would show something else: nobody knows how well"
