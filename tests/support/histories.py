"""Builders of small histories for the models' tests: orders, views and products in one line each."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.vocabulary.events import (
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    Event,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductUpserted,
    ProductViewed,
    RankingClicked,
)
from ingest.vocabulary.ids import OrderId, ProductId, RequestId, Subject, content_id, order_event_id
from ingest.vocabulary.products import Product

BEGIN = datetime(2011, 3, 1, 12, tzinfo=UTC)
ONLINE_RETAIL = Path(__file__).parents[2] / "examples" / "online-retail" / "online_retail.csv.gz"


def moment(day: float) -> datetime:
    return BEGIN + timedelta(days=day)


def order(number: str, products: str, day: float = 0.0, subject: str = "", quantity: int = 1) -> OrderCompleted:
    """An order of the products named by the letters of `products`."""
    return OrderCompleted(
        event_id=order_event_id(OrderId(number)),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(subject or f"buyer of {number}"),
        order_id=OrderId(number),
        lines=tuple(Line(product_id=ProductId(product), quantity=quantity) for product in products),
    )


def view(product: str, day: float = 0.0, subject: str = "visitor") -> ProductViewed:
    return ProductViewed(
        event_id=content_id("view", product, str(day), subject),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(subject),
        product_id=ProductId(product),
    )


def cancelled(number: str, day: float = 0.0) -> OrderCancelled:
    return OrderCancelled(
        event_id=content_id("cancel", number),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(f"buyer of {number}"),
        order_id=OrderId(number),
    )


def refunded(number: str, products: str = "", day: float = 0.0, quantity: int = 1) -> OrderRefunded:
    """A return of so many of each product; without products, of the whole order."""
    return OrderRefunded(
        event_id=content_id("refund", number, products, str(day), str(quantity)),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(f"buyer of {number}"),
        order_id=OrderId(number),
        lines=tuple(Line(product_id=ProductId(product), quantity=quantity) for product in products),
    )


def clicked(product: str, day: float = 0.0, subject: str = "visitor") -> RankingClicked:
    """A click on a recommendation."""
    return RankingClicked(
        event_id=content_id("click", product, str(day), subject),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(subject),
        request_id=RequestId("r"),
        product_id=ProductId(product),
    )


def consented(subject: str, day: float = 0.0, **purposes: bool) -> ConsentChanged:
    """A word on consent."""
    return ConsentChanged(
        event_id=content_id("consent", subject, str(day)),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(subject),
        purposes=purposes,
    )


def erased(subject: str, day: float = 0.0) -> CustomerErased:
    return CustomerErased(
        event_id=content_id("erase", subject),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(subject),
    )


def identified(visitor: str, known: str, day: float = 0.0) -> CustomerIdentified:
    return CustomerIdentified(
        event_id=content_id("identify", visitor, known),
        occurred_at=moment(day),
        received_at=moment(day),
        subject=Subject(visitor),
        known=Subject(known),
    )


def upserted(product: Product, day: float = 0.0) -> ProductUpserted:
    return ProductUpserted(
        event_id=content_id("upsert", product.product_id, str(day)),
        occurred_at=moment(day),
        received_at=moment(day),
        product_id=product.product_id,
        product=product,
    )


def titled(product: str, title: str, **stated: object) -> Product:
    return Product(product_id=ProductId(product), title=title, **stated)  # type: ignore[arg-type]


def online_retail() -> list[Event]:
    """The example shop as events: an order an invoice, a product with its most frequent title."""
    lines: dict[str, list[Line]] = defaultdict(list)
    placed: dict[str, tuple[datetime, str]] = {}
    titles: dict[str, Counter[str]] = defaultdict(Counter)
    with gzip.open(ONLINE_RETAIL, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            invoice, product, quantity = row["InvoiceNo"], ProductId(row["StockCode"]), int(row["Quantity"])
            titles[product][row["Description"].strip()] += 1
            if not invoice.startswith("C") and quantity > 0:
                when = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
                placed.setdefault(invoice, (when, row["CustomerID"] or f"guest {invoice}"))
                lines[invoice].append(Line(product_id=product, quantity=quantity))
    events: list[Event] = [
        OrderCompleted(
            event_id=order_event_id(OrderId(invoice)),
            occurred_at=when,
            received_at=when,
            imported=True,
            subject=Subject(customer),
            order_id=OrderId(invoice),
            lines=tuple(lines[invoice]),
        )
        for invoice, (when, customer) in placed.items()
    ]
    bought = sorted({line.product_id for of_order in lines.values() for line in of_order})
    events += [upserted(titled(product, titles[product].most_common(1)[0][0])) for product in bought]
    return events
