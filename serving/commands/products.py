"""`dangol catalog`: products."""

from __future__ import annotations

from pathlib import Path

import click

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
        from serving.catalogue_import import import_catalogue
        from serving.commands.import_ import assignments
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration, create=True) as engine:
            report = import_catalogue(engine, file, dialect, assignments(maps, "--map"))
        options.show(report, report.text())
