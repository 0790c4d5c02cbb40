"""The category of every product as of now: what the catalogue says, in the snapshot's tree and whatever grew since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import NOTHING, IntVector
from recommender.kernels.arrays import Fresh, Held, Places, hold
from recommender.models.popularity import SHOP
from recommender.snapshot import Snapshot
from recommender.tail import Tail

FAVOURITES_MAX = 20  # popular products of a category that are offered to whoever likes the category
NOWHERE = -2

Array = NDArray[Any]
CategoryPath = tuple[str, ...]


class LiveCategories:
    """Categories as numbers, and the number of each product's. Any thread may ask.

    A product that the shop moved is in its new category from the next question on, without training.
    """

    def __init__(self, snapshot: Snapshot | None, tail: Tail, product_of: Callable[[int], Product | None]) -> None:
        """Ask for every product of the snapshot where it is now. Cost: 1 µs each."""
        self._tail, self._product_of = tail, product_of
        names: Sequence[CategoryPath] = [()]
        parent: Array = np.array([-1], np.int32)
        trained: Array = np.zeros(0, np.int32)
        self._lists: dict[str, tuple[Array, Array]] = {}
        if snapshot is not None:
            names = snapshot.unpack("popularity.node_names", list[CategoryPath])
            parent = snapshot["popularity.node_parent"]
            trained = snapshot["popularity.node_of"]
            for kind in ("popular", "trending"):
                self._lists[kind] = (snapshot[f"popularity.{kind}_start"], snapshot[f"popularity.{kind}_row"])
        self._number = {name: node for node, name in enumerate(names)}
        self._parent: list[int] = parent.tolist()
        self._node_of = dict(zip(tail.index_of_row.tolist(), trained.tolist(), strict=True))
        self._moved: list[int] = []
        self._lock = threading.Lock()
        favourites = [tail.index_of_row[self.listed("popular", node)[:FAVOURITES_MAX]] for node in range(len(parent))]
        self._favourite_start = np.cumsum([0, *map(len, favourites)], dtype=np.int64)
        self._favourite = np.concatenate(favourites) if favourites else NOTHING
        for product in list(self._node_of):
            self._restate(product)
        self._now = self._hold()

    def find(self, category: CategoryPath) -> int:
        """The number of a category; one that holds nothing where nobody heard of it."""
        return self._number.get(category, NOWHERE)

    def listed(self, kind: str, node: int) -> Array:
        """The snapshot's rows of a category, best first."""
        if kind not in self._lists or not 0 <= node < len(self._lists[kind][0]) - 1:
            return NOTHING
        start, rows = self._lists[kind]
        part: Array = rows[start[node] : start[node + 1]]
        return part

    def now(self, fresh: Fresh) -> Held[Places]:
        """Where every product is, those included that are newer than the snapshot."""
        room, held = self._now
        restated = self._tail.restated
        if restated or len(fresh.head) > room:
            with self._lock:
                news = len(restated)  # taken out only when they are told, so that nobody is answered without them
                for product in list(islice(restated, news)):
                    self._restate(product)
                room, held = self._now = self._hold()
                for _ in range(news):
                    restated.popleft()
        return held

    def _restate(self, product: int) -> None:
        """Look a product up; one the shop never stated stays where the snapshot has it."""
        stated, before = self._product_of(product), self._node_of.get(product)
        if stated is None and before is not None:
            return
        now = self._place(stated.category if stated else ())
        if now != before:
            self._node_of[product] = now
            self._moved.append(product)

    def _place(self, category: CategoryPath) -> int:
        for depth in range(1, len(category) + 1):
            path = category[:depth]
            if path not in self._number:
                self._parent.append(self._number[path[:-1]])
                self._number[path] = len(self._parent) - 1
        return self._number[category] if category else SHOP

    def _hold(self) -> tuple[int, Held[Places]]:
        """For how many products there is room, and where they are: swapped as one, for readers without the lock."""
        room = len(self._tail.arrays.head)
        node_of = np.full(room, NOWHERE, np.int32)
        products: IntVector = np.fromiter(self._node_of, np.int32, len(self._node_of))
        node_of[products] = np.fromiter(self._node_of.values(), np.int32, len(self._node_of))
        start = np.full(len(self._parent) + 1, self._favourite_start[-1])
        start[: len(self._favourite_start)] = self._favourite_start
        parent, moved = np.array(self._parent, np.int32), np.array(self._moved, np.int32)
        return room, hold(Places(node_of, parent, start, np.asarray(self._favourite, np.int32), moved))
