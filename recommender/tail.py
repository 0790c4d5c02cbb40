"""The tail in memory: what came after a snapshot's cut, added to what the snapshot counts.

Every count and fixed-point weight is a sum, so snapshot plus tail is what training on everything would count: a new
order adds, a cancelled one of the snapshot is added with sign -1, one of the tail becomes void. An order that something
is returned of is taken back, and what is left of it added in its place. Days are kept with each entry, so that decay
stays exact when a new day begins.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ids import FROM_THE_START, ProductId
from ingest.vocabulary.ranking import IntVector, ProductIndex
from recommender.configuration import TrainingConfiguration
from recommender.decay import day_of, decay_between, decay_tables, size_damping
from recommender.facts import left_of
from recommender.interactions import KIND_UNITS, ORDER
from recommender.kernels.arrays import HELD, NODES, SHOP_ORDERS, TODAY, UNITS, Fresh
from recommender.kernels.tailing import append_order, append_units, begin_day, replace_order, resign_order
from recommender.models.bought_together import find_order
from recommender.segments import CANCELLATION, ERASURE, RETURN, Entry, Segment, partition_and_first_offset
from recommender.snapshot import Snapshot

_ROOM = 1024

Click = tuple[str, str, int, int]
Lines = dict[int, int]  # quantities by product number


class Tail:
    """A snapshot's live totals, kept up to date entry by entry.

    Entries at or before the cut are in the snapshot; they only teach the tail what counted already (a view of this
    morning, an order id), so apply those of the last day too, in order of offset, if they are still there.

    Guarantees: one thread may apply while any number read; a reader sees an entry wholly or not at all; applying an
    entry again changes nothing.
    `restated` are products whose category must be looked up again, for whoever follows categories to take out.
    Not guaranteed: that an erasure reaches what the snapshot counted before; the next training does that.
    """

    def __init__(
        self,
        index: ProductIndex,
        snapshot: Snapshot | None = None,
        cut: tuple[int, ...] = FROM_THE_START,
        configuration: TrainingConfiguration | None = None,
    ) -> None:
        """Begin at a snapshot's cut.

        Args:
            configuration: used without a snapshot; a snapshot brings its own.
        """
        if snapshot is not None:
            configuration = snapshot.unpack("configuration", TrainingConfiguration)
        self.index = index
        self.snapshot = snapshot
        self.configuration = configuration or TrainingConfiguration()
        self._cut = cut
        self._last = list(FROM_THE_START)
        self._order_numbers: dict[bytes, int] = {}
        self._cancelled: set[bytes] = set()
        self._taken_back: set[int] = set()
        self._returns: set[tuple[bytes, int, tuple[tuple[ProductId, int], ...]]] = set()
        self._returned: dict[bytes, list[dict[ProductId, int]]] = {}  # of orders that are still to come
        self._replaced: dict[int, int] = {}  # an order by what is left of it
        self._quantities = array("i")  # of each line, beside `node_product`
        self._erased: set[str] = set()
        self._clicks: set[Click] = set()
        self._of_subject: dict[str, list[int | Click]] = {}
        products = snapshot.unpack("products", list[ProductId]) if snapshot is not None else []
        self.index_of_row: IntVector = np.array([index.add(product) for product in products], dtype=np.int32)
        self.restated: deque[int] = deque()
        self._known = set(self.index_of_row.tolist())
        self._first_day = int(snapshot["reference_day"][0]) if snapshot is not None else 0
        self.arrays = self._new_arrays()

    @property
    def positions(self) -> tuple[int, ...]:
        """The last offset applied per partition; at least the cut."""
        return tuple(map(max, self._last, self._cut))

    @property
    def orders(self) -> int:
        """Orders that stand, in snapshot and tail."""
        return int(self.arrays.state[SHOP_ORDERS])

    def apply_segments(self, segments: Iterable[tuple[str, Segment]]) -> None:
        """Apply kept segments, given in order of their keys."""
        for key, segment in segments:
            partition, _ = partition_and_first_offset(key)
            for entry in segment:
                self.apply(partition, entry)

    def apply(self, partition: int, entry: Entry) -> bool:
        """Count an entry; False if it was there already. Cost: some 10 µs, and 3 µs a line of an order."""
        if entry.offset <= self._last[partition]:
            return False
        self._last[partition] = entry.offset
        is_counted = entry.offset <= self._cut[partition]
        if not is_counted:
            self._begin(day_of(entry.time_s))
        if entry.kind == ORDER:
            self._place(entry, is_counted)
        elif entry.kind == CANCELLATION:
            self._cancel(entry, is_counted)
        elif entry.kind == RETURN:
            self._return(entry, is_counted)
        elif entry.kind == ERASURE:
            self._erase(entry, is_counted)
        else:
            self._click(entry, is_counted)
        return True

    def restate(self, product_id: ProductId) -> None:
        """Note that the shop stated a product anew: it may have moved to another category."""
        self.restated.append(self._number(product_id))

    def _place(self, entry: Entry, is_counted: bool) -> None:
        if entry.order in self._order_numbers or self._row_of_order(entry.order) >= 0:
            return
        self._order_numbers[entry.order] = -1
        if is_counted or entry.order in self._cancelled or entry.subject in self._erased:
            return
        left = entry.lines
        for returned in self._returned.pop(entry.order, ()):
            left = left_of(left, returned)
        if left:
            number = self._append({self._number(product): left[product] for product in left}, day_of(entry.time_s), 1)
            self._order_numbers[entry.order] = number
            self._of_subject.setdefault(entry.subject, []).append(number)

    def _cancel(self, entry: Entry, is_counted: bool) -> None:
        self._cancelled.add(entry.order)
        number = self._order_numbers.get(entry.order, -1)
        row = self._row_of_order(entry.order)
        if number >= 0:
            resign_order(self.arrays, number, 0)
        elif row >= 0 and row not in self._taken_back and not is_counted:
            self._taken_back.add(row)
            self._append(*self._snapshot_order(row), -1)

    def _return(self, entry: Entry, is_counted: bool) -> None:
        told = (entry.order, entry.time_s, tuple(sorted(entry.lines.items())))
        if told in self._returns:
            return
        self._returns.add(told)
        number, row = self._order_numbers.get(entry.order), self._row_of_order(entry.order)
        if number is None and row < 0:
            self._returned.setdefault(entry.order, []).append(entry.lines)
        elif number is None and not is_counted and row not in self._taken_back:
            self._taken_back.add(row)
            self._replace(entry, self._append(*self._snapshot_order(row), 0), -1)
        elif number is not None and number >= 0 and self.arrays.order_numbers[number, 1]:
            self._replace(entry, number, 0)

    def _replace(self, entry: Entry, number: int, sign: int) -> None:
        """Count an order `sign` times, and what is left of it once, in one change."""
        returned = {self._number(product): quantity for product, quantity in entry.lines.items()}
        left = left_of(self._lines_of(number), returned)
        self._order_numbers[entry.order] = -1
        if not left:
            resign_order(self.arrays, number, sign)
            return
        products, day = self._room_for(left), int(self.arrays.order_numbers[number, 0])
        instead = replace_order(self.arrays, number, sign, products, day)
        self._replaced[number] = self._order_numbers[entry.order] = instead

    def _snapshot_order(self, row: int) -> tuple[Lines, int]:
        """What the snapshot counts of an order, and its day."""
        assert self.snapshot is not None
        first, last = self.snapshot["bought_together.order_start"][row : row + 2]
        products = self.index_of_row[self.snapshot["bought_together.order_product"][first:last]]
        quantities = np.ones(len(products), np.int32)
        if "order_quantity" in self.snapshot:  # snapshots from before returns counted have none
            quantities = self.snapshot["order_quantity"][first:last]
        day = int(self.snapshot["bought_together.order_day"][row])
        return dict(zip(products.tolist(), quantities.tolist(), strict=True)), day

    def _lines_of(self, number: int) -> Lines:
        """What an order of the tail counts."""
        first, last = self.arrays.order_start[number : number + 2].tolist()
        return dict(zip(self.arrays.node_product[first:last].tolist(), self._quantities[first:last], strict=True))

    def _erase(self, entry: Entry, is_counted: bool) -> None:
        self._erased.add(entry.subject)
        if is_counted:
            return
        for counted in self._of_subject.pop(entry.subject, ()):
            if isinstance(counted, int):
                while counted in self._replaced:
                    counted = self._replaced[counted]
                resign_order(self.arrays, counted, 0)
            else:
                _, product, kind, day = counted
                self._append_units(self._number(product), day, -KIND_UNITS[kind])

    def _click(self, entry: Entry, is_counted: bool) -> None:
        product, day = entry.products[0], day_of(entry.time_s)
        click = (entry.subject, product, entry.kind, day)
        if click in self._clicks:
            return
        self._clicks.add(click)
        if not is_counted and entry.subject not in self._erased:
            self._append_units(self._number(product), day, KIND_UNITS[entry.kind])
            self._of_subject.setdefault(entry.subject, []).append(click)

    def _row_of_order(self, order: bytes) -> int:
        if self.snapshot is None:
            return -1
        hashes, rows = self.snapshot["bought_together.order_hash"], self.snapshot["bought_together.order_of_hash"]
        return find_order(hashes, rows, order)

    def _number(self, product: str) -> int:
        number = self.index.add(ProductId(product))
        if number >= len(self.arrays.head):
            self._grow("head", number + 1)
        if number not in self._known:
            self._known.add(number)
            self.restated.append(number)
        return number

    def _begin(self, day: int) -> None:
        today = int(self.arrays.state[TODAY])
        if day > today:
            begin_day(self.arrays, day, self._scale(day))

    def _scale(self, day: int) -> NDArray[np.float64]:
        days = max(day - self._first_day, 0) if self.snapshot is not None else 0
        return np.array([decay_between(days, half_life) for half_life in self._half_lives()])

    def _half_lives(self) -> tuple[int, int, int, int]:
        orders, wanted = self.configuration.bought_together, self.configuration.popularity
        return (
            orders.slow_half_life_days,
            orders.fast_half_life_days,
            wanted.level_half_life_days,
            wanted.recent_half_life_days,
        )

    def _append(self, lines: Lines, day: int, sign: int) -> int:
        products = self._room_for(lines)  # which may put other arrays in place
        return append_order(self.arrays, products, day, sign)

    def _room_for(self, lines: Lines) -> IntVector:
        """The products of an order that is appended next."""
        products = sorted(lines)
        self._grow("node_product", int(self.arrays.state[NODES]) + len(products))
        self._grow("order_numbers", int(self.arrays.state[HELD]) + 1)
        self._quantities.extend([lines[product] for product in products])
        return np.array(products, dtype=np.int32)

    def _append_units(self, product: int, day: int, units: int) -> None:
        self._grow("units", int(self.arrays.state[UNITS]) + 1)
        append_units(self.arrays, product, day, units)

    def _grow(self, name: str, needed: int) -> None:
        """Make room: longer copies of every array of that length, put in place at once."""
        length = len(getattr(self.arrays, name))
        if needed <= length:
            return
        longer = max(2 * length, needed)
        self.arrays = Fresh(
            **{field: _lengthened(field, array, longer) for field, array in _of_length(self.arrays, name)},
            **{
                field: array
                for field, array in zip(Fresh._fields, self.arrays, strict=True)
                if field not in _SAME[name]
            },
        )

    def _new_arrays(self) -> Fresh:
        capacity = 2 * len(self.index) + _ROOM
        bought = self.configuration.bought_together
        fresh = Fresh(
            totals=np.zeros((capacity, 6)),
            base=np.zeros((capacity, 4)),
            added=np.zeros((capacity, 4), np.int64),
            head=np.full(capacity, -1, np.int32),
            node_next=np.zeros(_ROOM, np.int32),
            node_order=np.zeros(_ROOM, np.int32),
            node_product=np.zeros(_ROOM, np.int32),
            order_start=np.zeros(_ROOM + 1, np.int64),
            order_numbers=np.zeros((_ROOM, 2), np.int64),
            units=np.zeros((_ROOM, 3), np.int64),
            touched=np.zeros(capacity, np.int32),
            is_touched=np.zeros(capacity, np.bool_),
            state=np.zeros(8, np.int64),
            scale=np.ones(4),
            tables=decay_tables(self._half_lives()),
            damping=size_damping().copy(),
            tuning=bought.tuning,
        )
        if self.snapshot is not None:
            rows = self.index_of_row
            fresh.base[rows, :2] = self.snapshot["bought_together.product_weights"]
            fresh.base[rows, 2] = self.snapshot["popularity.level"]
            fresh.base[rows, 3] = self.snapshot["popularity.recent"]
            fresh.totals[rows, 0] = self.snapshot["bought_together.product_orders"]
            fresh.state[SHOP_ORDERS] = len(self.snapshot["bought_together.order_day"])
        begin_day(fresh, self._first_day, np.ones(4))
        return fresh


_SAME = {
    "head": ("totals", "base", "added", "head", "touched", "is_touched"),
    "node_product": ("node_next", "node_order", "node_product"),
    "order_numbers": ("order_start", "order_numbers"),
    "units": ("units",),
}


def _of_length(arrays: Fresh, name: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for field in _SAME[name]:
        yield field, getattr(arrays, field)


def _lengthened(field: str, array: NDArray[np.generic], length: int) -> NDArray[np.generic]:
    extra = 1 if field == "order_start" else 0
    longer = np.full((length + extra, *array.shape[1:]), -1 if field == "head" else 0, dtype=array.dtype)
    longer[: len(array)] = array
    return longer
