"""A file to import, as blocks of bytes: plain or gzipped, from the disk or from standard input.

Whoever imports reads a file twice: first to learn whether all of it can be read, what it contains and how much there
is; then for the facts. So standard input is kept in a temporary file, and a damaged file is refused as a whole.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ingest.vocabulary.errors import ConfigurationError

BLOCK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 20  # no event or product is that large; a file without line ends must not fill the memory
LINE_KEPT_BYTES = 1_000
OVERLONG_MARK = b"\0\0over-long"
STANDARD_INPUT = "standard input"

_GZIP, _ZIP, _UTF16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")


class Source(NamedTuple):
    """A file that can be read from its beginning any number of times.

    Attributes:
        note: hears of every block of unpacked content, for instance to hash it.
    """

    name: str
    path: Path
    gzipped: bool
    note: Callable[[bytes], None] | None = None

    def blocks(self) -> Iterator[bytes]:
        """The unpacked content.

        Raises:
            ConfigurationError: it cannot be read to its end; nothing of it should be used.
        """
        try:
            with gzip.open(self.path, "rb") if self.gzipped else self.path.open("rb") as stream:
                while block := stream.read(BLOCK_BYTES):
                    if self.note is not None:
                        self.note(block)
                    yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise unreadable(
                self.name, f"its gzip data are damaged or cut short ({error}); nothing was taken"
            ) from error
        except OSError as error:
            raise unreadable(self.name, error.strerror or str(error)) from error

    def whole_lines(self) -> Iterator[bytes]:
        """The same, cut behind line ends and without a byte order mark.

        What is longer than `LINE_BYTES_MAX` without a line end is cut down to its beginning and `OVERLONG_MARK`.
        """
        rest, skipping, first = b"", False, True
        for block in self.blocks():
            if skipping:
                end = block.find(b"\n")
                if end < 0:
                    continue
                block, skipping = block[end:], False
            whole, end_of_line, rest_of_block = (rest + block).rpartition(b"\n")
            lines = whole + end_of_line
            if first:
                lines, first = lines.removeprefix(b"\xef\xbb\xbf"), not lines
            if lines:
                yield lines
            rest = rest_of_block
            if len(rest) > LINE_BYTES_MAX:
                rest, skipping = _cut(rest), True
        if rest:
            yield rest.removeprefix(b"\xef\xbb\xbf") if first else rest


@contextlib.contextmanager
def opened(path: Path | None, stream: BinaryIO | None = None) -> Iterator[Source]:
    """The source at a path; None or `-` is standard input, spooled to a temporary file.

    Raises:
        ConfigurationError: there is no such file, it is a folder, it is empty, or it is of a kind we do not read.
    """
    if path is not None and str(path) != "-":
        yield _checked(path.name, path)
        return
    with tempfile.NamedTemporaryFile(prefix="dangol-import-") as spool:
        shutil.copyfileobj(stream or sys.stdin.buffer, spool)
        spool.flush()
        yield _checked(STANDARD_INPUT, Path(spool.name))


def unreadable(name: str, why: str) -> ConfigurationError:
    """The error for a file that cannot be used at all."""
    return ConfigurationError(f"{name} cannot be read: {why}", code="unreadable_file")


def _checked(name: str, path: Path) -> Source:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise unreadable(str(path) if name != STANDARD_INPUT else name, error.strerror or str(error)) from error
    if not start:
        raise unreadable(name, "it is empty")
    if start.startswith(_ZIP):
        raise unreadable(name, "it is a zip archive or a spreadsheet; unpack it, or save it as CSV")
    if start.startswith(_UTF16):
        raise unreadable(name, "it is UTF-16; save it as UTF-8")
    return Source(name, path, start.startswith(_GZIP))


def _cut(line: bytes) -> bytes:
    kept = line[:LINE_KEPT_BYTES].decode("utf-8", "ignore").encode() + OVERLONG_MARK
    return kept + b'"' if kept.count(b'"') % 2 else kept
