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
    CatalogueEvent,
    Event,
    OrderCompleted,
    PriceChanged,
    ProductDeleted,
    ProductUpserted,
    Recorded,
    StockChanged,
)
from ingest.vocabulary.ids import ProductId, partition_of, product_key
from ingest.vocabulary.ports import StateStore
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX, Label, Product
from ingest.vocabulary.ranking import IntVector, ProductIndex

PROJECTION = "product"
NO_CODE = -1
_UNSTATED = Label()
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
        if isinstance(event, CatalogueEvent):
            return (event.product_id,)
        return ()

    def partition_of_key(self, key: str) -> int:
        """The partition of the facts about the product."""
        return partition_of(product_key(ProductId(key)))

    def evolve(self, state: CatalogueEntry | None, recorded: Recorded) -> CatalogueEntry | None:
        """The entry after the fact."""
        return evolve_entry(state, recorded.event)

    def derived(self, _: CatalogueEntry | None, __: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

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

    A product that was ordered but never stated by the shop is on the shelf too, without a title: the shop may keep its
    catalogue elsewhere. Rows beyond what is known are not listed.

    Attributes:
        index: product ids and their row numbers; find, product_id: its own.
        sellable: whether a shopper can order it now.
        listed: whether it was stated or ordered, and not deleted.
        price: what a shopper pays now; NaN where unknown.
        brand, item_group, category: codes of brand, group of variants and full category path, -1 where unknown.
        ancestors: (n, CATEGORY_DEPTH_MAX) codes of the category nodes from root to leaf, -1 beyond the leaf.
        version: rises with every change.
    """

    def __init__(self) -> None:
        self.index = ProductIndex()
        self.find, self.product_id = self.index.find, self.index.product_id
        self.version = 0
        self.sellable: NDArray[np.bool_] = np.ones(_FIRST_ROWS, dtype=np.bool_)
        self.listed: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, dtype=np.bool_)
        self.price: NDArray[np.float64] = np.full(_FIRST_ROWS, np.nan)
        self.brand: IntVector = np.full(_FIRST_ROWS, NO_CODE, dtype=np.int32)
        self.item_group: IntVector = np.full(_FIRST_ROWS, NO_CODE, dtype=np.int32)
        self.category: IntVector = np.full(_FIRST_ROWS, NO_CODE, dtype=np.int32)
        self.ancestors: NDArray[np.int32] = np.full((_FIRST_ROWS, CATEGORY_DEPTH_MAX), NO_CODE, dtype=np.int32)
        self._entries: dict[int, CatalogueEntry] = {}
        self._labels: dict[int, Label] = {}
        self._brands = _Codes()
        self._groups = _Codes()
        self._nodes = _Codes()
        self._paths: list[tuple[str, ...]] = []
        self._node_names: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def load(self, store: StateStore) -> None:
        """Take over every product of the state store."""
        decode = CatalogueProjection().decode
        with self._lock:
            for _, stored in store.scan(PROJECTION):
                self._put(decode(stored))

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Take committed facts into account."""
        with self._lock:
            for recorded in batch:
                event = recorded.event
                match event:
                    case CatalogueEvent():
                        row = self.index.find(event.product_id)
                        entry = evolve_entry(None if row is None else self._entries.get(row), event)
                        assert entry is not None
                        self._put(entry)
                    case OrderCompleted(lines=lines):
                        for line in lines:
                            self._hear_of(line.product_id)

    def hear_of(self, product_ids: Iterable[ProductId]) -> None:
        """Put products that were ordered on the shelf, whether or not the shop ever stated them."""
        with self._lock:
            for product_id in product_ids:
                self._hear_of(product_id)

    def product(self, product_index: int) -> Product | None:
        """The product as last stated; None if the shop never stated it."""
        entry = self._entries.get(product_index)
        return None if entry is None else entry.product

    def label(self, product_index: int) -> Label:
        """What a shopper is shown of a product, as last stated."""
        return self._labels.get(product_index, _UNSTATED)

    def stated(self, product_id: ProductId) -> Product | None:
        """A product the shop has stated and not deleted."""
        row = self.index.find(product_id)
        entry = None if row is None else self._entries.get(row)
        return None if entry is None or entry.deleted else entry.product

    def knows(self, product_id: ProductId) -> bool:
        """Whether the shop has ever stated this product, deleted or not."""
        row = self.index.find(product_id)
        return row is not None and row in self._entries

    def products(self) -> list[Product]:
        """Every stated product that is not deleted, in the order they became known."""
        with self._lock:
            return [entry.product for _, entry in sorted(self._entries.items()) if not entry.deleted]

    def category_paths(self, category: str) -> list[tuple[str, ...]]:
        """The categories a shopper may mean by a name at any level, or by a path as in `Kitchen > Mugs`, any case."""
        return [self._paths[code] for code in self._codes(category)]

    def brand_code(self, brand: str) -> int | None:
        """The code of a brand, whatever its case, or None if no product has it."""
        code = self._brands.find(_folded(brand))
        return None if code == NO_CODE else code

    def in_category(self, category: str, products: IntVector) -> NDArray[np.bool_]:
        """Which of these rows are in a category or below it, given a name at any level or a path, any case."""
        codes = self._codes(category)
        ancestors = self.ancestors[products]
        inside: NDArray[np.bool_] = np.zeros(len(products), dtype=np.bool_)
        for code in codes:
            inside |= (ancestors == code).any(axis=1)
        return inside

    def has_attribute(self, name: str, values: tuple[str, ...], products: IntVector) -> NDArray[np.bool_]:
        """Which of these rows have the attribute with one of the values, compared as text, any case."""
        wanted = {value.casefold() for value in values}
        return np.fromiter((not wanted.isdisjoint(self._texts(row, name)) for row in products.tolist()), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.index)

    def _texts(self, row: int, name: str) -> Iterable[str]:
        product = self.product(row)
        value = None if product is None else product.attributes.get(name)
        if value is None:
            return ()
        if isinstance(value, list):
            return [each.casefold() for each in value]
        return (("true" if value else "false") if isinstance(value, bool) else str(value).casefold(),)

    def _codes(self, category: str) -> list[int]:
        return self._node_names.get(_folded(category), [])

    def _hear_of(self, product_id: ProductId) -> None:
        row = self._row(product_id)
        if row not in self._entries:
            self.listed[row] = True

    def _row(self, product_id: ProductId) -> int:
        """The row of a product; its columns are there before its number is."""
        self._make_room(len(self.index) + 1)
        row = self.index.add(product_id)
        self._make_room(row + 1)  # others may add to the index as well
        return row

    def _put(self, entry: CatalogueEntry) -> None:
        product = entry.product
        row = self._row(product.product_id)
        self._entries[row] = entry
        self._labels[row] = product.label
        self.sellable[row] = product.sellable
        self.listed[row] = not entry.deleted
        price = product.current_price
        self.price[row] = np.nan if price is None else float(price)
        self.brand[row] = NO_CODE if product.brand is None else self._brands.add(_folded(product.brand))
        self.item_group[row] = NO_CODE if product.item_group_id is None else self._groups.add(product.item_group_id)
        path = product.category[:CATEGORY_DEPTH_MAX]
        ancestors = [self._node(path[: depth + 1]) for depth in range(len(path))]
        self.ancestors[row, : len(ancestors)] = ancestors
        self.ancestors[row, len(ancestors) :] = NO_CODE
        self.category[row] = ancestors[-1] if ancestors else NO_CODE
        self.version += 1

    def _node(self, path: tuple[str, ...]) -> int:
        key = "\x1f".join(path)
        code = self._nodes.find(key)
        if code == NO_CODE:
            self._paths.append(path)
            code = self._nodes.add(key)
            for name in {_folded(path[-1]), _folded(" > ".join(path))}:
                self._node_names[name] = [*self._node_names.get(name, ()), code]
        return code

    def _make_room(self, rows: int) -> None:
        if rows <= len(self.sellable):
            return
        more = max(len(self.sellable), rows - len(self.sellable))
        self.sellable = np.concatenate((self.sellable, np.ones(more, dtype=np.bool_)))
        self.price = np.concatenate((self.price, np.full(more, np.nan)))
        no_codes = np.full(more, NO_CODE, dtype=np.int32)
        self.brand = np.concatenate((self.brand, no_codes))
        self.item_group = np.concatenate((self.item_group, no_codes))
        self.category = np.concatenate((self.category, no_codes))
        none = np.full((more, CATEGORY_DEPTH_MAX), NO_CODE, dtype=np.int32)
        self.ancestors = np.concatenate((self.ancestors, none))
        self.listed = np.concatenate((self.listed, np.zeros(more, dtype=np.bool_)))  # last: readers size by it


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
