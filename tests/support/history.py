"""Facts about one shopper, in a line each: `at` is in seconds since the shop opened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.events import CustomerEvent, Event, Line, OrderCompleted
from ingest.vocabulary.ids import EventId, ProductId, Subject
from personalization.customer.profile import Profile
from personalization.customer.reducer import evolve

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
VISITOR, CUSTOMER = Subject("visitor"), Subject("customer")

Fact = TypeVar("Fact", bound=CustomerEvent)


def ms(at: float) -> int:
    """Epoch milliseconds of a moment in a literal history."""
    return epoch_ms(OPENED + timedelta(seconds=at))


def fact(kind: type[Fact], at: float = 0, **fields: Any) -> Fact:
    """A fact about the visitor."""
    moment = OPENED + timedelta(seconds=at)
    fields.setdefault("subject", VISITOR)
    return kind(event_id=EventId(f"{kind.__name__}-{at}"), occurred_at=moment, received_at=moment, **fields)


def line(product_id: str, quantity: int = 1, price: str | None = "1.00") -> Line:
    """A line of an order."""
    return Line(ProductId(product_id), quantity, None if price is None else Decimal(price))


def order(order_id: str, *lines: Line, at: float = 0, currency: str | None = "GBP") -> OrderCompleted:
    """An order in pounds."""
    return fact(OrderCompleted, at, order_id=order_id, currency=currency, lines=lines)


def folded(*facts: Event | Iterable[Event], profile: Profile | None = None) -> Profile | None:
    """The profile after some facts."""
    for each in facts:
        for event in [each] if isinstance(each, Event) else each:
            profile = evolve(profile, event)
    return profile


def known(*facts: Event | Iterable[Event], profile: Profile | None = None) -> Profile:
    """The profile after some facts that leave one."""
    after = folded(*facts, profile=profile)
    assert after is not None
    return after
