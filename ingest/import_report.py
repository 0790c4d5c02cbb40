"""What became of the rows of an imported file, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

EXAMPLE_LENGTH_MAX = 300


class Refusals(msgspec.Struct):
    """Rows refused for one reason, with the first of them."""

    count: int
    row: int
    detail: str
    example: str


class ImportReport(msgspec.Struct, kw_only=True):
    """The result of an import.

    Attributes:
        already_imported: when the same file was imported before; nothing was read again.
        rows: rows of the file, blank ones and the header left out.
        accepted: new facts by type.
        repeated: facts that were there already, by type.
        refused: rows kept as dead letters, by the code of the reason.
        left_out: rows that are no facts, by reason.
        noticed: counts worth telling, such as refunds and orders of guests.
        first: the earliest time of a fact, `last` the latest.
    """

    file: str
    dialect: str
    already_imported: datetime | None = None
    rows: int = 0
    accepted: dict[str, int] = {}
    repeated: dict[str, int] = {}
    refused: dict[str, Refusals] = {}
    left_out: dict[str, int] = {}
    noticed: dict[str, int] = {}
    products: int = 0
    first: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0
    rows_per_s: int = 0

    def lines(self) -> list[str]:
        """The report in sentences."""
        if self.already_imported is not None:
            when = f"{self.already_imported:%Y-%m-%d %H:%M} UTC"
            return [f"{self.file}: already imported on {when}; nothing was changed"]
        lines = [f"{self.file}: {self.rows:,} rows in {self.seconds:.1f} s ({self.rows_per_s:,} a second)"]
        if self.first is not None and self.last is not None:
            lines.append(f"  from {self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} UTC")
        for title, counts in (
            ("taken", self.accepted),
            ("there already", self.repeated),
            ("left out", self.left_out),
            ("noticed", self.noticed),
        ):
            if counts:
                told = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
                lines.append(f"  {title}: {told}")
        for code, refusals in sorted(self.refused.items()):
            lines.append(f"  refused: {refusals.count:,} {code}, first row {refusals.row}: {refusals.detail}")
        return lines


def as_repeated(report: ImportReport, when: datetime, file: str) -> ImportReport:
    """The report of importing the same file once more: everything it took is there already."""
    return msgspec.structs.replace(
        report,
        file=file,
        already_imported=when,
        accepted={},
        repeated=dict(Counter(report.accepted) + Counter(report.repeated)),
        products=0,
        seconds=0.0,
        rows_per_s=0,
    )


def without_examples(report: ImportReport) -> ImportReport:
    """The report with its counts alone: what rows said may name people, and is kept nowhere in clear."""
    counts = {code: Refusals(refusals.count, refusals.row, "", "") for code, refusals in report.refused.items()}
    return msgspec.structs.replace(report, refused=counts)
