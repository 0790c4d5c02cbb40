"""`dangol evaluate`: how good the recommendations are, by public protocols and on the shop's own log."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from recommender.evaluation.names import DESCRIBED, Described
from serving.commands.options import Options, command
from serving.commands.policies import add_policy

if TYPE_CHECKING:
    from recommender.evaluation.run import Settings

CUTOFF_MAX = 500
PLOT_FILE = "backtest.svg"


class _Cutoffs(click.ParamType[Any]):
    """`10,20`: whole numbers, commas between."""

    name = "k,k…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, each once, smallest first."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and 1 <= int(word) <= CUTOFF_MAX for word in words):
            self.fail(f"{value!r} is not a list of numbers from 1 to {CUTOFF_MAX}, such as 10,20", param, ctx)
        return tuple(sorted({int(word) for word in words}))


class _Model(click.ParamType[Any]):
    """The name of something that ranks; the names are known where the models are, which takes a while to load."""

    name = "model"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a model."""
        from recommender.configuration import MODELS

        if value not in MODELS:
            self.fail(f"{value!r} is none of {', '.join(MODELS)}", param, ctx)
        return str(value)


def _shared(function: Callable[..., None]) -> Callable[..., None]:
    """The options of every evaluation."""
    for option in (
        click.option("--threads", type=click.IntRange(1), help="Threads that train.  [default: one a processor]"),
        click.option("--limit-queries", type=click.IntRange(1), help="Ask a sample of so many, for a quick try."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of samples and intervals."),
        click.option("--k", "cutoffs", type=_Cutoffs(), default="10,20", show_default=True, help="Lengths of lists."),
    ):
        function = option(function)
    return function


def add_commands(main: click.Group) -> None:
    """Add what is about measuring."""

    @main.group("evaluate")
    def evaluate() -> None:
        """How good the recommendations are: accuracy and what lies beyond it, as JSON."""

    for name, described in DESCRIBED.items():
        _add_protocol(evaluate, name, described)
    _add_backtest(evaluate)
    add_policy(evaluate)


def _add_protocol(group: click.Group, name: str, described: Described) -> None:
    def run(
        options: Options,
        cutoffs: tuple[int, ...],
        seed: int,
        limit_queries: int | None,
        threads: int | None,
        model: str,
        compared: tuple[str, str] | None,
        **files: Path,
    ) -> None:
        from recommender.evaluation.protocols import READERS
        from recommender.evaluation.run import compare
        from recommender.evaluation.run import evaluate as evaluated
        from serving.wiring import with_deterministic_arithmetic

        with_deterministic_arithmetic()
        settings = _settings(options, model, cutoffs, seed, limit_queries, threads)
        with options.progress() as bar:
            row = bar.add_task("reading", total=100)
            task = READERS[name](files)

            def progress(step: str, share: float) -> None:
                bar.update(row, description=step, completed=share * 100)

            report = compare(task, settings, compared, progress) if compared else None
            report = report or evaluated(task, settings, progress).report
        options.show(report)

    run.__doc__ = described.about
    pair = click.option("--compare", "compared", type=_Model(), nargs=2, help="Two models on the same questions.")
    asked: Callable[..., None] = pair(_shared(run))
    asked = click.option("--model", type=_Model(), default="auto", show_default=True, help="What ranks.")(asked)
    path = click.Path(path_type=Path, dir_okay=False)
    for option, about in reversed(described.files.items()):
        asked = click.option(f"--{option}", type=path, required=True, help=about)(asked)
    command(group, name)(asked)


def _add_backtest(group: click.Group) -> None:
    @command(group, "backtest")
    @_shared
    @click.option("--model", "models", type=_Model(), multiple=True, default=("auto", "popularity"), show_default=True)
    @click.option("--cuts", type=click.IntRange(1, 50), default=4, show_default=True, help="Trainings, spread in time.")
    @click.option("--days", type=click.IntRange(1), help="How long each is asked for.  [default: at most 28]")
    @click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="The drawing, an SVG.")
    def backtest(
        options: Options,
        cutoffs: tuple[int, ...],
        seed: int,
        limit_queries: int | None,
        threads: int | None,
        models: tuple[str, ...],
        cuts: int,
        days: int | None,
        plot: Path | None,
    ) -> None:
        """What would have been recommended for what the shop's visitors did next, at several moments of its log."""
        from recommender.evaluation.backtest import Plan, run_backtest
        from recommender.evaluation.plot import drawn, table
        from recommender.interactions import assembled
        from serving.wiring import open_engine, with_deterministic_arithmetic

        with_deterministic_arithmetic()
        settings = _settings(options, models[0], cutoffs, seed, limit_queries, threads)
        with open_engine(options.folder, options.configuration) as engine, options.progress() as bar:
            row = bar.add_task("reading", total=100)
            columns = engine.columns.read(engine.store.positions())
            report = run_backtest(
                partial(assembled, columns),
                Plan(settings, tuple(dict.fromkeys(models)), cuts, days),
                lambda step, share: bar.update(row, description=step, completed=share * 100),
            )
        target = plot or options.folder / PLOT_FILE
        target.write_text(drawn(report), encoding="utf-8")
        options.show({**report, "plot": str(target)}, f"{table(report)}\n{target}")


def _settings(
    options: Options, model: str, cutoffs: tuple[int, ...], seed: int, limit_queries: int | None, threads: int | None
) -> Settings:
    """How to evaluate: the models as they are configured, or as they come where nothing is."""
    from recommender.evaluation.run import Settings
    from serving.configuration import load_configuration
    from serving.folder import CONFIGURATION_FILE

    path = options.configuration or options.folder / CONFIGURATION_FILE
    configured = load_configuration(path, required=options.configuration is not None).models
    threads = threads or len(os.sched_getaffinity(0))
    return Settings(
        msgspec.structs.replace(configured.ranking_by(model), threads=threads), cutoffs, seed, limit_queries
    )
