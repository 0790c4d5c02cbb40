"""The catalogue: products as last stated, folded from the log, and as columns by product_index for filters.

The columns are NumPy arrays that grow; a reader takes the arrays it finds, and a row it knows stays valid. A category
is a node of a tree and a product carries the codes of all its ancestors, so that "in Kitchen" is one comparison.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.events import (
    Event,
    OrderCompleted,
    PriceChanged,
    ProductAdded,
    ProductDeleted,
    ProductUpserted,
    ProductViewed,
    Recorded,
    StockChanged,
)
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ports import StateStore
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX, AttributeValue, Product
from ingest.vocabulary.ranking import IntVector, ProductIndex

PROJECTION = "product"
NO_CODE = -1
_FIRST_ROWS = 1_024


class CatalogueEntry(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a product; one that was deleted stays known as such, so that it is never shown again."""

    product: Product
    deleted: bool = False


class CatalogueProjection:
    """Folds catalogue facts into one entry a product."""

    name = PROJECTION

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic")
        self._decoder = msgspec.msgpack.Decoder(CatalogueEntry)

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The product."""
        event = recorded.event
        if isinstance(event, ProductUpserted | ProductDeleted | PriceChanged | StockChanged):
            return (event.product_id,)
        return ()

    def evolve(self, state: CatalogueEntry | None, recorded: Recorded) -> CatalogueEntry | None:
        """The entry after the fact."""
        return evolve_entry(state, recorded.event)

    def consequences(self, _: CatalogueEntry | None, __: Recorded) -> tuple[Event, ...]:
        """None."""
        return ()

    def encode(self, state: CatalogueEntry) -> bytes:
        """The entry as MessagePack."""
        return self._encoder.encode(state)

    def decode(self, stored: bytes) -> CatalogueEntry:
        """The inverse of `encode`."""
        return self._decoder.decode(stored)


def evolve_entry(entry: CatalogueEntry | None, event: Event) -> CatalogueEntry | None:
    """The entry after a fact about its product."""
    match event:
        case ProductUpserted(product=product):
            return CatalogueEntry(product)
        case ProductDeleted(product_id=product_id):
            return CatalogueEntry(Product(product_id=product_id) if entry is None else entry.product, deleted=True)
        case PriceChanged(product_id=product_id):
            product = Product(product_id=product_id) if entry is None else entry.product
            changed = msgspec.structs.replace(
                product,
                price=event.price,
                sale_price=event.sale_price,
                currency=event.currency or product.currency,
            )
            return CatalogueEntry(changed, entry is not None and entry.deleted)
        case StockChanged(product_id=product_id):
            product = Product(product_id=product_id) if entry is None else entry.product
            changed = msgspec.structs.replace(
                product,
                availability=event.availability or product.availability,
                stock=product.stock if event.stock is None else event.stock,
            )
            return CatalogueEntry(changed, entry is not None and entry.deleted)
    return entry


class CatalogueView:
    """The catalogue as columns by product_index, kept up to date by the commits it follows.

    Attributes:
        index: product ids and their row numbers.
        sellable: whether a shopper can order it now; products never stated count as sellable.
        listed: whether the shop has not deleted it.
        price: what a shopper pays now; NaN where unknown.
        brand, group: codes of brand and item group, -1 where unknown.
        ancestors: (n, CATEGORY_DEPTH_MAX) codes of the category nodes from root to leaf, -1 beyond the leaf.
        version: rises with every change.
    """

    def __init__(self) -> None:
        self.index = ProductIndex()
        self.version = 0
        self.sellable: NDArray[np.bool_] = np.ones(_FIRST_ROWS, dtype=np.bool_)
        self.listed: NDArray[np.bool_] = np.ones(_FIRST_ROWS, dtype=np.bool_)
        self.price: NDArray[np.float64] = np.full(_FIRST_ROWS, np.nan)
        self.brand: IntVector = np.full(_FIRST_ROWS, NO_CODE, dtype=np.int32)
        self.group: IntVector = np.full(_FIRST_ROWS, NO_CODE, dtype=np.int32)
        self.ancestors: NDArray[np.int32] = np.full((_FIRST_ROWS, CATEGORY_DEPTH_MAX), NO_CODE, dtype=np.int32)
        self._entries: dict[int, CatalogueEntry] = {}
        self._brands = _Codes()
        self._groups = _Codes()
        self._nodes = _Codes()
        self._node_names: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def load(self, store: StateStore) -> None:
        """Take over every product of the state store."""
        decode = CatalogueProjection().decode
        with self._lock:
            for _, stored in store.scan(PROJECTION):
                self._put(decode(stored))

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Take committed facts into account; a product first heard of in an order or view gets a row as well."""
        with self._lock:
            for recorded in batch:
                event = recorded.event
                match event:
                    case ProductUpserted() | ProductDeleted() | PriceChanged() | StockChanged():
                        row = self.index.find(event.product_id)
                        entry = evolve_entry(None if row is None else self._entries.get(row), event)
                        assert entry is not None
                        self._put(entry)
                    case ProductViewed(product_id=product_id) | ProductAdded(product_id=product_id):
                        self._room_for(self.index.add(product_id))
                    case OrderCompleted(lines=lines):
                        for line in lines:
                            self._room_for(self.index.add(line.product_id))

    def product(self, product_index: int) -> Product | None:
        """The product as last stated; None if the shop never stated it."""
        entry = self._entries.get(product_index)
        return None if entry is None else entry.product

    def find(self, product_id: ProductId) -> Product | None:
        """A product the shop has stated and not deleted."""
        row = self.index.find(product_id)
        entry = None if row is None else self._entries.get(row)
        return None if entry is None or entry.deleted else entry.product

    def knows(self, product_id: ProductId) -> bool:
        """Whether the shop has ever stated this product, deleted or not."""
        row = self.index.find(product_id)
        return row is not None and row in self._entries

    def stated(self) -> Iterable[Product]:
        """Every product that is not deleted, in the order they became known."""
        return [entry.product for _, entry in sorted(self._entries.items()) if not entry.deleted]

    def category_codes(self, name: str) -> list[int]:
        """The nodes a shopper may mean by a name, whatever its case and level, or by a path as in `Kitchen > Mugs`."""
        return self._node_names.get(_folded(name), [])

    def category_path(self, product_index: int) -> tuple[str, ...]:
        """The category of a product, from root to leaf."""
        product = self.product(product_index)
        return () if product is None else product.category

    def brand_code(self, name: str) -> int:
        """The code of a brand, whatever its case; -1 if no product has it."""
        return self._brands.find(_folded(name))

    def attributes(self, product_index: int) -> dict[str, AttributeValue]:
        """The attributes of a product."""
        product = self.product(product_index)
        return {} if product is None else product.attributes

    def __len__(self) -> int:
        return len(self.index)

    def _put(self, entry: CatalogueEntry) -> None:
        product = entry.product
        row = self.index.add(product.product_id)
        self._room_for(row)
        self._entries[row] = entry
        self.sellable[row] = product.sellable
        self.listed[row] = not entry.deleted
        price = product.current_price
        self.price[row] = np.nan if price is None else float(price)
        self.brand[row] = NO_CODE if product.brand is None else self._brands.add(_folded(product.brand))
        self.group[row] = NO_CODE if product.item_group_id is None else self._groups.add(product.item_group_id)
        ancestors = [self._node(product.category[: depth + 1]) for depth in range(len(product.category))]
        self.ancestors[row, : len(ancestors)] = ancestors[:CATEGORY_DEPTH_MAX]
        self.ancestors[row, len(ancestors) :] = NO_CODE
        self.version += 1

    def _node(self, path: tuple[str, ...]) -> int:
        key = "\x1f".join(path)
        code = self._nodes.find(key)
        if code == NO_CODE:
            code = self._nodes.add(key)
            for name in {_folded(path[-1]), _folded(" > ".join(path))}:
                self._node_names[name] = [*self._node_names.get(name, ()), code]
        return code

    def _room_for(self, row: int) -> None:
        if row < len(self.sellable):
            return
        more = max(len(self.sellable), row + 1 - len(self.sellable))
        self.sellable = np.concatenate((self.sellable, np.ones(more, dtype=np.bool_)))
        self.listed = np.concatenate((self.listed, np.ones(more, dtype=np.bool_)))
        self.price = np.concatenate((self.price, np.full(more, np.nan)))
        self.brand = np.concatenate((self.brand, np.full(more, NO_CODE, dtype=np.int32)))
        self.group = np.concatenate((self.group, np.full(more, NO_CODE, dtype=np.int32)))
        self.ancestors = np.concatenate((self.ancestors, np.full((more, CATEGORY_DEPTH_MAX), NO_CODE, dtype=np.int32)))


class _Codes:
    """Names and their numbers, in order of first use."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def find(self, name: str) -> int:
        return self._codes.get(name, NO_CODE)

    def add(self, name: str) -> int:
        return self._codes.setdefault(name, len(self._codes))


def _folded(name: str) -> str:
    return " > ".join(part.strip() for part in name.casefold().split(">"))
