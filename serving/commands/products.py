"""`dangol catalog`: products."""

from __future__ import annotations

from pathlib import Path

import click

from serving.commands.import_ import assignments
from serving.commands.options import Options, command


def add_commands(main: click.Group) -> None:
    """Add what is about products."""

    @main.group()
    def catalog() -> None:
        """Products."""

    @command(catalog, "import")
    @click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
    @click.option(
        "--dialect",
        type=click.Choice(["jsonl", "csv", "merchant", "shopify"]),
        required=True,
        help="The format of the file.",
    )
    @click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN", help="csv: which column a field is in.")
    def import_(options: Options, file: Path, dialect: str, maps: tuple[str, ...]) -> None:
        """Take products from FILE (gz and - for stdin too): each line is upserted, or told with its reason."""
        from ingest.catalogue_import import import_catalogue
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration, create=True) as engine, options.progress() as bar:
            task = bar.add_task(f"importing {file.name}", total=None)
            report = import_catalogue(
                file,
                dialect,
                assignments(maps, "--map"),
                collector=engine.collector,
                stated=engine.catalogue.stated,
                clock=engine.clock,
                progress=lambda rows: bar.update(task, completed=rows),
            )
        options.show(report, "\n".join(report.lines()))
