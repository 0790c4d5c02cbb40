"""What somebody did after a decision: the products they bought, and those they looked at or put in the cart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from ingest.vocabulary.events import (
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
    Recorded,
)
from ingest.vocabulary.ids import OrderId, ProductId, Subject
from serving.counterfactual.occasions import Occasion


class Outcome(NamedTuple):
    """Products by what was done with them within the window."""

    bought: frozenset[ProductId]
    looked_at: frozenset[ProductId]


class Outcomes:
    """Finds what somebody did within a window after an occasion; what was called off later was not bought."""

    def __init__(
        self, facts: Mapping[Subject, list[Recorded]], known: Mapping[Subject, Subject], window: timedelta
    ) -> None:
        self._facts, self._known, self._window = facts, known, window
        self._called_off = {
            event.order_id
            for found in facts.values()
            for event in (recorded.event for recorded in found)
            if isinstance(event, OrderCancelled) or (isinstance(event, OrderRefunded) and not event.lines)
        }

    def after(self, occasion: Occasion) -> Outcome:
        """What somebody did, also under the name that they turned out to have. Cost: a pass over their facts."""
        bought: set[ProductId] = set()
        looked_at: set[ProductId] = set()
        for subject in {occasion.subject, self._known.get(occasion.subject, occasion.subject)}:
            for recorded in self._facts.get(subject, ()):
                event = recorded.event
                if not occasion.at < event.known_at <= occasion.at + self._window:
                    continue
                match event:
                    case OrderCompleted(order_id=order_id) if self._stands(order_id):
                        bought.update(line.product_id for line in event.lines if line.quantity > 0)
                    case ProductViewed() | RankingClicked() | ProductAdded():
                        looked_at.add(event.product_id)
        return Outcome(frozenset(bought), frozenset(looked_at))

    def _stands(self, order_id: OrderId) -> bool:
        return order_id not in self._called_off
