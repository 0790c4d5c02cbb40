"""The one composition root: the only place that chooses backends and reads the environment."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing.util
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.catalog import CatalogueProjection
from ingest.vocabulary.clock import Clock, SystemClock
from personalization.customer.projection import ProfileProjection
from recommender.segments import TailProjection
from serving.access import AccessKeys
from serving.configuration import Configuration, load_configuration
from serving.embedded import embedded_backend
from serving.engine import Engine
from serving.folder import CONFIGURATION_FILE, make_folder, require_folder

if TYPE_CHECKING:
    from flask import Flask


FOLDER_VARIABLE = "DANGOL_DATA"
CONFIGURATION_VARIABLE = "DANGOL_CONFIG"

# One BLAS thread and one kernel: the same log must give the same bytes whatever the machine has.
DETERMINISTIC_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


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


def _engine(folder: Path, configuration: Configuration) -> Engine:
    projections, clock = (CatalogueProjection(), ProfileProjection(), TailProjection()), SystemClock()
    return Engine(folder, configuration, clock, projections, embedded_backend(folder, projections, clock))


def open_keys(folder: Path) -> tuple[AccessKeys, Clock]:
    """The API keys of a folder."""
    return AccessKeys(make_folder(folder)), SystemClock()


def with_deterministic_arithmetic() -> None:
    """Start this process over with one BLAS thread and a fixed kernel, unless it has them: training needs them."""
    if any(os.environ.get(name) != value for name, value in DETERMINISTIC_ENVIRONMENT.items()):
        os.environ.update(DETERMINISTIC_ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-m", "serving", *sys.argv[1:]])  # noqa: S606 - ourselves


def tell_workers(folder: Path, configuration_path: Path | None) -> None:
    """Leave word for the worker process, which is started with nothing but this environment."""
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    os.environ.pop(CONFIGURATION_VARIABLE, None)
    if configuration_path is not None:
        os.environ[CONFIGURATION_VARIABLE] = str(configuration_path.resolve())


def served_application() -> Flask:
    """The application of a server's worker process, with its background threads."""
    from serving.app import create_app
    from serving.background import Worker

    _die_with_the_parent()
    folder = Path(os.environ[FOLDER_VARIABLE])
    written = os.environ.get(CONFIGURATION_VARIABLE)
    path = Path(written) if written else folder / CONFIGURATION_FILE
    engine = _engine(folder, load_configuration(path, required=written is not None))
    arguments = ["--data", str(folder), *(["--config", written] if written else [])]
    worker = Worker(engine, arguments, {**os.environ, **DETERMINISTIC_ENVIRONMENT})
    multiprocessing.util.Finalize(None, worker.close, exitpriority=100)
    return create_app(engine)


def _die_with_the_parent() -> None:
    """Linux ends this process when its parent is killed, so that a killed server frees its port and folder."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
