"""`dangol init`, `dangol serve` and `dangol demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from serving.commands.options import HEARTBEAT, Options, command, when_told_to_stop

if TYPE_CHECKING:
    from serving.configuration import Role


def add_commands(main: click.Group) -> None:
    """Add what starts a shop's Dangol."""

    @command(main, "init")
    @click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
    def init(options: Options, directory: Path | None) -> None:
        """Write a commented dangol.toml and the data folder (DIR, or --data)."""
        from serving.configuration import write_configuration
        from serving.wiring import open_engine

        folder = directory or options.folder
        path, written = write_configuration(folder)
        with open_engine(folder, None) as engine:
            for advice in engine.advice:
                click.echo(f"dangol: {advice}", err=True)
        said = "written" if written else "there already, left as it is"
        options.show({"data": str(folder), "configuration": str(path), "written": written}, f"{path}: {said}")

    @command(main, "serve")
    @click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
    @click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
    @click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
    @click.option(
        "--role",
        type=click.Choice(["all", "collect", "recommend"]),
        default="all",
        show_default=True,
        help="What this one does, of several beside each other.",
    )
    def serve(options: Options, host: str, port: int, workers: int, role: Role) -> None:
        """Answer HTTP; without [distributed], fold what comes in and train on schedule as well."""
        from serving.server import serve as run

        run(options.folder, options.configuration, host=host, port=port, role=role, workers=workers)

    @command(main, "project")
    @HEARTBEAT
    def project(options: Options, heartbeat: Path | None) -> None:
        """Fold what comes into the log, as one of the group of projectors, until told to stop."""
        from serving.trainer import Heartbeat
        from serving.wiring import open_engine_patiently

        alive = Heartbeat(heartbeat).beat
        with open_engine_patiently(options.folder, options.configuration, alive) as engine:
            projector = engine.projector_of_the_group()
            when_told_to_stop(projector.stop)
            click.echo("dangol: folding (Ctrl-C stops)", err=True)
            projector.run(alive)

    @command(main, "demo")
    @click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
    @click.option(
        "--example",
        type=click.Path(path_type=Path, file_okay=False),
        help="The example shop's folder.  [default: examples/online-retail]",
    )
    def demo(options: Options, port: int, example: Path | None) -> None:
        """The example shop: imported, trained and served; prints the pages to open."""
        from serving.demo import run_demo

        run_demo(options, port=port, example=example)
