"""One file of the archive as Parquet: its label, its bytes, its row groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.archive.columns import DICTIONARIES, SCHEMA, VERSION, checked_offsets, groups_of
from ingest.archive.files import ArchiveFile
from ingest.vocabulary.errors import Corrupt, NewerVersion, Unavailable
from ingest.vocabulary.ids import GENERATION

_LABEL = b"dangol.archive"
_SORTED = ("offset", "occurred_at", "received_at")  # in small steps: kept as differences, and with least and largest
_WRITING: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": [*DICTIONARIES, "partition", "imported", "lines.list.element.product_id"],
    "column_encoding": dict.fromkeys(_SORTED, "DELTA_BINARY_PACKED"),
    "write_statistics": list(_SORTED),
    "write_page_checksum": True,
}


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself."""

    version: int = VERSION
    generation: int = GENERATION
    partition: int
    first: int
    last: int


class _Version(msgspec.Struct):
    version: int


class Opened:
    """A file that was opened and found to be what its name says; it stays readable when it is removed.

    Any thread may read; one at a time does. `starts` are the first offsets of its row groups.
    """

    def __init__(self, file: ArchiveFile, parquet: pq.ParquetFile, starts: tuple[int, ...]) -> None:
        self.file, self.starts = file, starts
        self._parquet, self._lock = parquet, Lock()

    def group(self, number: int, names: Sequence[str]) -> pa.Table:
        """Some columns of a row group.

        Raises:
            Corrupt, Unavailable: with the name of the file.
        """
        with reading(self.file), self._lock:
            return self._parquet.read_row_group(number, columns=list(names), use_threads=False)

    def groups(self, names: Sequence[str], *, begin: int, last: int) -> Iterator[pa.Table]:
        """Some columns of the facts from `begin` to `last`, a row group at a time."""
        for number, start in enumerate(self.starts):
            ends = self.starts[number + 1] if number + 1 < len(self.starts) else self.file.last + 1
            if ends <= begin or start > last:
                continue
            inside = begin <= start and ends - 1 <= last
            table = self.group(number, names if inside else [*dict.fromkeys((*names, "offset"))])
            if not inside:
                offsets = table.column("offset").to_numpy()
                left, right = np.searchsorted(offsets, (begin, last + 1))
                table = table.slice(left, right - left).select(list(names))
            if len(table):
                yield table


def file_bytes(tables: Iterator[pa.Table], label: Label) -> Iterator[bytes]:
    """The bytes of a file, in pieces, as its rows come. Cost: memory of two row groups."""
    sink = _Sink()
    schema = SCHEMA.with_metadata({_LABEL: msgspec.json.encode(label)})
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, **_WRITING) as writer:
        for group in groups_of(tables):
            writer.write_table(group.combine_chunks(), row_group_size=len(group))
            yield sink.taken()
    yield sink.taken()


def opened(file: ArchiveFile, partition: int) -> Opened:
    """A file, opened and checked against its name.

    Raises:
        FileNotFoundError: it was compacted away; list again.
        NewerVersion: a newer Dangol wrote it; upgrade.
        Corrupt: it is not what its name says.
        Unavailable: it cannot be read at present.
    """
    with reading(file):
        parquet = pq.ParquetFile(
            file.path, read_dictionary=list(DICTIONARIES), page_checksum_verification=True, pre_buffer=False
        )
        _check_label(parquet.metadata.metadata or {}, partition, file)
        groups = [parquet.metadata.row_group(number) for number in range(parquet.metadata.num_row_groups)]
        at = SCHEMA.names.index("offset")
        bounds = [group.column(at).statistics for group in groups]
        ends = [(int(each.min), int(each.max)) for each in bounds]
        checked_offsets(np.array([offset for pair in ends for offset in sorted({*pair})]), file.first, file.last)
    return Opened(file, parquet, tuple(start for start, _ in ends))


@contextlib.contextmanager
def reading(file: ArchiveFile) -> Iterator[None]:
    """Whatever goes wrong within says which file it was."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Corrupt as error:
        raise Corrupt(f"{file.path} is damaged: {error.message}") from error
    except OSError as error:
        if error.errno is not None:
            raise Unavailable(f"{file.path} cannot be read: {error.strerror or error}") from error
        raise Corrupt(f"{file.path} is damaged: {error}") from error
    except (pa.ArrowException, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise Corrupt(f"{file.path} is damaged or was not written by Dangol: {error}") from error


def _check_label(metadata: dict[bytes, bytes], partition: int, file: ArchiveFile) -> None:
    written = metadata.get(_LABEL)
    if written is None:
        raise Corrupt("it has no label of Dangol's archive")
    try:
        version = msgspec.json.decode(written, type=_Version).version
        if version > VERSION:
            raise NewerVersion(f"{file.path} has version {version}; this Dangol reads up to {VERSION}: upgrade it")
        label = msgspec.json.decode(written, type=Label)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"its label cannot be read: {error}") from error
    if label != Label(version=version, partition=partition, first=file.first, last=file.last):
        raise Corrupt(
            f"it holds the facts {label.first} to {label.last} of partition {label.partition}, "
            f"generation {label.generation}, not what its name says"
        )


class _Sink:
    """Takes what the Parquet writer writes: a disk that is full is then met by us, not within it."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
