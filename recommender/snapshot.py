"""Snapshots: immutable sets of arrays named by the hash of their content, and which of them is published.

    <folder>/<hex>/*.npy, manifest.json     a snapshot
    <folder>/current.json                   the publication that answers use
    <folder>/history.jsonl                  every publication, one a line
    <folder>/writing-<pid>-<n>/             a snapshot being written

A process killed at any moment leaves the old publication or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import Corrupt, NotFound
from ingest.vocabulary.ids import SnapshotId

KEPT_MAX = 30
_PREFIX = "sha256:"
_WRITING = "writing-"

Array = NDArray[Any]


class ArrayEntry(msgspec.Struct, frozen=True):
    """What the manifest says about one array: `dtype` as NumPy spells it, with byte order; size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot consists of."""

    snapshot_id: SnapshotId
    arrays: tuple[ArrayEntry, ...]


class Publication(msgspec.Struct, frozen=True):
    """A snapshot in use, the last offset per partition in it, and the newest moment it has seen.

    `known_until` is the latest time at which all of its facts were known; time travel to before it must not use it.
    """

    snapshot_id: SnapshotId
    cut: tuple[int, ...]
    reference_time: datetime
    known_until: datetime


class Snapshot:
    """A set of read-only arrays, memory-mapped; any thread may read."""

    def __init__(self, snapshot_id: SnapshotId, arrays: Mapping[str, Array]) -> None:
        self.snapshot_id = snapshot_id
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def part(self, name: str) -> dict[str, Array]:
        """The arrays whose names begin so, by the rest of their names."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): array for key, array in self._arrays.items() if key.startswith(prefix)}

    @property
    def bytes(self) -> int:
        """The size of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    def unpack(self, name: str, kind: Any) -> Any:
        """An array of MessagePack bytes as a value of a type."""
        return msgspec.msgpack.decode(self[name].tobytes(), type=kind)


def snapshot_id_of(arrays: Mapping[str, Array]) -> SnapshotId:
    """The hash over names, types, shapes and bytes. Cost: about 1 s a gigabyte."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(msgspec.json.encode([name, array.dtype.str, array.shape]))
        digest.update(array.view(np.uint8).data if array.size else b"")
    return SnapshotId(_PREFIX + digest.hexdigest())


