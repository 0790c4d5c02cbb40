"""`dangol status`, `dangol migrate`, `dangol dead-letters`: the log and what was folded from it."""

from __future__ import annotations

from pathlib import Path

import click

from serving.commands.options import Options, command


def add_commands(main: click.Group) -> None:
    """Add what is about the log."""

    @command(main, "status")
    def status(options: Options) -> None:
        """Log positions and lag, snapshot, sizes, dead letters, freshness."""
        from serving.status import status_of
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            found = status_of(engine)
        options.show(found, found.text())

    @command(main, "migrate")
    @click.option(
        "--from",
        "old",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        metavar="FOLDER",
        help="The embedded data folder to move from; it is only read.",
    )
    def migrate(options: Options, old: Path) -> None:
        """Move an embedded shop to the Kafka and Redis of this folder's dangol.toml."""
        from serving.wiring import open_migration

        with open_migration(old, options.folder, options.configuration) as migration, options.progress() as bar:
            totals = {"subjects": migration.subjects, "facts": migration.facts}
            tasks = {each: bar.add_task(f"moving {each}", total=total) for each, total in totals.items()}
            migrated = migration.run(lambda what, count: bar.advance(tasks[what], count))
        options.show(migrated, migrated.text())

    _add_dead_letters(main)


def _add_dead_letters(main: click.Group) -> None:
    @main.group("dead-letters")
    def dead_letters() -> None:
        """What could not be read."""

    @command(dead_letters, "list")
    @click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
    def list_(options: Options, limit: int) -> None:
        """The letters, oldest first, without what they hold."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            letters = list(engine.dead_letters.all(limit=limit))
            count = engine.dead_letters.count()
        rows = [
            {"letter": each.letter, "at": each.at, "source": each.source, "code": each.code, "place": each.place,
             "detail": each.detail}
            for each in letters
        ]  # fmt: skip
        text = "\n".join(
            f"{each.letter:6}  {each.source}  {each.place}  {each.code}: {each.detail}" for each in letters
        )
        options.show({"count": count, "letters": rows}, f"{count} dead letters" + (f"\n{text}" if text else ""))

    @command(dead_letters, "show")
    @click.argument("letter", type=int)
    def show(options: Options, letter: int) -> None:
        """One letter, with what came."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            found = engine.dead_letters.get(letter)
        options.show(found)

    @command(dead_letters, "replay")
    @click.argument("letters", type=int, nargs=-1)
    def replay_letters(options: Options, letters: tuple[int, ...]) -> None:
        """Try LETTERS again (all of them by default); what is taken now is a letter no more."""
        from serving.letters import replay_letters as replay_all
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            tried = replay_all(engine, letters)
        options.show(tried, f"{tried.accepted} taken, {tried.repeated} known already, {tried.refused} still dead")

    @command(dead_letters, "drop")
    @click.argument("letters", type=int, nargs=-1, required=True)
    def drop(options: Options, letters: tuple[int, ...]) -> None:
        """Throw LETTERS away."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            for letter in letters:
                engine.dead_letters.get(letter)
            engine.dead_letters.remove(letters)
        options.show({"dropped": letters}, f"{len(letters)} dropped")
