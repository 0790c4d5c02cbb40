"""What every command shares: its options, how it prints a result, how it fails."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ingest.vocabulary.errors import DangolError

DEFAULT_FOLDER = "./dangol-data"
SPEED_S = 600.0  # what the time left is told from: a step of a training takes minutes in a large shop
Params = ParamSpec("Params")


class Options(NamedTuple):
    """The options of every command."""

    folder: Path
    configuration: Path | None
    as_json: bool

    def show(self, result: object, text: str | None = None) -> None:
        """Print a result: as JSON if asked, else as text for people."""
        if self.as_json or text is None:
            encoded = msgspec.json.encode(result, order="deterministic")
            click.echo(msgspec.json.format(encoded).decode())
        else:
            click.echo(text)

    def progress(self) -> Progress:
        """A progress bar on the error stream; silent where nobody watches."""
        console = Console(stderr=True)
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=SPEED_S,
            disable=not console.is_terminal,
        )

    @contextlib.contextmanager
    def steps(self, first: str) -> Iterator[Callable[[str, int, int], None]]:
        """A progress bar whose step may change: told a step, how much of it is done, and how much there is.

        Args:
            first: the step it begins with.
        """
        with self.progress() as bar:
            task = bar.add_task(first)
            yield lambda step, done, total: bar.update(task, description=step, completed=done, total=total)


HEARTBEAT = click.option(
    "--heartbeat",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file to touch every few seconds while all is well.",
)


FINDING = "finding what was shown"  # the first step of a report
GOALS = ("click", "cart", "order", "value")
DECISIONS_MAX = 5_000_000  # rows or homepages, of which each takes some 2 KB while they are read


def days_option(default: float | None, text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--days`: how long something has to earn what it does."""
    return click.option(
        "--days", type=click.FloatRange(0.0, 90.0, min_open=True), default=default, show_default=True, help=text
    )


def limit_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--limit`: how many decisions are read, the newest."""
    return click.option(
        "--limit", type=click.IntRange(1, DECISIONS_MAX), default=default, show_default=True, help="Newest decisions."
    )


def when_told_to_stop(stop: Callable[[], None]) -> None:
    """Call this when the process is told to end (SIGTERM, Ctrl-C), instead of ending it where it stands."""
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stop())


def command(group: click.Group, name: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """A command of a group with the shared options; what goes wrong is one clear line and exit status 1."""

    def register(function: Callable[..., None]) -> click.Command:
        @click.option(
            "--data",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            default=DEFAULT_FOLDER,
            envvar="DANGOL_DATA",
            show_default=True,
            show_envvar=True,
            help="The data folder.",
        )
        @click.option(
            "--config",
            "configuration",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The configuration.  [default: dangol.toml in the data folder]",
        )
        @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
        @functools.wraps(function)
        def run(folder: Path, configuration: Path | None, as_json: bool, **arguments: Any) -> None:
            with failing_clearly():
                function(Options(folder, configuration, as_json), **arguments)

        return group.command(name, **settings)(run)

    return register


class failing_clearly:  # noqa: N801 - reads as a statement
    """Turns our errors, and the machine's, into one line and exit status 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, DangolError):
            where = f" (at {error.pointer})" if error.pointer else ""
            fail(f"{error.message}{where}")
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if isinstance(error, OSError):
            fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        if isinstance(error, KeyboardInterrupt):
            fail("interrupted; running the same command again continues")


def fail(message: str) -> None:
    """One clear line on the error stream, exit status 1."""
    click.echo(f"dangol: {message}", err=True)
    sys.exit(1)
