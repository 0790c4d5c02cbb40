"""CSV files with a header, and JSON objects of baskets."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from recommender.evaluation.files.text import Lines, unusable, whole_text

MILLISECONDS_MIN = 10**11  # as seconds that is the year 5138, as milliseconds 1973
SECONDS_MAX = 253_402_300_799  # the end of the year 9999

Item = str | int
Baskets = dict[str, list[list[Item]]]
Wanted = dict[str, list[Item]]


class Table:
    """The rows of a CSV file, as its named columns; others are passed over.

    Cost: about 1 µs a row.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._lines, self._columns, self._at = Lines(path), tuple(columns), 0

    def rows(self) -> Iterator[list[bytes]]:
        """The fields of each row in the order of the columns that were asked for; blank lines are passed over.

        Raises:
            ConfigurationError: the file cannot be used, has no such header, or a row has other fields than it.
        """
        places: list[int] = []
        width = 0
        for block in self._lines.blocks():
            for self._at, line in enumerate(block):
                if not line.strip():
                    continue
                fields = self._fields(line)
                if not places:
                    places, width = self._places(fields), len(fields)
                    continue
                if len(fields) != width:
                    raise self.fault(f"it has {len(fields)} fields, the header {width}")
                yield [fields[place] for place in places]

    def fault(self, why: str) -> Exception:
        """The error for the row that was read last."""
        return self._lines.fault(self._at, why)

    def seconds(self, field: bytes) -> int:
        """A time as Unix seconds: a number of seconds or milliseconds, or RFC 3339 (UTC where it names no zone).

        Raises:
            ConfigurationError: it is neither, or beyond the year 9999.
        """
        try:
            number = _number(field)
        except ValueError:
            number = self._moment(field)
        if abs(number) >= MILLISECONDS_MIN:
            number //= 1000
        if abs(number) > SECONDS_MAX:
            raise self._no_time(field)
        return number

    def _moment(self, field: bytes) -> int:
        try:
            moment = datetime.fromisoformat(field.decode().strip())
        except ValueError as error:
            raise self._no_time(field) from error
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

    def _no_time(self, field: bytes) -> Exception:
        return self.fault(f"{field.decode(errors='replace')!r} is not a time")

    def _fields(self, line: bytes) -> list[bytes]:
        if b'"' not in line:
            return [field.strip() for field in line.split(b",")]
        try:
            (fields,) = csv.reader([line.decode().strip()], strict=True)
        except (csv.Error, ValueError) as error:
            raise self.fault(f"it is not CSV ({error})") from error
        return [field.strip().encode() for field in fields]

    def _places(self, header: list[bytes]) -> list[int]:
        names = [name.decode(errors="replace").lower() for name in header]
        missing = [column for column in self._columns if column not in names]
        if missing:
            raise self.fault(f"the header must name {','.join(self._columns)}; {', '.join(missing)} is not there")
        return [names.index(column) for column in self._columns]


def _number(field: bytes) -> int:
    """A whole number, or one that is cut to it.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(field)
    except ValueError:
        number = float(field)
    if not math.isfinite(number):
        raise ValueError(field)
    return int(number)


def read_baskets(path: Path) -> Baskets:
    """`{user: [[item…]…]}`, baskets in order of time.

    Raises:
        ConfigurationError: it is something else.
    """
    baskets: Baskets = _decoded(path, Baskets)
    return baskets


def read_wanted(path: Path) -> Wanted:
    """`{user: [item…]}`, the basket that came next.

    Raises:
        ConfigurationError: it is something else.
    """
    wanted: Wanted = _decoded(path, Wanted)
    return wanted


def tokens(items: Sequence[Item]) -> list[bytes]:
    """The different items of a basket, in their order."""
    return list(dict.fromkeys(str(item).encode() for item in items))


def _decoded(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(whole_text(path), type=kind)
    except msgspec.MsgspecError as error:
        raise unusable(path, f"{error}") from error
