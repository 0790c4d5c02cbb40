"""The shop that is measured: generated clicks, and the requests that are sent to a server of the example shop."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import msgspec

CUSTOMERS, PRODUCTS = 20_000, 5_000
SKEW = 0.9  # of both Zipf distributions
KINDS, SHARES = ("view", "cart", "order"), (85, 12, 3)
LONGEST_AGO = timedelta(days=90)
COLUMNS = ("event", "timestamp", "customer", "product", "order", "quantity", "price", "currency")


def write_clicks(path: Path, rows: int, seed: int) -> None:
    """A CSV of one-line events over Zipf customers and products, in order of time; the same for the same seed."""
    draw = random.Random(seed)
    customers, products = zipf(draw, CUSTOMERS, rows), zipf(draw, PRODUCTS, rows)
    kinds = draw.choices(KINDS, SHARES, k=rows)
    start, step = datetime(2026, 1, 1, tzinfo=UTC), LONGEST_AGO / rows
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, (kind, customer, product) in enumerate(zip(kinds, customers, products, strict=True)):
            at = (start + step * row).strftime("%Y-%m-%dT%H:%M:%SZ")
            order, price = f"o{row}" if kind == "order" else "", f"{product % 97 + 1}.95"
            writer.writerow((kind, at, f"c{customer}", f"p{product}", order, 1, price, "EUR"))


def zipf(draw: random.Random, size: int, count: int) -> list[int]:
    """Numbers below `size`, small ones more often."""
    weights = list(accumulate((rank + 1) ** -SKEW for rank in range(size)))
    return draw.choices(range(size), cum_weights=weights, k=count)


def view_batches(
    customers: Sequence[str], products: Sequence[str], *, run: str, batch: int, count: int, seed: int
) -> Iterator[bytes]:
    """Requests that tell views of known customers, `batch` in each; every event has an id of its own."""
    draw = random.Random(seed)
    for number in range(count):
        events = [
            {
                "type": "product_viewed",
                "event_id": f"{run}-{number}-{each}",
                "customer_id": draw.choice(customers),
                "product_id": draw.choice(products),
            }
            for each in range(batch)
        ]
        yield post("/v1/events", {"events": events})


def post(path: str, value: object) -> bytes:
    """An HTTP request with a JSON body."""
    body = msgspec.json.encode(value)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """An HTTP request without a body, as a browser would send it."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/5.0 (bench)\r\nAccept: application/json\r\n\r\n"
    ).encode()
