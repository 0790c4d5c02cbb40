"""The history of a data folder as a shop would have posted it over HTTP: bodies below the limits of a request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingest.vocabulary.events import CustomerEvent, Event, OrderCompleted, OrderRefunded, ProductUpserted
from ingest.vocabulary.ids import Subject
from serving.embedded import embedded_shop
from serving.routes.products import product_as_json
from tests.support.client import Client
from tests.support.embedded import read_all

BODY_BYTES = 700_000  # of the 1,048,576 that a body may have
EVENTS_AT_ONCE = 500
KINDS: dict[type[Event], str] = {OrderCompleted: "order_completed", OrderRefunded: "order_refunded"}


class History:
    """Products and orders as they are posted."""

    def __init__(self, folder: Path) -> None:
        with embedded_shop(folder) as shop:
            events = sorted((each.event for each in read_all(shop.log)), key=lambda event: event.occurred_at)
            customers = {
                each.subject: alias.value
                for each in shop.keyring.export()
                for alias in each.aliases
                if alias.kind == "customer"
            }
        self.products = [product_as_json(each.product) for each in events if isinstance(each, ProductUpserted)]
        self.events = [_posted(each, customers) for each in events if isinstance(each, CustomerEvent)]
        self.customers = sorted(customers.values())

    def tell(self, client: Client) -> None:
        """Post all of it; every product and every event is new."""
        for path, name, told in (("/v1/products", "products", self.products), ("/v1/events", "events", self.events)):
            for batch in _batches(told):
                results = client.post(path, {name: batch})["results"]
                assert [each["status"] for each in results] == ["accepted"] * len(batch)


def _posted(event: CustomerEvent, customers: dict[Subject, str]) -> dict[str, Any]:
    assert isinstance(event, OrderCompleted | OrderRefunded)
    told: dict[str, Any] = {
        "type": KINDS[type(event)],
        "event_id": event.event_id,
        "occurred_at": event.occurred_at.isoformat(),
        "order_id": event.order_id,
        "currency": event.currency,
        "lines": [
            {"product_id": line.product_id, "quantity": line.quantity, "price": str(line.price)} for line in event.lines
        ],
    }
    if event.subject in customers:
        told["customer_id"] = customers[event.subject]
    return told


def _batches(told: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Bodies of some hundred, none too long."""
    batch: list[dict[str, Any]] = []
    size = 0
    for each in told:
        length = len(json.dumps(each))
        if batch and (len(batch) == EVENTS_AT_ONCE or size + length > BODY_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += length
    if batch:
        yield batch
