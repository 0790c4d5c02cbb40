"""`dangol …`: the command line."""

from __future__ import annotations

import sys
from importlib.metadata import version

import click

from serving.commands import evaluate, experiments, homepage, import_, log, people, products, replay, server, training


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("dangol"), prog_name="dangol")
def main() -> None:
    """A shop's memory: clickstream and orders in, recommendations out."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # results go to the standard output


for module in (import_, products, training, evaluate, homepage, experiments, server, log, replay, people):
    module.add_commands(main)
