"""A text file as blocks of whole lines, gzipped or plain; whatever is wrong with it is one clear sentence."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ingest.vocabulary.errors import ConfigurationError

BLOCK_BYTES = 1 << 24
LINE_BYTES_MAX = 1 << 28  # a file without line ends must not fill the memory

_GZIP = b"\x1f\x8b"


class Lines:
    """A file's lines, block by block.

    Guarantees: only whole lines, without a byte order mark; at least one line that is not blank.
    Cost: one block in memory at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._before = path, 0

    def blocks(self) -> Iterator[list[bytes]]:
        """Lines without their ends; the last of a file may be missing its own.

        Raises:
            ConfigurationError: it is empty, damaged or not text.
        """
        rest, is_blank = b"", True
        with _opened(self.path) as stream:
            for block in self._bytes(stream):
                whole, end, after = block.rpartition(b"\n")
                if not end:
                    rest += block
                    self._check(len(rest) <= LINE_BYTES_MAX, 0, f"it is longer than {LINE_BYTES_MAX >> 20} MB")
                    continue
                lines = (rest + whole).split(b"\n")
                rest = after
                is_blank = is_blank and not any(line.strip() for line in lines)
                yield self._text(lines)
                self._before += len(lines)
        if rest:
            is_blank = is_blank and not rest.strip()
            yield self._text([rest])
        if is_blank:
            raise unusable(self.path, "it is empty")

    def fault(self, at: int, why: str) -> ConfigurationError:
        """The error for the line at a place of the present block."""
        return ConfigurationError(f"{self.path}, line {self._before + at + 1}: {why}", code="unreadable_file")

    def _text(self, lines: list[bytes]) -> list[bytes]:
        if self._before == 0:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        for at, line in enumerate(lines):
            self._check(b"\0" not in line, at, "it has NUL bytes; this is not a text file")
        return lines

    def _check(self, holds: bool, at: int, why: str) -> None:
        if not holds:
            raise self.fault(at, why)

    def _bytes(self, stream: BinaryIO) -> Iterator[bytes]:
        try:
            while block := stream.read(BLOCK_BYTES):
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise unusable(self.path, f"its gzip data are damaged or cut short ({error})") from error


def unusable(path: Path, why: str) -> ConfigurationError:
    """The error for a file that cannot be used at all."""
    return ConfigurationError(f"{path} cannot be used: {why}", code="unreadable_file")


def whole_text(path: Path) -> bytes:
    """All of a file, for formats that are one value.

    Raises:
        ConfigurationError: it is empty, damaged or not text.
    """
    return b"\n".join(line for block in Lines(path).blocks() for line in block)


def _opened(path: Path) -> BinaryIO:
    try:
        with path.open("rb") as stream:
            is_gzip = stream.read(2) == _GZIP
        if path.suffix == ".gz" and not is_gzip:
            raise unusable(path, "its name ends in .gz, but it is not gzip" if path.stat().st_size else "it is empty")
        return cast(BinaryIO, gzip.open(path, "rb")) if is_gzip else path.open("rb")
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from error
