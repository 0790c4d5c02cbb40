"""What a page needs of the catalogue and of the models, as Protocols: whoever implements them stays unknown here."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Label, Product
from ingest.vocabulary.ranking import Candidates, FloatVector, History, IntVector, Purpose, Seeds
from ingest.vocabulary.situations import Parts

BoolVector = NDArray[np.bool_]

CATEGORY_SEPARATOR = " > "  # between the names of a full path, as in Google's product taxonomy


class Shelf(Protocol):
    """The catalogue by columns, all of length n, row = product_index, as of one moment.

    Guarantees: the columns do not change while a row is being ranked. A product_index beyond n is a product that the
    catalogue has never heard of; it is not on the shelf.
    Not guaranteed: that `product` knows every row.
    """

    @property
    def listed(self) -> BoolVector:
        """Whether the product is in the shop, that is, known and not deleted; shape (n,)."""
        ...

    @property
    def sellable(self) -> BoolVector:
        """Whether a shopper can order it now; shape (n,)."""
        ...

    @property
    def price(self) -> FloatVector:
        """What the shopper pays now, NaN where it is unknown; shape (n,)."""
        ...

    @property
    def brand(self) -> IntVector:
        """A code for each brand, -1 for none; shape (n,)."""
        ...

    @property
    def category(self) -> IntVector:
        """A code for each full category path, -1 for none; shape (n,)."""
        ...

    @property
    def item_group(self) -> IntVector:
        """A code for each group of variants, -1 for a product without variants; shape (n,)."""
        ...

    def find(self, product_id: ProductId) -> int | None:
        """The product_index of a product, or None if it was never heard of."""
        ...

    def product_id(self, product_index: int) -> ProductId:
        """The id at a row."""
        ...

    def product(self, product_index: int) -> Product | None:
        """The product as the shop states it."""
        ...

    def label(self, product_index: int) -> Label:
        """What a shopper is shown of the product; of one that the shop never stated, next to nothing."""
        ...

    def brand_code(self, brand: str) -> int | None:
        """The code of a brand, whatever its case, or None if no product has it."""
        ...

    def in_category(self, category: str, products: IntVector) -> BoolVector:
        """Which of these rows are in a category or below it, given a name at any level or a full path, any case."""
        ...

    def has_attribute(self, name: str, values: tuple[str, ...], products: IntVector) -> BoolVector:
        """Which of these rows have the attribute with one of the values, compared as text, any case."""
        ...


class Models(Protocol):
    """The models of the moment: each offers at most `limit` products, best first; fewer means it has no more.

    Guarantees: the same arguments give the same answer while a row is being ranked; no product twice in one answer.
    Not guaranteed: that products are on the shelf, that seeds are left out.
    """

    def bought_together(self, seeds: Seeds, limit: int) -> Candidates:
        """What is bought in one order with the seeds."""
        ...

    def similar(self, seeds: Seeds, limit: int) -> Candidates:
        """What may stand in for the seeds."""
        ...

    def other_styles(self, seeds: Seeds, limit: int) -> Candidates:
        """The same things in another colour, size or pattern."""
        ...

    def kinds(self, asked: IntVector, products: IntVector, looked_at: int) -> IntVector:
        """For each product 2 if it may stand in for one asked about, else 1 if it is all but the same as one of the
        first `looked_at` that are a 0 before it, else 0.
        """
        ...

    def telling(self, parts: Parts) -> Parts:
        """The parts of a situation that make a difference to any product."""
        ...

    def affinity(self, parts: Parts, products: IntVector) -> FloatVector:
        """How many times as much as usual each product is wanted in a situation of parts that tell, at least one."""
        ...

    def strongest(self, parts: Parts, products: IntVector) -> tuple[IntVector, FloatVector]:
        """For each product the place of the part, one of these, that speaks for it most; and how much it does."""
        ...

    def popular(self, category: str | None, limit: int) -> Candidates:
        """What sells best in a category (name or full path), or in the whole shop."""
        ...

    def trending(self, limit: int) -> Candidates:
        """What sells better than it used to."""
        ...

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        """What suits somebody with this history, none of `excluded`; scores may be of either sign.

        The kind is the purpose's, or `for_you` where nothing was learned for that purpose.
        """
        ...
