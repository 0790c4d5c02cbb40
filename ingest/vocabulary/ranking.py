"""What a request asks for, what models offer, and what a row of products looks like when it is answered.

`product_index` is a row number of the process's `ProductIndex`; it never leaves the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ids import ProductId, RequestId
from ingest.vocabulary.products import Availability

IntVector = NDArray[np.int32]
CountVector = NDArray[np.int64]
FloatVector = NDArray[np.float64]

ReasonKind = Literal[
    "bought_together",
    "similar",
    "other_style",
    "for_you",
    "next_item",
    "popular",
    "trending",
    "new",
    "recently_viewed",
    "buy_again",
    "price_drop",
    "back_in_stock",
    "pinned",
    "fallback_popular",
]
Purpose = Literal["next_item", "for_you", "basket", "next_basket", "bought_together", "similar"]
Degradation = Literal["profiles", "snapshot", "tail", "catalogue", "log"]

VIEW, CART, WISHLIST, ORDER = range(4)  # the kinds of interaction

NOTHING: IntVector = np.empty(0, dtype=np.int32)


class ProductIndex:
    """Product ids and their row numbers in this process: it only grows, and a number never changes its meaning.

    Any thread may look up; additions are serialised.

    Attributes:
        find: the row number of a product, or None if it was never heard of.
        product_id: the id at a row number.
    """

    def __init__(self, product_ids: Sequence[ProductId] = ()) -> None:
        self._ids: list[ProductId] = list(product_ids)
        self._index = {product_id: index for index, product_id in enumerate(self._ids)}
        self._lock = threading.Lock()
        # The methods of the containers themselves: a row looks up some fifty products.
        self.find: Callable[[ProductId], int | None] = self._index.get
        self.product_id: Callable[[int], ProductId] = self._ids.__getitem__

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, product_id: ProductId) -> int:
        """The row number of a product, which is new if it was never heard of."""
        index = self._index.get(product_id)
        if index is not None:
            return index
        with self._lock:
            index = self._index.get(product_id)
            if index is None:
                index = len(self._ids)
                self._ids.append(product_id)
                self._index[product_id] = index
            return index


class Seeds(NamedTuple):
    """Products to start from: `products` (n,) product_index, most important first; `weights` (n,) in (0, 1]."""

    products: IntVector
    weights: FloatVector


class History(NamedTuple):
    """What somebody did, oldest first; all vectors have the same length.

    Attributes:
        products: product_index.
        time_s: Unix seconds.
        kind: the kinds of interaction, VIEW … ORDER.
    """

    products: IntVector
    time_s: CountVector
    kind: NDArray[np.int8]


class Candidates(NamedTuple):
    """What a model offers, best first; all vectors have the same length.

    Attributes:
        kind: the reason these products are offered.
        products: product_index.
        scores: descending, comparable within one answer of one model.
        because: the product_index that brought each one up, or -1.
        orders: distinct orders in common with `because` (bought together), or orders of the product (popularity).
        lift: how much more often than by chance; 0 where it has no meaning.
    """

    kind: ReasonKind
    products: IntVector
    scores: FloatVector
    because: IntVector
    orders: CountVector
    lift: FloatVector


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The counts behind a reason: distinct orders, not cancelled, guests included."""

    orders: int | None = None
    lift: float | None = None
    views: int | None = None


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a product is in a row, for programs (`kind`, `because`, `evidence`) and for shoppers (`text`)."""

    kind: ReasonKind
    because: tuple[ProductId, ...]
    text: str
    evidence: Evidence


class Item(msgspec.Struct, frozen=True, gc=False):
    """One product of an answered row; `score` is comparable within the row; money is a decimal string."""

    product_id: ProductId
    position: int
    score: float
    reason: Reason
    title: str | None
    url: str | None
    image_url: str | None
    price: str | None
    currency: str | None
    availability: Availability
    click_token: str


class Arm(msgspec.Struct, frozen=True, gc=False):
    """The arm of an experiment that answered, and the probability with which it was chosen."""

    name: str
    arm: str
    propensity: float


class Answer(msgspec.Struct, frozen=True, omit_defaults=False, gc=False):
    """An answered row, as it goes over the wire."""

    request_id: RequestId
    placement: str
    snapshot: str | None
    configuration: str
    degraded: tuple[Degradation, ...]
    experiment: Arm | None
    items: tuple[Item, ...]
    explanation: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
