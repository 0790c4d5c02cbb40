"""`dangol import`: history into the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.vocabulary.errors import ConfigurationError
from serving.commands.options import Options, command

if TYPE_CHECKING:
    from ingest.dialects.reading import ImportOptions
    from ingest.import_report import ImportReport
    from serving.engine import Engine


def add_commands(main: click.Group) -> None:
    """Add what is about history."""

    @command(main, "import")
    @click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
    @click.option("--dialect", metavar="NAME", required=True, help="The format: csv or segment.")
    @click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN", help="csv: which column a field is in.")
    @click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="A field with one value throughout.")
    @click.option(
        "--categories",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Rules that give products without a category one by their title.",
    )
    def import_(
        options: Options,
        files: tuple[Path, ...],
        dialect: str,
        maps: tuple[str, ...],
        sets: tuple[str, ...],
        categories: Path | None,
    ) -> None:
        """Take events from each FILE (gz and - for stdin too). A file that is imported again changes nothing."""
        from ingest.dialects.category_rules import load_category_rules
        from ingest.dialects.reading import ImportOptions
        from serving.wiring import open_engine

        read = ImportOptions(
            columns=assignments(maps, "--map"),
            constants=assignments(sets, "--set"),
            category_of=None if categories is None else load_category_rules(categories).category_of,
        )
        with open_engine(options.folder, options.configuration, create=True) as engine:
            reports = [import_with_progress(options, engine, file, dialect, read) for file in files]
        text = "\n".join(line for report in reports for line in report.lines())
        options.show(reports[0] if len(reports) == 1 else reports, text)


def import_with_progress(
    options: Options, engine: Engine, file: Path, dialect: str, read: ImportOptions
) -> ImportReport:
    """Import one file, with a progress bar.

    Raises:
        ConfigurationError: the file, the dialect or the mapping cannot be used; wrong usage where it is the flags.
    """
    from ingest.importer import import_file

    with options.progress() as bar:
        task = bar.add_task(f"reading {file.name}", total=None)

        def progress(stage: str, done: int, total: int | None) -> None:
            bar.update(task, description=f"{stage} {file.name}", completed=done, total=total)

        try:
            return import_file(file, dialect, read, engine.import_targets(), progress=progress)
        except ConfigurationError as error:
            if error.code == "wrong_usage":
                raise click.UsageError(error.message) from error
            raise


def assignments(given: tuple[str, ...], option: str) -> dict[str, str]:
    """FIELD=VALUE pairs as a mapping.

    Raises:
        UsageError: one has no `=`, or a field is given twice.
    """
    pairs: dict[str, str] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise click.UsageError(f"{option} takes FIELD=VALUE, got {each!r}")
        if name in pairs:
            raise click.UsageError(f"{option} {name} is given twice")
        pairs[name] = value
    return pairs
