"""A delimited text file as rows of cells, whatever its delimiter, and whatever is wrong with some of its rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ingest.sources import OVERLONG_MARK, Source, unreadable
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent

DELIMITERS = ",;\t|"
HEADER_ROW = 1
CELL_CHARACTERS_MAX = 131_072  # what Python's csv module allows; mostly a quote that is never closed

Row = list[str]

_OVERLONG = OVERLONG_MARK.decode()


class Table(NamedTuple):
    """A file with a header; `columns` are its names, tidied of outer spaces."""

    source: Source
    delimiter: str
    columns: tuple[str, ...]

    def rows(self) -> Iterator[Row | csv.Error]:
        """The rows below the header, without blank ones; where a row cannot be split into cells, why not.

        Bytes that are not UTF-8 stand as lone surrogates: see `require_text`. Cost: 1 µs for 100 bytes.
        """
        rows = _split(_lines(self.source), self.delimiter)
        next(rows, None)
        return rows


def open_table(source: Source) -> Table:
    """The table in a file, its delimiter taken from the header.

    Raises:
        ConfigurationError: there is no readable header.
    """
    for line in _lines(source):
        if not line.strip():
            continue
        delimiter = max(DELIMITERS, key=lambda each: (_outside_quotes(line).count(each), -DELIMITERS.index(each)))
        header = next(_split(_lines(source), delimiter))
        if isinstance(header, csv.Error):
            raise unreadable(source.name, f"its header is not CSV: {header}")
        try:
            require_text("".join(header))
        except MalformedEvent as error:
            raise unreadable(source.name, f"its header is not text: {error.message}") from error
        return Table(source, delimiter, tuple(cell.strip() for cell in header))
    raise unreadable(source.name, "it has no header")


def require_text(joined: str) -> None:
    """Refuse what is no text: bytes that are not UTF-8, NUL, a line that was cut.

    Raises:
        MalformedEvent: with the reason.
    """
    if "\0" in joined:
        if _OVERLONG in joined:
            raise MalformedEvent("the line is longer than 1 MiB", code="line_too_long")
        raise MalformedEvent("the row has a NUL byte", code="nul_byte")
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError as error:
            raise MalformedEvent("the row is not UTF-8", code="not_utf8") from error


def require_width(row: Row, width: int) -> None:
    """Refuse a row with more or fewer cells than the header.

    Raises:
        MalformedEvent: with both numbers.
    """
    if len(row) != width:
        raise MalformedEvent(f"the row has {len(row)} cells, the header has {width}", code="cell_count")


def unsplittable(error: csv.Error) -> MalformedEvent:
    """The refusal of a row that cannot be split into cells."""
    return MalformedEvent(f"the row is not CSV ({error}); a quote may not be closed", code="not_csv")


def column_indexes(
    columns: Sequence[str], fields: Iterable[str], mapping: Mapping[str, str], constants: Iterable[str] = ()
) -> dict[str, int]:
    """Which column holds which field: as mapped, else the column of the field's own name.

    Raises:
        ConfigurationError: a field is not known or a column is not there; both are listed.
    """
    known = tuple(fields)
    for field in (*mapping, *constants):
        if field not in known:
            raise ConfigurationError(f"there is no field {field!r}; fields are {', '.join(known)}", code="wrong_usage")
    indexes: dict[str, int] = {}
    by_folded_name = {name.casefold(): index for index, name in reversed(list(enumerate(columns)))}
    for field in known:
        wanted = mapping.get(field)
        if wanted is None:
            index = by_folded_name.get(field)
        elif wanted in columns:
            index = columns.index(wanted)
        else:
            index = by_folded_name.get(wanted.casefold())
        if index is not None:
            indexes[field] = index
        elif wanted is not None:
            raise ConfigurationError(
                f"there is no column {wanted!r} for {field}; columns are {', '.join(columns)}", code="wrong_usage"
            )
    return indexes


def _lines(source: Source) -> Iterator[str]:
    for block in source.whole_lines():
        yield from io.StringIO(block.decode("utf-8", "surrogateescape"), newline="\n")


def _split(lines: Iterable[str], delimiter: str) -> Iterator[Row | csv.Error]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            for row in reader:
                if row:
                    yield row
        except csv.Error as error:
            yield error
        else:
            return


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])
