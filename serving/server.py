"""`dangol serve`: granian in front of the application, in worker processes with several threads each."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from pathlib import Path
from typing import Protocol

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from ingest.vocabulary.errors import ConfigurationError, Unavailable
from serving.access import AccessKeys, is_loopback
from serving.configuration import Role, Serving, load_configuration
from serving.folder import CONFIGURATION_FILE, require_folder, server_lock
from serving.wiring import open_engine, tell_workers

APPLICATION = "serving.wiring:served_application"
BACKLOG = 1_024
CONNECTIONS_MAX = 1_000  # open ones, idle or not: granian's "backpressure" counts connections, and further ones wait
FILES_MIN = 4_096  # a connection is an open file, and the usual limit is as low as 1,024
WORKER_KILL_S = 20  # what a worker may take to write its queues when it is told to stop


def serve(
    folder: Path,
    configuration_path: Path | None,
    *,
    host: str,
    port: int,
    role: Role = "all",
    workers: int = 1,
    greeting: str = "",
) -> None:
    """Serve until told to stop.

    Args:
        greeting: printed once folder and address are this server's.

    Raises:
        ConfigurationError: the folder, the configuration or the address cannot be used.
        FolderInUse: another server holds the folder.
    """
    require_folder(folder)
    path = configuration_path or folder / CONFIGURATION_FILE
    configuration = load_configuration(path, required=configuration_path is not None)
    if not is_loopback(host) and not AccessKeys(folder).configured():
        raise ConfigurationError(
            f"no API keys are configured, so {host} would let anybody in: make one with `dangol keys create --secret`, "
            "or listen on 127.0.0.1"
        )
    if configuration.distributed is None and (workers > 1 or role != "all"):
        raise ConfigurationError(
            "several processes, or a role for each, need the distributed deployment (Kafka and Redis): set "
            "[distributed] in dangol.toml; without it one process with several threads does everything"
        )
    with contextlib.ExitStack() as held:
        if configuration.distributed is None:
            held.callback(server_lock(folder).release)
        _try_to_open(folder, configuration_path)
        _require_free(host, port)
        tell_workers(folder, configuration_path, role)
        server = http_server(APPLICATION, configuration.serving, host=host, port=port, workers=workers)
        if greeting:
            click.echo(greeting)
        click.echo(f"dangol: serving {folder} on http://{host}:{port}/ (Ctrl-C stops)", err=True)
        server.serve()


def _try_to_open(folder: Path, configuration_path: Path | None) -> None:
    """Say here in one line what a worker could only log with its trace, such as a newer version.

    What is away may come back: workers answer without it, and wait for it.
    """
    try:
        with open_engine(folder, configuration_path):
            pass
    except Unavailable as error:
        click.echo(f"dangol: {error.message}; rows are empty until it does", err=True)


def _require_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, as long as it can be said clearly."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        why = "is in use: choose another --port" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise ConfigurationError(f"port {port} of {host} {why}") from error


class HttpServer(Protocol):
    """What granian's server is to us; its own class is chosen at run time."""

    def serve(self) -> None:
        """Serve until told to stop."""
        ...


def http_server(application: str, serving: Serving, *, host: str, port: int, workers: int = 1) -> HttpServer:
    """The HTTP server in front of an application factory: worker processes with as many threads as are configured."""
    _allow_open_files()
    server: HttpServer = Granian(
        application,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=serving.threads,
        backlog=BACKLOG,
        backpressure=CONNECTIONS_MAX,
        workers_kill_timeout=WORKER_KILL_S,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        process_name="dangol",
    )
    return server


def _allow_open_files() -> None:
    """Raise this process's limit of open files as far as the machine lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_MIN:
        wanted = FILES_MIN if hard == resource.RLIM_INFINITY else min(FILES_MIN, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
