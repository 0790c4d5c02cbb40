"""`dangol report attribution`: what rows and homepages earned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import click

from serving.commands.options import FINDING, Options, command, days_option, limit_option

if TYPE_CHECKING:
    from serving.policies.earnings import AttributionReport, Earned, Period

PERIODS = ("all", "month", "week", "day")


def add_attribution(group: click.Group) -> None:
    """Add `attribution` to the reports."""

    @command(group, "attribution")
    @click.option(
        "--last", type=click.FloatRange(0.0, 3_650.0, min_open=True), default=28.0, show_default=True, help="Days back."
    )
    @days_option(7.0, "To be clicked, put in the cart, ordered.")
    @click.option("--by", type=click.Choice(PERIODS), default="all", show_default=True, help="Told by periods, in UTC.")
    @limit_option(1_000_000)
    def attribution(options: Options, last: float, days: float, by: str, limit: int) -> None:
        """What rows and homepages earned: clicks, carts, orders, revenue; each order once."""
        from serving.policies.earnings import Plan, report_attribution
        from serving.wiring import open_engine

        plan = Plan(last, days, cast("Period", by), limit)
        with open_engine(options.folder, options.configuration) as engine, options.steps(FINDING) as progress:
            found = report_attribution(engine, plan, progress)
        options.show(found, "\n".join(_told(found)))


def _told(found: AttributionReport) -> Iterator[str]:
    yield from _table("placement", found.rows)
    if found.rows and found.pages:
        yield ""
    yield from _table("homepage", found.pages)
    if not found.rows and not found.pages:
        yield f"nothing was shown since {found.since:%Y-%m-%d %H:%M} UTC"
        return
    yield (
        f"shown since {found.since:%Y-%m-%d %H:%M} UTC, with what came of it within {found.window_days:g} days: "
        "orders go to the row clicked last, and to the homepage shown last"
    )
    if not found.is_whole:
        yield "there is more than was read: a higher --limit reads it"


def _table(title: str, every: Sequence[Earned]) -> Iterator[str]:
    if not every:
        return
    heads = (title, "arm", "period", "shown", "clicked", "added", "ordered", "revenue")
    lines = [heads, *(_cells(each) for each in every)]
    has_periods = any(each.period for each in every)
    shown = [at for at in range(len(heads)) if at != 2 or has_periods]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for line in lines:
        cells = (line[at].ljust(widths[at]) if at < 3 else line[at].rjust(widths[at]) for at in shown)
        yield "  ".join(cells).rstrip()


def _cells(each: Earned) -> tuple[str, ...]:
    counts = (each.shown, each.clicked, each.added, each.ordered)
    return (each.name, each.arm, each.period, *(f"{count:,}" for count in counts), f"{each.revenue:,.2f}")
