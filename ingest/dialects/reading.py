"""What every importing dialect hands to the shell: facts with the place they stood at, refusals, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec

from ingest.collector import Incoming
from ingest.dialects.product_facts import CategoryOf
from ingest.sources import Source
from ingest.vocabulary.errors import MalformedEvent

Raw = Any
Found = tuple[Incoming, int, Raw]  # a fact, the row it stood in (the first one of an order), and what stood there
Progress = Callable[[int], None]

NOT_PRODUCTS = (
    "postage",
    "dotcom postage",
    "carriage",
    "shipping",
    "delivery",
    "manual",
    "discount",
    "samples",
    "bank charges",
    "amazon fee",
    "adjust bad debt",
    "cruk commission",
    "*gift voucher*",
)


class Refused(NamedTuple):
    """A row that cannot be read, and why."""

    row: int
    raw: Raw
    error: MalformedEvent


class Survey(NamedTuple):
    """What a first reading of a file found: how many rows, and the newest time if asked for."""

    rows: int
    newest: datetime | None = None


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a file.

    Attributes:
        columns: which column holds which field (`--map`).
        constants: fields that have one value throughout (`--set`).
        shift: added to every time; it is no part of what identifies a fact.
        shift_to: the same, so that the newest time of the file becomes this one.
        category_of: gives a product without a category one by its title.
        not_products: titles of service lines, in lower case; with stars, titles that contain the words.
    """

    columns: Mapping[str, str] = {}
    constants: Mapping[str, str] = {}
    shift: timedelta = timedelta()
    shift_to: datetime | None = None
    category_of: CategoryOf | None = None
    not_products: tuple[str, ...] = NOT_PRODUCTS


class Tally:
    """Counts of one import: rows left out by reason, and what else is worth telling."""

    def __init__(self) -> None:
        self.rows = 0
        self.left_out: Counter[str] = Counter()
        self.noticed: Counter[str] = Counter()


class ImportDialect(Protocol):
    """Reads one file: first `survey`, then `facts`. An object serves one file."""

    name: str

    def survey(self, source: Source, *, with_times: bool, progress: Progress) -> Survey:
        """Read the file once, without judging its rows."""
        ...

    def facts(
        self, source: Source, *, shift: timedelta, received_at: datetime, tally: Tally
    ) -> Iterator[Found | Refused]:
        """Read it again, as facts."""
        ...

    def product_facts(self, known: Callable[[Any], bool], received_at: datetime, tally: Tally) -> Iterator[Incoming]:
        """What the file told about products that the catalogue does not know; after `facts`."""
        ...

    def payload(self, raw: Raw) -> str:
        """What stood there, for a dead letter."""
        ...

    def letter_options(self) -> dict[str, str]:
        """How to read a dead letter of this file again."""
        ...
