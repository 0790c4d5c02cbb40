"""`dangol replay`: the log folded again, and decided upon again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from serving.commands.options import Options, command, fail

if TYPE_CHECKING:
    from serving.counterfactual.occasions import Source
    from serving.counterfactual.replaying import Plan

DECISIONS_MAX = 100_000  # each is kept with both of its rows, about 2 KB
FALLBACK_SIZE = (140, 24)  # of what is no terminal
_OF_WITH = {
    "placements": "placement", "limit": "limit", "rows": "rows", "days": "days", "source": "from", "train": "train"
}  # fmt: skip


def add_commands(main: click.Group) -> None:
    """Add what goes through the log again."""

    @command(main, "replay")
    @click.option("--verify", is_flag=True, help="Compare with what is there; change nothing.")
    @click.option(
        "--with",
        "other",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="CONFIG",
        help="Change nothing: show what this configuration would have shown, to whom.",
    )
    @click.option("--placement", "placements", multiple=True, help="Only this one.  [default: those that differ]")
    @click.option(
        "--limit", type=click.IntRange(1, DECISIONS_MAX), default=1_000, show_default=True, help="So many decisions."
    )
    @click.option("--rows", type=click.IntRange(0), default=20, show_default=True, help="So many of them in the table.")
    @click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="To buy or look at it.")
    @click.option(
        "--from",
        "source",
        type=click.Choice(["shown", "imagined"]),
        help="Shown lists, or what visits would have asked for.  [default: shown, if there are any]",
    )
    @click.option("--train", is_flag=True, help="First train a snapshot that does not know what came later.")
    def replay(
        options: Options,
        verify: bool,
        other: Path | None,
        placements: tuple[str, ...],
        limit: int,
        rows: int,
        days: int,
        source: Source | None,
        train: bool,
    ) -> None:
        """Rebuild every read model from the log, or see what another configuration would have made of it."""
        _check_usage(verify, other)
        if other is None:
            _fold_again(options, verify)
        else:
            from serving.counterfactual.replaying import Plan

            _decide_again(options, other, Plan(placements, limit, days, source, train), rows)

    _add_explain(main)


def _add_explain(main: click.Group) -> None:
    @command(main, "explain")
    @click.argument("request_id")
    def explain(options: Options, request_id: str) -> None:
        """The whole decision behind an answer that was given, recomputed from what was known then."""
        from ingest.vocabulary.ids import RequestId
        from serving.counterfactual.explaining import explain as explained
        from serving.counterfactual.table import lines_of
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine, options.steps("finding the answer") as bar:
            found = explained(engine, RequestId(request_id), bar)
        options.show(found, "\n".join(lines_of(found)))


def _check_usage(verify: bool, other: Path | None) -> None:
    """Refuses options that would mean nothing.

    Raises:
        UsageError: says which.
    """
    if verify and other is not None:
        raise click.UsageError("--verify is about states, --with about decisions: one at a time")
    context = click.get_current_context()
    given = [name for name in _OF_WITH if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given and other is None:
        raise click.UsageError(f"--{_OF_WITH[given[0]]} is for --with CONFIG")


def _fold_again(options: Options, verify: bool) -> None:
    from serving.wiring import open_engine

    with open_engine(options.folder, options.configuration) as engine, options.progress() as bar:
        total = sum(end + 1 for end in engine.log.ends())
        task = bar.add_task("verifying" if verify else "replaying", total=total)
        replayed = engine.replay(verify=verify, progress=lambda facts: bar.advance(task, facts))
    text = f"{replayed.facts} facts, {replayed.states} states"
    options.show(replayed, f"{text}: no difference" if verify and replayed.difference is None else text)
    if replayed.difference is not None:
        fail(f"the first difference: {replayed.difference}")


def _decide_again(options: Options, other: Path, plan: Plan, rows_max: int) -> None:
    from serving.configuration import load_configuration
    from serving.counterfactual.replaying import replay_with
    from serving.counterfactual.table import text_of
    from serving.wiring import open_engine, with_deterministic_arithmetic

    if plan.train:
        with_deterministic_arithmetic()
    configuration = load_configuration(other, required=True)
    with open_engine(options.folder, options.configuration) as engine, options.steps("finding decisions") as progress:
        found = replay_with(engine, configuration, plan, progress)
    options.show(found, text_of(found, rows_max, shutil.get_terminal_size(FALLBACK_SIZE).columns))
