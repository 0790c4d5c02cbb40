"""Files of columns: what is there follows from their names, and whether it can be trusted from what they say.

    <folder>/p07/000000000000120-000000000000349.columns    the facts 120 to 349 of partition 7

A file is a magic word, the length of its label, the label, and the arrays, each at a multiple of 64 bytes so that it
can be used as it lies on the disk. It is there as a whole or not at all. Nothing is ever mended: a file that is
damaged, or of another version, is as good as none, since the log has everything in it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ids import GENERATION
from recommender.columns.shape import Arrays, array_types, fingerprint

_MAGIC = b"dangol.columns\n\0"
_LENGTHS = struct.Struct("<16sQ")
_ALIGNED = 64
_WRITING = ".writing-"
_NAME = re.compile(r"(\d{15})-(\d{15})\.columns")  # 48 bits of offset, so that names sort as facts do


class Stretch(NamedTuple):
    """A stretch of a partition, by the first and the last offset in it, and the file that holds its columns."""

    begin: int
    last: int
    path: Path


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself.

    Attributes:
        shape: the fingerprint of the columns it was written with.
        before, ends_with: the hashes of the event ids of the last fact before it (0 for none) and of its own last one,
            so that files of one log are told from those of another.
        lengths: of the arrays, in the order of `array_types`; checksum: the CRC-32 of all of them.
    """

    shape: str
    generation: int = GENERATION
    partition: int
    begin: int
    last: int
    before: int
    ends_with: int
    lengths: tuple[int, ...]
    checksum: int


class Opened(NamedTuple):
    """A file that was read and found to be what its name says; its arrays are memory-mapped."""

    stretch: Stretch
    label: Label
    arrays: Arrays

    @property
    def facts(self) -> int:
        """At most so many facts are in it."""
        return self.stretch.last - self.stretch.begin + 1


def partition_folder(folder: Path, partition: int) -> Path:
    """Where a partition's files are."""
    return folder / f"p{partition:02d}"


def stretches_in(folder: Path) -> list[Stretch]:
    """The files of a partition's folder, by where they begin, the longest first; none where it cannot be read."""
    found: list[Stretch] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = ((_NAME.fullmatch(entry.name), entry.path) for entry in entries)
        found += [Stretch(int(name[1]), int(name[2]), Path(path)) for name, path in names if name]
    return sorted(found, key=lambda stretch: (stretch.begin, -stretch.last))


def opened(stretch: Stretch, partition: int) -> Opened | None:
    """A file's columns; None if it is gone, damaged, of another version, or not what its name says.

    Cost: a checksum over its bytes, some 3 GB/s.
    """
    try:
        with stretch.path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        magic, length = _LENGTHS.unpack_from(content)
        label = msgspec.json.decode(content[_LENGTHS.size : _LENGTHS.size + length], type=Label)
    except (OSError, ValueError, struct.error, msgspec.MsgspecError):
        return None
    begin = _aligned(_LENGTHS.size + length)
    said = (magic, label.shape, label.generation, label.partition, label.begin, label.last)
    if said != (_MAGIC, fingerprint(), GENERATION, partition, stretch.begin, stretch.last):
        return None
    places = list(_places(label.lengths))
    if len(content) != begin + (places[-1].stop if places else 0) or zlib.crc32(content[begin:]) != label.checksum:
        return None
    arrays = {
        name: _array(np.frombuffer(content[begin + place.start : begin + place.stop], dtype), name)
        for (name, dtype), place in zip(array_types().items(), places, strict=True)
    }
    return Opened(stretch, label, arrays)


def write(folder: Path, partition: int, begin: int, last: int, before: int, ends_with: int, arrays: Arrays) -> None:
    """Keep the columns of a stretch, on disk when this returns.

    Raises:
        OSError: nothing is there.
    """
    target = partition_folder(folder, partition)
    _make(target)
    plain = [np.ascontiguousarray(arrays[name], dtype) for name, dtype in array_types().items()]
    lengths = tuple(array.nbytes for array in plain)
    checksum = 0
    for piece in _pieces(plain, lengths):
        checksum = zlib.crc32(piece, checksum)
    label = Label(
        shape=fingerprint(),
        partition=partition,
        begin=begin,
        last=last,
        before=before,
        ends_with=ends_with,
        lengths=lengths,
        checksum=checksum,
    )
    said = msgspec.json.encode(label)
    head = _LENGTHS.pack(_MAGIC, len(said)) + said
    name = f"{begin:015d}-{last:015d}.columns"
    _put(target, name, [head.ljust(_aligned(len(head)), b"\0"), *_pieces(plain, lengths)])


def remove(stretches: Sequence[Stretch]) -> None:
    """Remove files that are of no use any more."""
    for stretch in stretches:
        stretch.path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash left half written in a partition's folder; only the one writer may."""
    for path in folder.glob(f"{_WRITING}*"):
        path.unlink(missing_ok=True)


def _array(flat: NDArray[Any], name: str) -> NDArray[Any]:
    return flat.reshape(-1, 2) if name.endswith(".hash") else flat


def _places(lengths: Sequence[int]) -> Iterator[slice]:
    begin = 0
    for length in lengths:
        yield slice(begin, begin + length)
        begin = _aligned(begin + length)


def _pieces(arrays: Sequence[NDArray[Any]], lengths: Sequence[int]) -> Iterator[bytes | memoryview]:
    """The bytes of the arrays with what fills them up; behind the last there is nothing."""
    end = 0
    for array, place in zip(arrays, _places(lengths), strict=True):
        yield b"\0" * (place.start - end)
        if array.size:
            yield array.reshape(-1).view(np.uint8).data
        end = place.stop


def _aligned(length: int) -> int:
    return -(-length // _ALIGNED) * _ALIGNED


def _put(folder: Path, name: str, pieces: Sequence[bytes | memoryview]) -> None:
    writing = folder / f"{_WRITING}{name}"
    try:
        with writing.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        writing.rename(folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            writing.unlink()
        raise
    _sync(folder)


def _make(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
