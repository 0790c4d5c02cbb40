"""Facts and incoming events with everything filled in that a test does not care about."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from ingest.collector import Incoming
from ingest.vocabulary import events as facts
from ingest.vocabulary.events import CustomerEvent, Event
from ingest.vocabulary.ids import OrderId, order_event_id
from ingest.vocabulary.products import Product

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EventT = TypeVar("EventT", bound=Event)
_numbers = itertools.count(1)

NEEDED: dict[type[Event], dict[str, Any]] = {
    facts.ProductViewed: {"product_id": "p-1"},
    facts.ProductAdded: {"product_id": "p-1"},
    facts.ProductRemoved: {"product_id": "p-1"},
    facts.WishlistAdded: {"product_id": "p-1"},
    facts.WishlistRemoved: {"product_id": "p-1"},
    facts.OrderCompleted: {"order_id": "o-1", "lines": (facts.Line("p-1", 1, Decimal("2.50")),)},
    facts.OrderRefunded: {"order_id": "o-1"},
    facts.OrderCancelled: {"order_id": "o-1"},
    facts.ProductReviewed: {"product_id": "p-1"},
    facts.CustomerIdentified: {"known": "subject-known"},
    facts.ConsentChanged: {"purposes": {"analytics": False}},
    facts.RankingShown: {"request_id": "r-1", "placement": "home.popular", "product_ids": ("p-1", "p-2")},
    facts.HomepageShown: {"request_id": "r-2", "variant": "rainy-day"},
    facts.RankingClicked: {"request_id": "r-1", "product_id": "p-1"},
    facts.Custom: {"name": "custom"},
    facts.ProfileMerged: {"absorbed": "subject-0", "profile": b"profile"},
    facts.DecisionsMerged: {"absorbed": "subject-0", "decisions": b"\x94\x90\x80\xc0\x00"},
    facts.VisitorExpired: {"last_seen_at": NOON},
    facts.ProductUpserted: {"product_id": "p-1", "product": Product(product_id="p-1", title="One")},
    facts.ProductDeleted: {"product_id": "p-1"},
    facts.PriceChanged: {"product_id": "p-1", "price": Decimal("3.00")},
    facts.StockChanged: {"product_id": "p-1", "stock": 3},
    facts.ExperimentStarted: {"experiment": "headline", "arms": {"a": 1.0, "b": 1.0}, "control": "a"},
    facts.ExperimentChanged: {"experiment": "headline", "arms": {"a": 1.0, "b": 1.0}, "control": "a"},
    facts.ExperimentStopped: {"experiment": "headline"},
}
EVENT_TYPES: tuple[type[Event], ...] = facts.AnyEvent.__args__


def fact(kind: type[EventT], /, **fields: Any) -> EventT:
    """A fact of a kind; what is not given is filled in, with a fresh event id and noon as its time."""
    filled: dict[str, Any] = {
        "event_id": f"e-{next(_numbers)}",
        "occurred_at": NOON,
        "received_at": max(NOON, fields.get("occurred_at", NOON)),
        **NEEDED.get(kind, {}),
    }
    if issubclass(kind, CustomerEvent):
        filled["subject"] = "subject-1"
    filled.update(fields)
    if kind is facts.OrderCompleted and "event_id" not in fields:
        filled["event_id"] = order_event_id(OrderId(filled["order_id"]))
    return kind(**filled)


def product(product_id: str, *, event_id: str | None = None, **fields: Any) -> facts.ProductUpserted:
    """The fact that a product is as stated."""
    named = {} if event_id is None else {"event_id": event_id}
    stated = Product(product_id=product_id, **fields)  # type: ignore[arg-type]
    return fact(facts.ProductUpserted, product_id=product_id, product=stated, **named)


def incoming(
    kind: type[Event],
    /,
    *,
    customer: str | None = None,
    anonymous: str | None = None,
    personal: dict[str, Any] | None = None,
    **fields: Any,
) -> Incoming:
    """A fact as a dialect hands it over: the subject is still unknown."""
    if issubclass(kind, CustomerEvent):
        fields.setdefault("subject", "")
        if kind is facts.CustomerIdentified:
            fields.setdefault("known", "")
    return Incoming(fact(kind, **fields), customer, anonymous, personal)  # type: ignore[arg-type]


def views(count: int, **fields: Any) -> list[Event]:
    """Some product views of one subject, in order."""
    return [fact(facts.ProductViewed, product_id=f"p-{number}", **fields) for number in range(count)]


class HandClock:
    """A clock that stands still until a test sets it."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment it was set to."""
        return self.moment

    def forward(self, **duration: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**duration)
