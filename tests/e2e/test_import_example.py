"""The example shop's whole history through a real file, against an independent count."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path

from ingest.importer import import_file
from ingest.vocabulary.events import OrderCompleted, OrderRefunded
from tests.support.import_shop import EXAMPLE, EXAMPLE_OPTIONS, import_shop

SERVICES = {
    "postage",
    "dotcom postage",
    "carriage",
    "manual",
    "discount",
    "samples",
    "bank charges",
    "amazon fee",
    "adjust bad debt",
    "cruk commission",
}


def test_the_report_of_the_example_agrees_with_a_recount(tmp_path: Path) -> None:
    with gzip.open(EXAMPLE, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    orders: dict[str, list[tuple[str, int]]] = defaultdict(list)
    returns: dict[str, list[tuple[str, int]]] = defaultdict(list)
    services = adjustments = 0
    for row in rows:
        title, quantity = row["Description"].strip().lower(), int(row["Quantity"])
        if title in SERVICES or "gift voucher" in title:
            services += 1
        elif quantity < 0 and float(row["UnitPrice"]) == 0 and not row["CustomerID"]:
            adjustments += 1
        else:
            (orders if quantity > 0 else returns)[row["InvoiceNo"]].append((row["StockCode"], abs(quantity)))
    with import_shop(tmp_path) as shop:
        report = import_file(EXAMPLE, "csv", EXAMPLE_OPTIONS, shop.targets)
        completed = {event.order_id: event for event in shop.all_of(OrderCompleted)}
        refunded = shop.all_of(OrderRefunded)  # an invoice may give goods back at several moments
        assert report.rows == len(rows) == 320_705
        assert report.refused == {}
        assert report.left_out == {"not a product": services, "stock adjustment": adjustments}
        assert report.accepted["order_completed"] == len(completed)
        for events, counted in ((completed.values(), orders), (refunded, returns)):
            lines: dict[str, list[tuple[str, int]]] = defaultdict(list)
            for event in events:
                lines[event.order_id] += [(line.product_id, line.quantity) for line in event.lines]
            assert {key: sorted(found) for key, found in lines.items()} == {
                key: sorted(found) for key, found in counted.items()
            }
        owners = {row["InvoiceNo"]: [row["CustomerID"]] if row["CustomerID"] else [] for row in rows}
        assert all(shop.owner(event) == owners[key] for key, event in list(completed.items())[::50])
        again = import_file(EXAMPLE, "csv", EXAMPLE_OPTIONS, shop.targets)
        assert (again.accepted, again.repeated) == ({}, report.accepted)
