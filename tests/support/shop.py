"""A shop small enough to read: a shelf and models from literal rows, for whoever ranks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Label, Product
from ingest.vocabulary.ranking import Candidates, History, IntVector, ProductIndex, Purpose, ReasonKind, Seeds
from ingest.vocabulary.situations import Parts


def product(product_id: str, **fields: Any) -> Product:
    """A product that is called after its id and costs ten pounds."""
    fields.setdefault("title", product_id.title())
    fields.setdefault("price", Decimal("10.00"))
    fields.setdefault("currency", "GBP")
    return Product(product_id=ProductId(product_id), **fields)


class PlainShelf:
    """A shelf of some products, of which some are deleted."""

    def __init__(self, products: Sequence[Product], deleted: Sequence[str] = ()) -> None:
        self.products = list(products)
        self.index = ProductIndex([each.product_id for each in products])
        self.listed = np.array([each.product_id not in deleted for each in products], np.bool_)
        self.sellable = np.array([each.sellable for each in products], np.bool_)
        prices = [each.current_price for each in products]
        self.price = np.array([np.nan if price is None else float(price) for price in prices])
        self.brands = _codes([each.brand.lower() for each in products if each.brand])
        self.brand = np.array([self.brands.get((each.brand or "").lower(), -1) for each in products], np.int32)
        paths = _codes([each.category for each in products if each.category])
        self.category = np.array([paths.get(each.category, -1) for each in products], np.int32)
        groups = _codes([each.item_group_id for each in products if each.item_group_id])
        self.item_group = np.array([groups.get(each.item_group_id, -1) for each in products], np.int32)

    def find(self, product_id: ProductId) -> int | None:
        return self.index.find(product_id)

    def product_id(self, product_index: int) -> ProductId:
        return self.index.product_id(product_index)

    def product(self, product_index: int) -> Product | None:
        return self.products[product_index] if product_index < len(self.products) else None

    def label(self, product_index: int) -> Label:
        product = self.product(product_index)
        return Label() if product is None else product.label

    def brand_code(self, brand: str) -> int | None:
        return self.brands.get(brand.lower())

    def in_category(self, category: str, products: Any) -> Any:
        wanted = [part.lower() for part in category.split(" > ")]
        return np.array([self._below(self.products[row].category, wanted) for row in products.tolist()], np.bool_)

    def has_attribute(self, name: str, values: tuple[str, ...], products: Any) -> Any:
        found = [self.products[row].attributes.get(name) for row in products.tolist()]
        return np.array([str(value) in values for value in found], np.bool_)

    @staticmethod
    def _below(path: tuple[str, ...], wanted: list[str]) -> bool:
        names = [name.lower() for name in path]
        return (len(wanted) == 1 and wanted[0] in names) or names[: len(wanted)] == wanted


class PlainModels:
    """Models that offer what they are given, as far as the limit lets them, and note what they were asked."""

    def __init__(self, shelf: PlainShelf, **offers: Any) -> None:
        self.shelf, self.offers = shelf, offers
        self.calls: list[tuple[Any, ...]] = []

    def bought_together(self, seeds: Seeds, limit: int) -> Candidates:
        return self._from_seeds("bought_together", seeds, limit)

    def similar(self, seeds: Seeds, limit: int) -> Candidates:
        return self._from_seeds("similar", seeds, limit)

    def other_styles(self, seeds: Seeds, limit: int) -> Candidates:
        return self._from_seeds("other_styles", seeds, limit, kind="other_style")

    def kinds(self, asked: IntVector, products: IntVector, looked_at: int) -> IntVector:
        """As `of_a_kind` has it: lists of ids that stand in for each other."""
        kind_of = {name: at for at, kind in enumerate(self.offers.get("of_a_kind", [])) for name in kind}
        kinds = [kind_of.get(self.shelf.product_id(row), -1 - row) for row in products.tolist()]
        of_asked = {kind_of.get(self.shelf.product_id(row)) for row in asked.tolist()}
        marks: list[int] = []
        for kind in kinds:
            before = [other for other, mark in zip(kinds, marks, strict=False) if mark == 0][:looked_at]
            marks.append(2 if kind in of_asked else int(kind in before))
        return np.array(marks, np.int32)

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        ids = [self.shelf.product_id(row) for row in history.products.tolist()]
        self.calls.append((purpose, ids, limit))
        left_out = {self.shelf.product_id(row) for row in excluded.tolist()}
        offered = [each for each in self.offers.get(purpose, []) if each not in left_out][:limit]
        kind: ReasonKind = {"basket": "bought_together", "next_item": "next_item", "next_basket": "buy_again"}.get(
            purpose, "for_you"
        )  # type: ignore[assignment]
        found = candidates(self.shelf, kind, offered, because=ids[-1])
        size = len(offered)
        return found._replace(scores=np.log(found.scores), orders=np.zeros(size, np.int64), lift=np.zeros(size))

    def popular(self, category: str | None, limit: int) -> Candidates:
        self.calls.append(("popular", category, limit))
        ids = self.offers.get("popular", [each.product_id for each in self.shelf.products])
        if category is not None:
            known = {each.product_id: row for row, each in enumerate(self.shelf.products)}
            ids = [each for each in ids if each in known and self._inside(category, known[each])]
        return candidates(self.shelf, "popular", ids[:limit])

    def telling(self, parts: Parts) -> Parts:
        return tuple(part for part in parts if part in self.offers.get("affinity", {}))

    def affinity(self, parts: Parts, products: IntVector) -> Any:
        """As `affinity` has it: the lifts of ids by part."""
        lifts = [self.offers["affinity"].get(part, {}) for part in parts]
        ids = [self.shelf.product_id(row) for row in products.tolist()]
        return np.array([np.prod([lift.get(each, 1.0) for lift in lifts]) for each in ids])

    def strongest(self, parts: Parts, products: IntVector) -> tuple[IntVector, Any]:
        by_part = np.stack([self.affinity((part,), products) for part in parts])
        return by_part.argmax(axis=0).astype(np.int32), by_part.max(axis=0)

    def _inside(self, category: str, row: int) -> bool:
        return bool(self.shelf.in_category(category, np.array([row]))[0])

    def trending(self, limit: int) -> Candidates:
        self.calls.append(("trending", limit))
        return candidates(self.shelf, "trending", self.offers.get("trending", [])[:limit])

    def _from_seeds(self, name: str, seeds: Seeds, limit: int, kind: ReasonKind | None = None) -> Candidates:
        ids = [self.shelf.product_id(row) for row in seeds.products.tolist()]
        self.calls.append((name, ids, limit))
        found = candidates(self.shelf, kind or name, self.offers.get(name, [])[:limit], because=ids[0])  # type: ignore[arg-type]
        common = [self.shelf.product_id(row) in self.offers.get("commonplace", []) for row in found.products.tolist()]
        return found._replace(lift=np.where(common, 1.0, found.lift))


def candidates(shelf: PlainShelf, kind: ReasonKind, ids: Sequence[str], because: str | None = None) -> Candidates:
    """Candidates in this order: scores 1, 1/2, 1/3 …, in 100, 99, 98 … orders, with lift 3 if there is a seed."""
    size = len(ids)
    source = -1 if because is None else shelf.index.add(ProductId(because))
    return Candidates(
        kind,
        np.array([shelf.index.add(ProductId(each)) for each in ids], np.int32),
        1.0 / np.arange(1, size + 1),
        np.full(size, source, np.int32),
        np.arange(100, 100 - size, -1, dtype=np.int64),
        np.full(size, 0.0 if because is None else 3.0),
    )


def _codes(names: Sequence[Any]) -> dict[Any, int]:
    return {name: code for code, name in enumerate(dict.fromkeys(names))}