class SnapshotStore:
    """Snapshots in a folder.

    Guarantees: what `write` returned is on disk; `publish` is atomic and durable; equal arrays have one id and one
    folder. One process publishes at a time; any number read.
    """

    def __init__(self, folder: Path, kept_max: int = KEPT_MAX) -> None:
        self._folder = folder
        self._kept_max = kept_max
        self._written = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, arrays: Mapping[str, Array]) -> SnapshotId:
        """Keep a snapshot; one that is there already is left as it is. Not yet published."""
        self._remove_abandoned()
        snapshot_id = snapshot_id_of(arrays)
        target = self._folder_of(snapshot_id)
        if target.exists():
            return snapshot_id
        self._written += 1
        writing = self._folder / f"{_WRITING}{os.getpid()}-{self._written}"
        writing.mkdir()
        entries = tuple(_write_array(writing, name, arrays[name]) for name in sorted(arrays))
        _write_file(writing / "manifest.json", msgspec.json.encode(Manifest(snapshot_id, entries)))
        _sync_folder(writing)
        writing.rename(target)
        _sync_folder(self._folder)
        return snapshot_id

    def publish(
        self,
        snapshot_id: SnapshotId,
        cut: tuple[int, ...],
        reference_time: datetime,
        known_until: datetime | None = None,
    ) -> Publication:
        """Make a snapshot the one in use, and prune the oldest beyond the number kept.

        Raises:
            NotFound: it was never written, or pruned.
        """
        if not self._folder_of(snapshot_id).exists():
            raise NotFound(f"there is no snapshot {snapshot_id}")
        publication = Publication(snapshot_id, cut, reference_time, known_until or reference_time)
        self._enter(publication)
        self._replace("current.json", msgspec.json.encode(publication))
        self._prune()
        return publication

    def note(
        self, snapshot_id: SnapshotId, cut: tuple[int, ...], reference_time: datetime, known_until: datetime
    ) -> None:
        """Remember a snapshot of the past for time travel, without making it the one in use."""
        self._enter(Publication(snapshot_id, cut, reference_time, known_until))

    def adopt(self, other: SnapshotStore) -> None:
        """Hold the snapshots of another store and its history instead of our own; the one in use there is so here.

        Raises:
            Corrupt: a snapshot is not what its name says.
        """
        publications, current = other.history(), other.current()
        for snapshot_id in sorted({each.snapshot_id for each in other.kept()}):
            if self.write(other.open(snapshot_id)._arrays) != snapshot_id:
                raise Corrupt(f"the bytes of snapshot {snapshot_id} are not those that were written")
        self._replace("history.jsonl", b"".join(msgspec.json.encode(each) + b"\n" for each in publications))
        if current is None:
            (self._folder / "current.json").unlink(missing_ok=True)
        else:
            self._replace("current.json", msgspec.json.encode(current))

    def current(self) -> Publication | None:
        """The publication in use, or None before the first.

        Raises:
            Corrupt: the file is not one; publish again.
        """
        try:
            return msgspec.json.decode((self._folder / "current.json").read_bytes(), type=Publication)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise Corrupt(f"{self._folder}/current.json cannot be read: {error}") from error

    def history(self) -> list[Publication]:
        """All publications, oldest first; lines that cannot be read are passed over."""
        with contextlib.suppress(FileNotFoundError):
            publications = []
            for line in (self._folder / "history.jsonl").read_bytes().splitlines():
                with contextlib.suppress(msgspec.MsgspecError):
                    publications.append(msgspec.json.decode(line, type=Publication))
            return publications
        return []

    def kept(self) -> list[Publication]:
        """The publications whose snapshots are still there, oldest first."""
        return [entry for entry in self.history() if self._folder_of(entry.snapshot_id).exists()]

    def known_at(self, moment: datetime) -> Publication | None:
        """The newest publication whose facts were all known at a moment and whose snapshot is still kept."""
        return newest_known(self.kept(), moment)

    def open(self, snapshot_id: SnapshotId) -> Snapshot:
        """A snapshot, memory-mapped; sizes are verified, bytes are not.

        Raises:
            NotFound: it was never written, or pruned.
            Corrupt: the files are not what the manifest says; train again.
        """
        folder = self._folder_of(snapshot_id)
        if not folder.exists():
            raise NotFound(f"there is no snapshot {snapshot_id}")
        try:
            manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
            arrays = {entry.name: _map_array(folder, entry) for entry in manifest.arrays}
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise Corrupt(f"snapshot {snapshot_id} cannot be read: {error}") from error
        if manifest.snapshot_id != snapshot_id:
            raise Corrupt(f"the folder of {snapshot_id} holds {manifest.snapshot_id}")
        return Snapshot(snapshot_id, arrays)

    def verify(self, snapshot_id: SnapshotId) -> None:
        """Hash everything again.

        Raises:
            Corrupt: the bytes are not those that were written.
        """
        snapshot = self.open(snapshot_id)
        if snapshot_id_of(snapshot._arrays) != snapshot_id:
            raise Corrupt(f"the bytes of snapshot {snapshot_id} are not those that were written")

    def _enter(self, publication: Publication) -> None:
        """Add a line to the history, unless it is the last one already."""
        earlier = self.history()
        if not earlier or earlier[-1] != publication:
            lines = [msgspec.json.encode(entry) for entry in (*earlier, publication)]
            self._replace("history.jsonl", b"\n".join(lines) + b"\n")

    def _folder_of(self, snapshot_id: SnapshotId) -> Path:
        hexadecimal = snapshot_id.removeprefix(_PREFIX)
        if len(hexadecimal) != 64 or set(hexadecimal) - set("0123456789abcdef"):
            raise NotFound(f"{snapshot_id!r} is not the id of a snapshot")
        return self._folder / hexadecimal

    def _replace(self, name: str, content: bytes) -> None:
        writing = self._folder / f"{name}.{os.getpid()}.new"
        _write_file(writing, content)
        writing.replace(self._folder / name)
        _sync_folder(self._folder)

    def _prune(self) -> None:
        """Remove the oldest snapshots beyond the number kept, never the one in use."""
        current = self.current()
        using = current.snapshot_id.removeprefix(_PREFIX) if current else ""
        last_use = {entry.snapshot_id.removeprefix(_PREFIX): at for at, entry in enumerate(self.history())}
        folders = [path for path in self._folder.iterdir() if path.is_dir() and len(path.name) == 64]
        folders.sort(key=lambda path: (path.name == using, last_use.get(path.name, -1), path.stat().st_mtime_ns))
        for folder in folders[: max(0, len(folders) - self._kept_max)]:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        """Remove what trainings left that no longer live."""
        for path in self._folder.glob(f"{_WRITING}*"):
            if not _is_alive(path.name.removeprefix(_WRITING).split("-")[0]):
                shutil.rmtree(path, ignore_errors=True)


def newest_known(publications: Sequence[Publication], moment: datetime) -> Publication | None:
    """Of publications, oldest first, the one that knows most of what was known at a moment, and nothing else."""
    known = [
        (publication.known_until, at, publication)
        for at, publication in enumerate(publications)
        if publication.known_until <= moment
    ]
    return max(known)[2] if known else None


def _is_alive(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_array(folder: Path, name: str, array: Array) -> ArrayEntry:
    array = np.ascontiguousarray(array)
    path = folder / f"{name}.npy"
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return ArrayEntry(name, array.dtype.str, array.shape, path.stat().st_size)


def _map_array(folder: Path, entry: ArrayEntry) -> Array:
    path = folder / f"{entry.name}.npy"
    if path.stat().st_size != entry.size:
        raise Corrupt(f"{path} has {path.stat().st_size} bytes, its manifest says {entry.size}")
    array = np.load(path, mmap_mode="r" if np.prod(entry.shape) else None, allow_pickle=False)
    if array.dtype.str != entry.dtype or array.shape != entry.shape:
        raise Corrupt(f"{path} holds {array.dtype} {array.shape}, its manifest says {entry.dtype} {entry.shape}")
    plain: Array = array.view(np.ndarray)  # numba knows arrays, not their memory-mapped subclass
    plain.flags.writeable = False
    return plain


def _write_file(path: Path, content: Iterable[int] | bytes) -> None:
    with path.open("wb") as file:
        file.write(bytes(content))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
