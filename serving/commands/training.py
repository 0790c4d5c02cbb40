"""`dangol train` and `dangol recommend`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ingest.vocabulary.ids import ProductId
from serving.commands.options import HEARTBEAT, Options, command, when_told_to_stop
from serving.commands.times import TIME

if TYPE_CHECKING:
    from recommender.ranker.lessons import ShownCard
    from recommender.ranker.training import ModelCard
    from recommender.training import Trained


def add_commands(main: click.Group) -> None:
    """Add what is about models and answers."""
    _add_train(main)
    _add_recommend(main)


def _add_train(main: click.Group) -> None:
    @command(main, "train")
    @click.option("--until", type=TIME, help="Only what was known then; the snapshot is kept, not published.")
    @click.option("--every", type=click.IntRange(1), help="Stay, and do so every so many minutes; keep house as well.")
    @click.option("--force", is_flag=True, help="Publish it even if it is much smaller or worse than the last one.")
    @click.option("--from-last", is_flag=True, help="Keep what the last full search chose; see docs/models.md.")
    @HEARTBEAT
    def train(
        options: Options,
        until: datetime | None,
        every: int | None,
        force: bool,
        from_last: bool,
        heartbeat: Path | None,
    ) -> None:
        """Make a new model snapshot from the log and publish it; say how good it is."""
        from serving.wiring import open_engine, open_engine_patiently, with_deterministic_arithmetic

        if until is not None and every is not None:
            raise click.UsageError("--until is for one training, --every for many")
        if force and (until is not None or every is not None):
            raise click.UsageError("--force is for one training that is published")
        if from_last and (until is not None or every is not None):
            raise click.UsageError("--from-last is for one training that is published; for others set it in [training]")
        with_deterministic_arithmetic()
        if every is not None:
            from serving.trainer import Heartbeat, Trainer

            beating = Heartbeat(heartbeat)
            with open_engine_patiently(options.folder, options.configuration, beating.beat) as engine:
                trainer = Trainer(engine, 60.0 * every, beating)
                when_told_to_stop(trainer.stop)
                trainer.run()
            return
        with open_engine(options.folder, options.configuration) as engine, options.progress() as bar:
            task = bar.add_task("training", total=100)
            trained = engine.train(
                until=until,
                progress=lambda step, share: bar.update(task, description=step, completed=share * 100),
                force=force,
                from_last=from_last,
            )
        options.show(trained, "\n".join(_told(trained)))


def _add_recommend(main: click.Group) -> None:
    @command(main, "recommend")
    @click.argument("placement")
    @click.option("--customer", help="The customer it is for.")
    @click.option("--anonymous", help="The visitor it is for.")
    @click.option("--product", "products", multiple=True, help="A product of the page or cart; repeat for more.")
    @click.option("--category", help="The category of the page, by name or as `Kitchen > Mugs`.")
    @click.option("--limit", type=click.IntRange(1, 100), help="How many products.")
    @click.option("--at", type=TIME, help="As it would have been answered then.")
    @click.option("--explain", is_flag=True, help="Add how the row came about.")
    def recommend(
        options: Options,
        placement: str,
        customer: str | None,
        anonymous: str | None,
        products: tuple[str, ...],
        category: str | None,
        limit: int | None,
        at: datetime | None,
        explain: bool,
    ) -> None:
        """The answer of PLACEMENT, as HTTP gives it."""
        from serving.ask import Wire, parsed
        from serving.counterfactual.table import told
        from serving.wiring import open_engine

        ask = parsed(Wire(customer, anonymous, products, category, limit, explain=explain))
        with open_engine(options.folder, options.configuration) as engine:
            answered = engine.recommendations_at(at).answer(placement, ask, record=False)
            unheard = [each for each in products if engine.answers.catalogue.find(ProductId(each)) is None]
        if unheard:
            click.echo(f"dangol: nothing is known of product {', '.join(unheard)}", err=True)
        lines = [told(item) for item in answered.items]
        if explain:
            lines.append(msgspec.json.format(msgspec.json.encode(answered.explanation)).decode())
        options.show(answered, "\n".join(lines) or "nothing to recommend")


def _told(trained: Trained) -> Iterator[str]:
    """What a training made, in lines."""
    seconds = sum(trained.seconds.values())
    yield trained.snapshot_id
    yield (
        f"{trained.products} products, {trained.orders} orders, {trained.interactions} interactions, "
        f"{trained.bytes / 1e6:.1f} MB, {seconds:.1f} s"
    )
    if trained.card is not None and trained.card.kept is not None:
        yield f"plan and rankers were kept, as searched for {trained.card.kept.searched}"
    yield from _gist(trained.card)


def _gist(card: ModelCard | None) -> Iterator[str]:
    """A line for each purpose: what ranks, and how well it found what was held back."""
    from recommender.ranker.compare import chosen_mean, noise_of

    for purpose, questions in ({} if card is None else card.questions).items():
        comparison = None if card is None else card.comparisons.get(purpose)
        if comparison is None or not comparison.queries:
            yield f"{purpose}: {questions} questions held back, too few to compare rankers"
            continue
        metric = f"{comparison.configuration.metric.upper()}@{comparison.configuration.at}"
        figure = f"{chosen_mean(comparison):.4f} ± {noise_of(comparison):.4f}"
        yield f"{purpose}: {questions} questions held back, {comparison.chosen}, {metric} {figure}"
    if card is not None and card.shown is not None:
        yield from _of_shown_lists(card.shown)


def _of_shown_lists(shown: ShownCard) -> Iterator[str]:
    """What clicks on them taught: how much positions are looked at, and who takes what appeals."""
    examined = shown.curves[0].examined
    yield (
        f"{shown.lists} shown lists with {shown.clicks} clicks: of the first position, "
        f"the second is looked at {examined[1]:.0%}, the fifth {examined[4]:.0%}, the tenth {examined[9]:.0%}"
    )
    for purpose, tried in shown.challenges.items():
        outcome = "taken" if tried.is_taken else "not taken"
        yield f"{purpose}: clicks by position are {outcome}, {tried.gain:+.4f} ({tried.low:+.4f} to {tried.high:+.4f})"
