"""The one composition root: the only place that chooses backends and reads the environment."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

import msgspec
import structlog

from ingest.catalog import CatalogueProjection
from ingest.vocabulary.clock import Clock, SystemClock
from ingest.vocabulary.errors import ConfigurationError, Unavailable
from ingest.vocabulary.ports import AnyProjection
from personalization.customer.projection import ProfileProjection
from personalization.experiments.attributing import AttributionProjection
from personalization.experiments.counting import LearnedProjection
from personalization.experiments.lifecycle import ExperimentProjection
from recommender.segments import TailProjection
from serving.access import AccessKeys
from serving.configuration import Configuration, Distributed, Role, load_configuration, written_in
from serving.embedded import embedded_backend, embedded_shop
from serving.engine import Engine
from serving.folder import CONFIGURATION_FILE, make_folder, require_folder, server_lock, training_lock

if TYPE_CHECKING:
    from flask import Flask

    from serving.distributed import Addresses
    from serving.migration import Migration
    from serving.opening import Application


FOLDER_VARIABLE = "DANGOL_DATA"
CONFIGURATION_VARIABLE = "DANGOL_CONFIG"
ROLE_VARIABLE = "DANGOL_ROLE"
KAFKA_VARIABLE, KAFKA_PASSWORD_VARIABLE = "DANGOL_KAFKA", "DANGOL_KAFKA_PASSWORD"
WEATHER_KEY_VARIABLE = "DANGOL_WEATHER_KEY"
REDIS_VARIABLE, REDIS_PASSWORD_VARIABLE = "DANGOL_REDIS", "DANGOL_REDIS_PASSWORD"

# One BLAS thread and one kernel: the same log must give the same bytes whatever the machine has.
DETERMINISTIC_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

WAIT_FIRST_S, WAIT_MAX_S = 0.25, 4.0  # before opening is tried again

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_log = structlog.get_logger(__name__)


def read_configuration(folder: Path, configuration_path: Path | None) -> Configuration:
    """The configuration of a data folder.

    Raises:
        ConfigurationError: there is no such folder or configuration, or it cannot be used.
    """
    path = configuration_path or require_folder(folder) / CONFIGURATION_FILE
    return load_configuration(path, required=configuration_path is not None)


def written_configuration(folder: Path, configuration_path: Path | None) -> dict[str, Any]:
    """What the configuration of a data folder says, unchecked.

    Raises:
        ConfigurationError: there is no such folder or configuration, or it is not TOML.
    """
    path = configuration_path or require_folder(folder) / CONFIGURATION_FILE
    return written_in(path, required=configuration_path is not None)


@contextmanager
def open_engine(folder: Path, configuration_path: Path | None, *, create: bool = False) -> Iterator[Engine]:
    """The engine of a data folder, for a command; closed in any case.

    Raises:
        ConfigurationError: there is no such folder or configuration, or they cannot be used.
    """
    make_folder(folder) if create else require_folder(folder)
    path = configuration_path or folder / CONFIGURATION_FILE
    configuration = load_configuration(path, required=configuration_path is not None)
    engine = _engine(folder, configuration)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def open_engine_patiently(
    folder: Path, configuration_path: Path | None, alive: Callable[[], None] = lambda: None
) -> Iterator[Engine]:
    """The engine for a process that stays: what is away is waited for, as it is once the process runs.

    Args:
        alive: called before every attempt.

    Raises:
        ConfigurationError: as `open_engine`.
    """
    wait_s = WAIT_FIRST_S
    with contextlib.ExitStack() as held:
        while True:
            alive()
            try:
                engine = held.enter_context(open_engine(folder, configuration_path))
                break
            except Unavailable as error:
                _log.warning("what is needed is away", reason=error.message, again_in_s=wait_s)
            threading.Event().wait(wait_s)
            wait_s = min(2 * wait_s, WAIT_MAX_S)
        yield engine


@contextmanager
def open_migration(old: Path, folder: Path, configuration_path: Path | None) -> Iterator[Migration]:
    """A move from an embedded data folder to the deployment that the configuration of another one describes.

    Raises:
        ConfigurationError: a folder or the configuration cannot be used, or the old folder is served or trained.
        Unavailable: Kafka or Redis does not answer.
    """
    require_folder(old)
    path = configuration_path or folder / CONFIGURATION_FILE
    configuration = load_configuration(path, required=configuration_path is not None)
    if configuration.distributed is None:
        raise ConfigurationError(f"{path} does not say where to move to: it needs [distributed] with kafka and redis")
    if make_folder(folder).samefile(old):
        raise ConfigurationError(f"{folder} is the folder to move from: the new one is another, `--data NEW_FOLDER`")
    from serving.distributed import distributed_shop
    from serving.migration import Migration

    with contextlib.ExitStack() as held:
        held.callback(server_lock(old).release)
        held.callback(training_lock(old).release)
        source = held.enter_context(embedded_shop(old))
        target = held.enter_context(distributed_shop(_addresses(configuration.distributed)))
        yield Migration(old, source, folder, target)


def every_projection() -> tuple[AnyProjection, ...]:
    """What is folded from the log, in this order: what was learned follows from what decisions earned."""
    return (
        CatalogueProjection(),
        ProfileProjection(),
        TailProjection(),
        ExperimentProjection(),
        AttributionProjection(),
        LearnedProjection(),
    )


def _engine(folder: Path, configuration: Configuration) -> Engine:
    projections = every_projection()
    clock = SystemClock()
    with contextlib.ExitStack() as undone:
        if configuration.distributed is None:
            backend = embedded_backend(folder, projections, clock)
        else:
            from serving.distributed import distributed_backend

            backend = distributed_backend(folder, _addresses(configuration.distributed), projections, clock)
        undone.callback(backend.close)
        weather_key = os.environ.get(WEATHER_KEY_VARIABLE) or None
        engine = Engine(folder, configuration, clock, projections, backend, weather_key)
        undone.pop_all()
    return engine


def _addresses(distributed: Distributed) -> Addresses:
    """Where Kafka and Redis are: the environment goes before what is written, and has the secrets."""
    from serving.distributed import Addresses

    settings = msgspec.structs.replace(distributed, kafka=os.environ.get(KAFKA_VARIABLE) or distributed.kafka)
    password = os.environ.get(KAFKA_PASSWORD_VARIABLE)
    if password:
        security = msgspec.structs.replace(settings.security, sasl_password=password)
        settings = msgspec.structs.replace(settings, security=security)
    redis_url = os.environ.get(REDIS_VARIABLE) or distributed.redis
    password = os.environ.get(REDIS_PASSWORD_VARIABLE)
    if password:
        address = urlsplit(redis_url)
        user = address.username or ""
        place = address.netloc.rpartition("@")[2]
        redis_url = address._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()
    return Addresses(settings.kafka_settings, redis_url)


def open_keys(folder: Path) -> tuple[AccessKeys, Clock]:
    """The API keys of a folder."""
    return AccessKeys(make_folder(folder)), SystemClock()


def with_deterministic_arithmetic() -> None:
    """Start this process over with one BLAS thread and a fixed kernel, unless it has them: training needs them."""
    if any(os.environ.get(name) != value for name, value in DETERMINISTIC_ENVIRONMENT.items()):
        os.environ.update(DETERMINISTIC_ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-m", "serving", *sys.argv[1:]])  # noqa: S606 - ourselves


def tell_workers(folder: Path, configuration_path: Path | None, role: Role) -> None:
    """Leave word for the worker processes, which are started with nothing but this environment."""
    os.environ[FOLDER_VARIABLE], os.environ[ROLE_VARIABLE] = str(folder.resolve()), role
    os.environ.pop(CONFIGURATION_VARIABLE, None)
    if configuration_path is not None:
        os.environ[CONFIGURATION_VARIABLE] = str(configuration_path.resolve())


def served_application() -> Application:
    """The application of a server's worker process, with its background threads; one that waits for what is away."""
    from serving.opening import Opening, answers_meanwhile

    _die_with_the_parent()
    folder = Path(os.environ[FOLDER_VARIABLE])
    written = os.environ.get(CONFIGURATION_VARIABLE)
    path = Path(written) if written else folder / CONFIGURATION_FILE
    configuration = load_configuration(path, required=written is not None)
    role = cast(Role, os.environ.get(ROLE_VARIABLE, "all"))
    arguments = ["--data", str(folder), *(["--config", written] if written else [])]
    meanwhile = partial(answers_meanwhile, folder, configuration, role, SystemClock())
    return Opening(partial(_opened_application, folder, configuration, role, arguments), meanwhile).soon()


def _opened_application(folder: Path, configuration: Configuration, role: Role, arguments: Sequence[str]) -> Flask:
    from serving.app import create_app
    from serving.background import Worker

    with contextlib.ExitStack() as undone:
        engine = _engine(folder, configuration)
        undone.callback(engine.close)
        worker = Worker(engine, role, arguments, {**os.environ, **DETERMINISTIC_ENVIRONMENT})
        application = create_app(engine, role)
        undone.pop_all()
    multiprocessing.util.Finalize(None, worker.close, exitpriority=100)
    return application


def _die_with_the_parent() -> None:
    """Linux ends this process when its parent is killed, so that a killed server frees its port and folder."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
