"""The data folder: one server at a time, and a refusal to touch what a newer Dangol wrote."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from ingest.vocabulary.errors import ConfigurationError, FolderInUse

LOCK_WAIT_S = 5.0  # a server that was just killed needs a moment until its worker is gone
CONFIGURATION_FILE = "dangol.toml"


class FolderLock:
    """Held by the one process that does something in a data folder; released by the kernel however it ends."""

    def __init__(self, folder: Path, name: str, doing: str) -> None:
        """Take the lock, waiting a moment for one that is about to be released.

        Raises:
            FolderInUse: another process holds it.
        """
        self._descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
                    os.close(self._descriptor)
                    raise FolderInUse(f"{folder} is {doing} by process {holder or 'unknown'} already") from None
                time.sleep(0.05)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)


def server_lock(folder: Path) -> FolderLock:
    """Held by the one server of a folder."""
    return FolderLock(folder, "server.lock", "served")


def training_lock(folder: Path) -> FolderLock:
    """Held by the one training of a folder."""
    return FolderLock(folder, "training.lock", "being trained")


def require_folder(folder: Path) -> Path:
    """A data folder that `dangol init` or an import has made.

    Raises:
        ConfigurationError: there is none; the message says how to make it.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no data folder {folder}: make it with `dangol init {folder}`")
    return folder


def make_folder(folder: Path) -> Path:
    """The data folder, made if it is not there.

    Raises:
        ConfigurationError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"the data folder {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"the data folder {folder} cannot be written")
    return folder
