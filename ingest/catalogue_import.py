"""The shell around the catalogue dialects: a file's products go into the log, each upserted or told with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ingest.collector import Collector, Incoming
from ingest.dialects.catalogue import Removal, read_catalogue
from ingest.dialects.reading import ImportOptions, Refused
from ingest.import_report import EXAMPLE_LENGTH_MAX, Refusals
from ingest.sources import opened
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.events import CatalogueEvent, ProductDeleted, ProductUpserted
from ingest.vocabulary.ids import EventId, ProductId, new_request_id
from ingest.vocabulary.products import Product

BATCH_PRODUCTS = 1_000
Stated = Callable[[ProductId], Product | None]


class CatalogueReport(msgspec.Struct, kw_only=True):
    """The result of a catalogue import: products upserted, unchanged, deleted, and refused by reason."""

    file: str
    dialect: str
    upserted: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: dict[str, Refusals] = {}

    def lines(self) -> list[str]:
        """The report in sentences."""
        told = f"{self.upserted:,} upserted, {self.unchanged:,} unchanged, {self.deleted:,} deleted"
        return [f"{self.file}: {told}"] + [
            f"  refused: {refusals.count:,} {code}, first row {refusals.row}: {refusals.detail}"
            for code, refusals in sorted(self.refused.items())
        ]


def import_catalogue(
    path: Path | None,
    dialect: str,
    columns: Mapping[str, str],
    *,
    collector: Collector,
    stated: Stated,
    clock: Clock,
    progress: Callable[[int], None] = lambda _: None,
) -> CatalogueReport:
    """Import a file of products, or standard input where `path` is None or `-`. What has not changed is not told again.

    Args:
        stated: the product as it is known now.
        progress: told how many rows were read.

    Raises:
        ConfigurationError: the file, the dialect or the mapping cannot be used.
        Unavailable: the log did not acknowledge; run the same command again.
    """
    refused: dict[str, Refusals] = {}
    counts: Counter[str] = Counter()
    waiting: list[Incoming] = []
    with opened(path) as source:
        for found in read_catalogue(source, dialect, ImportOptions(columns=columns)):
            if isinstance(found, Refused):
                _refuse(refused, found)
                continue
            row, product = found
            fact, kind = _fact(product, stated, clock)
            counts[kind] += 1
            if fact is not None:
                waiting.append(Incoming(fact))
            if len(waiting) >= BATCH_PRODUCTS:
                collector.collect(waiting)
                waiting = []
                progress(row)
        collector.collect(waiting)
        return CatalogueReport(
            file=source.name,
            dialect=dialect,
            upserted=counts["upserted"],
            unchanged=counts["unchanged"],
            deleted=counts["deleted"],
            refused=refused,
        )


def _fact(found: Product | Removal, stated: Stated, clock: Clock) -> tuple[CatalogueEvent | None, str]:
    known, now = stated(found.product_id), clock.now()
    event_id = EventId(new_request_id(epoch_ms(now)))
    if isinstance(found, Removal):
        deleted = ProductDeleted(
            event_id=event_id, occurred_at=now, received_at=now, source="import", product_id=found.product_id
        )
        return (None, "unchanged") if known is None else (deleted, "deleted")
    if found == known:
        return None, "unchanged"
    upserted = ProductUpserted(
        event_id=event_id,
        occurred_at=now,
        received_at=now,
        source="import",
        product_id=found.product_id,
        product=found,
    )
    return upserted, "upserted"


def _refuse(refused: dict[str, Refusals], found: Refused) -> None:
    code = found.error.code
    if code in refused:
        refused[code].count += 1
    else:
        refused[code] = Refusals(1, found.row, found.error.message, str(found.raw)[:EXAMPLE_LENGTH_MAX])
