"""The catalogue as the demo store asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ingest.catalog import CatalogueView
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product

CategoryPath = tuple[str, ...]


class CatalogueShelves:
    """A `StoreCatalogue`: what is for sale, sorted by title; worked out again when the catalogue has changed."""

    def __init__(self, catalogue: CatalogueView) -> None:
        self._catalogue = catalogue
        self._version = -1
        self._products: list[Product] = []
        self._words: list[frozenset[str]] = []
        self._counts: list[tuple[CategoryPath, int]] = []

    def product(self, product_id: str) -> Product | None:
        """A product, sold out or not; None if there is none of this id."""
        return self._catalogue.stated(ProductId(product_id))

    def products_in(self, category: CategoryPath, limit: int, offset: int) -> tuple[Sequence[Product], int]:
        """A page of the products on a category and below it, () being all, by title; and their total."""
        inside = [product for product in self._for_sale() if product.category[: len(category)] == category]
        return inside[offset : offset + limit], len(inside)

    def categories(self) -> Sequence[tuple[CategoryPath, int]]:
        """Every category, ancestors included, with the number of products on it and below it."""
        self._for_sale()
        return self._counts

    def search(self, words: str, limit: int) -> Sequence[Product]:
        """Products with all the words in their titles; failing that, with most of them."""
        wanted = frozenset(words.casefold().split())
        if not wanted:
            return []
        products = self._for_sale()
        scored = [
            (len(wanted & words), -place, product)
            for place, (product, words) in enumerate(zip(products, self._words, strict=True))
        ]
        best = max((score for score, _, _ in scored), default=0)
        found = [(score, place, product) for score, place, product in scored if score == best and best > 0]
        return [product for _, _, product in sorted(found, key=lambda each: -each[1])[:limit]]

    def _for_sale(self) -> list[Product]:
        version = self._catalogue.version
        if version != self._version:
            products = [product for product in self._catalogue.products() if product.title and product.sellable]
            products.sort(key=lambda product: (product.title or "", product.product_id))
            counts: Counter[CategoryPath] = Counter()
            for product in products:
                counts.update(product.category[:depth] for depth in range(1, len(product.category) + 1))
            self._words = [frozenset((product.title or "").casefold().split()) for product in products]
            self._counts = sorted(counts.items())
            self._products, self._version = products, version
        return self._products
