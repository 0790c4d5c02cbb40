"""Lines of orders become orders, wherever in the file they stand.

A first pass counts the lines of each order; the second holds an order open until its last line was read. So memory
is bounded by the orders that are open at the same time, besides one counter for each order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ingest.collector import Incoming
from ingest.dialects.csv_table import Row
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.events import Line, OrderCompleted, OrderRefunded
from ingest.vocabulary.ids import AnonymousId, CustomerId, OrderId, ProductId, Subject, content_id, order_event_id

ORDER_LINES_MAX = 10_000  # more is a column that was mistaken for order ids, and an order nobody could keep in memory

Closed = tuple[Incoming, int, list[Row]]
NOBODY = Subject("")  # the collector fills the subject in


class OrderLine(NamedTuple):
    """One line as read; `product_id` is None where a whole order is refunded."""

    order_id: OrderId
    at: datetime
    customer_id: CustomerId | None
    anonymous_id: AnonymousId | None
    product_id: ProductId | None
    quantity: int
    price: Decimal | None
    currency: str | None
    returned: bool


class _Side:
    """The sold lines of an open order, or those returned at one moment: each return is a fact of its own, so that a
    later file with another one adds it.
    """

    __slots__ = ("at", "lines", "rows")

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.lines: list[Line] = []
        self.rows: list[Row] = []


class _Open:
    """An order whose last line is still to come."""

    __slots__ = ("anonymous_id", "currency", "customer_id", "first_row", "order_id", "returned", "sold")

    def __init__(self, order_id: OrderId, row_number: int) -> None:
        self.order_id, self.first_row = order_id, row_number
        self.customer_id: CustomerId | None = None
        self.anonymous_id: AnonymousId | None = None
        self.currency: str | None = None
        self.sold: _Side | None = None
        self.returned: dict[datetime, _Side] = {}


class OrderAssembly:
    """Takes the rows of a file in their order and gives back each order with its last line."""

    def __init__(self, rows_of: dict[str, int], *, source: str, received_at: datetime, noticed: Counter[str]) -> None:
        self._left = rows_of
        self._source, self._received_at, self._noticed = source, received_at, noticed
        self._open: dict[str, _Open] = {}

    def add(self, key: str, line: OrderLine, row_number: int, row: Row) -> None:
        """A line of the order `key`.

        Raises:
            MalformedEvent: the order has too many lines.
        """
        order = self._open.get(key)
        if order is None:
            order = self._open[key] = _Open(line.order_id, row_number)
        side = self._side(order, line)
        if len(side.rows) >= ORDER_LINES_MAX:
            raise MalformedEvent(f"the order has more than {ORDER_LINES_MAX} lines", code="order_too_long")
        if line.at < side.at:
            side.at = line.at
        if line.product_id is not None:
            side.lines.append(Line(line.product_id, line.quantity, line.price))
        side.rows.append(row)
        self._own(order, line)

    def passed(self, key: str) -> Iterator[Closed]:
        """A row of the order `key` is done with, whatever became of it; the order, if this was its last."""
        left = self._left[key] - 1
        if left:
            self._left[key] = left
            return
        del self._left[key]
        order = self._open.pop(key, None)
        if order is not None:
            yield from self._close(order)

    def _side(self, order: _Open, line: OrderLine) -> _Side:
        if line.returned:
            return order.returned.setdefault(line.at, _Side(line.at))
        if order.sold is None:
            order.sold = _Side(line.at)
        return order.sold

    def _own(self, order: _Open, line: OrderLine) -> None:
        if line.customer_id is not None and order.customer_id != line.customer_id:
            if order.customer_id is None:
                order.customer_id = line.customer_id
            else:
                self._noticed["order lines that name another customer"] += 1
        if line.anonymous_id is not None and order.anonymous_id is None:
            order.anonymous_id = line.anonymous_id
        if line.currency is not None and order.currency != line.currency:
            if order.currency is None:
                order.currency = line.currency
            else:
                self._noticed["order lines in another currency"] += 1

    def _close(self, order: _Open) -> Iterator[Closed]:
        guest = order.customer_id is None and order.anonymous_id is None
        if order.sold is not None:
            if guest:
                self._noticed["orders of guests"] += 1
            completed = OrderCompleted(
                event_id=order_event_id(order.order_id),
                occurred_at=order.sold.at,
                received_at=self._received_at,
                source=self._source,
                imported=True,
                subject=NOBODY,
                order_id=order.order_id,
                currency=order.currency,
                lines=tuple(order.sold.lines),
            )
            yield Incoming(completed, order.customer_id, order.anonymous_id), order.first_row, order.sold.rows
        for at, returned in sorted(order.returned.items()):
            self._noticed["refunds"] += 1
            refunded = OrderRefunded(
                event_id=content_id("refund", order.order_id, at.isoformat()),
                occurred_at=at,
                received_at=self._received_at,
                source=self._source,
                imported=True,
                subject=NOBODY,
                order_id=order.order_id,
                currency=order.currency,
                lines=tuple(returned.lines),
            )
            yield Incoming(refunded, order.customer_id, order.anonymous_id), order.first_row, returned.rows
