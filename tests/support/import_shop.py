"""A shop in a folder, as far as imports need one: the embedded file, the keyring, the collector."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ingest.collector import Collector
from ingest.dead_letters import DeadLetter
from ingest.dialects.reading import ImportOptions
from ingest.embedded import SqliteFile
from ingest.import_report import ImportReport
from ingest.importer import ImportTargets, import_file
from ingest.keyrings.sqlite import KEYRING_SCHEMA, SqliteKeyring
from ingest.ledgers.sqlite import LEDGER_SCHEMA, SqliteImportLedger
from ingest.letters.sqlite import DEAD_LETTERS_SCHEMA, SqliteDeadLetters
from ingest.logs.sqlite import LOG_SCHEMA, SqliteEventLog
from ingest.privacy import Alias
from ingest.vocabulary.events import CustomerEvent, Event, ProductUpserted
from ingest.vocabulary.ids import PARTITIONS, PRODUCT_KEY_PREFIX, ProductId

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "examples" / "online-retail" / "online_retail.csv.gz"
EXAMPLE_OPTIONS = ImportOptions(
    columns={
        "order": "InvoiceNo",
        "customer": "CustomerID",
        "product": "StockCode",
        "quantity": "Quantity",
        "price": "UnitPrice",
        "timestamp": "InvoiceDate",
        "title": "Description",
    },
    constants={"event": "order", "currency": "GBP"},
)


class StoppedClock:
    """Always the same moment."""

    def now(self) -> datetime:
        """The moment."""
        return NOW


class ImportShop:
    """What an import goes into, and what came of it."""

    def __init__(self, folder: Path) -> None:
        schema = f"{LOG_SCHEMA};{DEAD_LETTERS_SCHEMA};{LEDGER_SCHEMA}"
        self.folder = folder
        self._known: set[str] = set()
        self.file = SqliteFile(folder / "dangol.sqlite3", schema=schema, version=1)
        self.keyring_file = SqliteFile(folder / "keyring.sqlite3", schema=KEYRING_SCHEMA, version=1)
        self.keyring = SqliteKeyring(self.keyring_file)
        self.log = SqliteEventLog(self.file)
        self.letters = SqliteDeadLetters(self.file, self.keyring)
        collector = Collector(self.log, self.keyring, StoppedClock(), lambda _: {})
        self.targets = ImportTargets(collector, SqliteImportLedger(self.file), self.letters, self.knows, StoppedClock())

    def run(
        self,
        content: str | bytes,
        *,
        options: ImportOptions = EXAMPLE_OPTIONS,
        dialect: str = "csv",
        name: str = "a.csv",
    ) -> ImportReport:
        """Import some content."""
        self.look()
        path = self.folder / name
        written = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(written) if name.endswith(".gz") else written)
        return import_file(path, dialect, options, self.targets)

    def look(self) -> None:
        """Learn which products the log states by now."""
        self._known = {event.key.removeprefix(PRODUCT_KEY_PREFIX) for event in self.all_of(ProductUpserted)}

    def events(self) -> list[Event]:
        """Everything in the log, by time."""
        found = [
            recorded.event
            for partition in range(PARTITIONS)
            for recorded in self.log.read(partition, after=-1, limit=1_000_000)
        ]
        return sorted(found, key=lambda event: (event.occurred_at, event.event_id))

    def all_of(self, kind: type[Event]) -> list[Event]:
        """The facts of one type."""
        return [event for event in self.events() if isinstance(event, kind)]

    def knows(self, product_id: ProductId) -> bool:
        """Whether the log stated the product before this import; products are stated at its end."""
        return product_id in self._known

    def owner(self, event: Event) -> list[str]:
        """The shop's ids of the person a fact is about."""
        assert isinstance(event, CustomerEvent)
        return [alias.value for alias in self.keyring.aliases(event.subject)]

    def subject(self, customer_id: str) -> str | None:
        """The subject of a customer."""
        return self.keyring.find(Alias("customer", customer_id))

    def dead_letters(self) -> list[DeadLetter]:
        """What could not be read."""
        return list(self.letters.all())

    def close(self) -> None:
        """Close the files."""
        self.file.close()
        self.keyring_file.close()


@contextmanager
def import_shop(folder: Path) -> Iterator[ImportShop]:
    """A shop, closed afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    shop = ImportShop(folder)
    try:
        yield shop
    finally:
        shop.close()
