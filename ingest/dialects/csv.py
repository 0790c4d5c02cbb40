"""Any CSV of clicks or order lines, by a mapping of its columns to our fields."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ingest.collector import Incoming
from ingest.dead_letters import DeadLetter
from ingest.dialects.cells import parse_time
from ingest.dialects.csv_orders import OrderAssembly
from ingest.dialects.csv_rows import SOURCE, Cells, RowReader
from ingest.dialects.csv_table import HEADER_ROW, Row, open_table, require_text, require_width, unsplittable
from ingest.dialects.reading import Found, ImportOptions, Progress, Refused, Survey, Tally
from ingest.dialects.repeats import Repeats
from ingest.sources import Source
from ingest.vocabulary.errors import MalformedEvent

PROGRESS_ROWS = 10_000


class CsvDialect:
    """Reads one CSV file. Cost: 2 µs a row for the survey, 6 to 8 µs a row for the facts."""

    name = "csv"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._repeats = Repeats()
        self._rows_of: dict[str, int] = {}
        self._columns: tuple[str, ...] = ()
        self._reader: RowReader | None = None

    def survey(self, source: Source, *, with_times: bool, progress: Progress) -> Survey:
        """Count the rows and the rows of each order, and note which may be repeated.

        Raises:
            ConfigurationError: the file cannot be read to its end, or lacks a mapped column.
        """
        table = open_table(source)
        self._columns = table.columns
        cells = Cells(table.columns, self._options)
        rows_of, announce, number = self._rows_of, self._repeats.announce, HEADER_ROW
        newest: datetime | None = None
        for number, row in enumerate(table.rows(), HEADER_ROW + 1):
            if isinstance(row, csv.Error):
                continue
            announce("\x1f".join(row))
            if len(row) == cells.width:
                row += cells.constants
                key = cells.order_key(row)
                if key is not None:
                    rows_of[key] = rows_of.get(key, 0) + 1
                if with_times:
                    newest = _later(newest, row[cells.timestamp].strip())
            if number % PROGRESS_ROWS == 0:
                progress(number)
        return Survey(number - HEADER_ROW, newest)

    def facts(
        self, source: Source, *, shift: timedelta, received_at: datetime, tally: Tally
    ) -> Iterator[Found | Refused]:
        """The facts in the file; an order comes with its last line."""
        self._reader = reader = RowReader(self._columns, self._options, shift, received_at, tally)
        orders = OrderAssembly(self._rows_of, source=SOURCE, received_at=received_at, noticed=tally.noticed)
        repeated = self._repeats.nth
        for number, row in enumerate(open_table(source).rows(), HEADER_ROW + 1):
            tally.rows += 1
            if isinstance(row, csv.Error):
                yield Refused(number, [], unsplittable(row))
                continue
            joined, key = "\x1f".join(row), None
            try:
                if len(row) != reader.width:
                    require_text(joined)
                    require_width(row, reader.width)
                row += reader.constants
                key = reader.order_key(row)
                if not joined.isascii() or "\0" in joined:
                    require_text(joined)
                nth = repeated(joined)
                if nth:
                    tally.noticed["rows that repeat a row"] += 1
                if key is None:
                    yield reader.browse(row, joined, nth), number, row
                else:
                    line = reader.order_line(row, key)
                    if line is not None:
                        orders.add(key, line, number, row)
            except MalformedEvent as error:
                yield Refused(number, row, error)
            if key is not None:
                yield from orders.passed(key)

    def product_facts(self, known: Callable[[Any], bool], received_at: datetime, tally: Tally) -> Iterator[Incoming]:
        """The products that the catalogue does not know, as the file describes them; after `facts`."""
        assert self._reader is not None
        return self._reader.products.upserts(known, received_at, SOURCE, tally.noticed)

    def payload(self, raw: Any) -> str:
        """The row as a JSON object, or the rows of an order as a list of them."""
        rows: list[Row] = raw if raw and isinstance(raw[0], list) else [raw]
        return msgspec.json.encode([self._named(row) for row in rows]).decode()

    def letter_options(self) -> dict[str, str]:
        """The mapping, so that the letter can be read without the file."""
        return {
            "dialect": self.name,
            **{f"map {field}": column for field, column in self._options.columns.items()},
            **{f"set {field}": value for field, value in self._options.constants.items()},
        }

    def _named(self, row: Row) -> dict[str, str] | list[str]:
        cells = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for cell in row]
        return dict(zip(self._columns, cells, strict=False)) if len(cells) >= len(self._columns) else cells


def read_letter(letter: DeadLetter, received_at: datetime) -> list[Incoming]:
    """The facts in the rows that a dead letter keeps.

    Raises:
        MalformedEvent: they still cannot be read.
    """
    try:
        rows = msgspec.json.decode(letter.payload, type=list[dict[str, str]])
    except msgspec.MsgspecError as error:
        raise MalformedEvent(letter.detail, code=letter.code) from error
    columns = tuple(rows[0]) if rows else ()
    options = ImportOptions(columns=_chosen(letter.options, "map "), constants=_chosen(letter.options, "set "))
    reader = RowReader(columns, options, timedelta(), received_at, Tally())
    lines: dict[str, list[Row]] = {}
    facts: list[Incoming] = []
    for each in rows:
        row = [*each.values()]
        require_width(row, reader.width)
        joined = "\x1f".join(row)
        row += reader.constants
        key = reader.order_key(row)
        if key is None:
            facts.append(reader.browse(row, joined, 0))
        else:
            lines.setdefault(key, []).append(row)
    return facts + [fact for key, rows_ in lines.items() for fact in _order(reader, key, rows_, received_at)]


def _order(reader: RowReader, key: str, rows: list[Row], received_at: datetime) -> Iterator[Incoming]:
    noticed = Tally().noticed
    assembly = OrderAssembly({key: len(rows)}, source=SOURCE, received_at=received_at, noticed=noticed)
    for number, row in enumerate(rows):
        line = reader.order_line(row, key)
        if line is not None:
            assembly.add(key, line, number, row)
        yield from (incoming for incoming, _, _ in assembly.passed(key))


def _chosen(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in options.items() if name.startswith(prefix)}


def _later(newest: datetime | None, text: str) -> datetime | None:
    try:
        moment = parse_time(text)
    except MalformedEvent:
        return newest
    return moment if newest is None or moment > newest else newest
