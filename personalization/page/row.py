"""A row while it fills up: takes candidates in their order, lets no product in twice, and keeps the soft rules.

Local to one call of `rank`, which is why it may change.
"""

from __future__ import annotations

from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import IntVector, ReasonKind
from personalization.page.filters import allowed
from personalization.page.shelf import CATEGORY_SEPARATOR
from personalization.page.strategies import Asking, Offer


class Pick(msgspec.Struct, frozen=True, gc=False):
    """A product of a row, and what brought it there. `because` is a product_index or -1."""

    product_index: int
    kind: ReasonKind
    score: float
    because: int
    orders: int
    lift: float
    category: str | None


class Row:
    """The picks so far, and the candidates that a soft rule holds back in case the row stays short.

    Two rules relax: caps, at the end of the chain; what was bought or belongs elsewhere, at the very end.
    """

    def __init__(self, asking: Asking, limit: int, blocked: set[int]) -> None:
        placement, shelf = asking.placement, asking.shelf
        self.limit = limit
        self.picks: list[Pick] = []
        self.refused: dict[int, str] = {}
        self._asking = asking
        self._considered = set(blocked)
        self._blocked = blocked
        self._groups: set[int] = set()
        self._counts: dict[tuple[str, int], int] = {}
        self._item_group, self._one_per_group = shelf.item_group, placement.one_per_group
        self._capped: list[Pick] = []
        self._unwanted: list[Pick] = []
        self._held_groups: tuple[set[int], set[int]] = (set(), set())  # of what is unwanted, of what is capped
        self._held_max = 2 * limit  # a row's worth, and one for each group that the row may meanwhile have
        days = placement.exclude_purchased_days
        self._purchased = {} if days is None else asking.profile.purchased
        self._bought_since_ms = asking.profile.newest_ms - days * DAY_S * 1_000 if days and self._purchased else 0
        self._leaf = CATEGORY_SEPARATOR.join(asking.seed_path) if placement.same_category else ""
        size = len(shelf.item_group)
        self._asked_groups = {self._group_of(product_index) for product_index in asking.asked if product_index < size}
        self._asked_groups.discard(-1)
        capped = placement.category_max is not None or placement.brand_max is not None
        self._ruled = capped or bool(self._purchased or self._leaf or self._asked_groups)

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""
        return len(self.picks) >= self.limit

    def add(self, offer: Offer) -> None:
        """Takes what the row lacks from an offer; what has been considered before is passed over."""
        candidates = offer.candidates
        if not len(candidates.products):
            return
        rows = allowed(candidates.products, self._asking.shelf, self._asking.request.filter).nonzero()[0]
        products = candidates.products[rows]
        outside = self._outside(rows, products)
        groups = self._item_group[products].tolist() if self._one_per_group else repeat(-1)
        because = candidates.because[rows].tolist()
        considered, refused, taken_groups = self._considered, self.refused, self._groups
        for row, product_index, group, cause in zip(rows.tolist(), products.tolist(), groups, because, strict=False):
            if product_index in considered:
                if product_index in self._blocked:
                    refused[product_index] = "blocked"
            elif cause == product_index:
                refused[product_index] = "itself"
            elif group in taken_groups:
                refused[product_index] = "variant"
            elif not (row in outside and len(self._unwanted) >= self._held_max):
                considered.add(product_index)
                self._consider(_pick(offer, row, product_index, cause), group, row in outside)
                if len(self.picks) >= self.limit:
                    return

    def pin(self, product_index: int) -> Pick | None:
        """The pick of a pinned product, unless a hard filter refuses it; rules do not concern it."""
        products = np.array([product_index], np.int32)
        asking = self._asking
        if product_index in self._considered or not allowed(products, asking.shelf, asking.request.filter)[0]:
            return None
        group = self._group_of(product_index)
        if group in self._groups:
            return None
        self._considered.add(product_index)
        if group >= 0:
            self._groups.add(group)
        return Pick(product_index, "pinned", 0.0, -1, 0, 0.0, None)

    def relax_caps(self) -> None:
        """Takes what only a cap held back, in the order it came."""
        self._relax(self._capped)

    def relax_all(self) -> None:
        """Takes whatever a rule held back."""
        self._relax(self._capped)
        self._relax(self._unwanted)

    def _relax(self, held: list[Pick]) -> None:
        for pick in held:
            if self.full:
                break
            group = self._group_of(pick.product_index)
            if group in self._groups:
                self.refused[pick.product_index] = "variant"
                continue
            self._take(pick, group)
        held.clear()
        self._held_groups[held is self._capped].clear()

    def _consider(self, pick: Pick, group: int, outside: bool) -> None:
        rule = self._rule_against(pick.product_index, group, outside) if self._ruled else None
        if rule is None:
            self._take(pick, group)
        else:
            self.refused[pick.product_index] = rule
            self._hold(self._capped if rule == "cap" else self._unwanted, pick, group)

    def _group_of(self, product_index: int) -> int:
        """The group of variants that may be in the row once; -1 where it does not matter."""
        return self._item_group.item(product_index) if self._one_per_group else -1

    def _hold(self, held: list[Pick], pick: Pick, group: int) -> None:
        """Keeps a pick in case the row stays short: as many as it could then need, of each group of variants one."""
        groups = self._held_groups[held is self._capped]
        if len(held) < self._held_max and group not in groups:
            held.append(pick)
            if group >= 0:
                groups.add(group)

    def _take(self, pick: Pick, group: int) -> None:
        self.picks.append(pick)
        if group >= 0:
            self._groups.add(group)
        if not self._ruled:
            return
        placement, shelf = self._asking.placement, self._asking.shelf
        if placement.brand_max is not None:
            self._count("brand", shelf.brand.item(pick.product_index))
        if placement.category_max is not None:
            self._count("category", shelf.category.item(pick.product_index))

    def _count(self, column: str, code: int) -> None:
        self._counts[column, code] = self._counts.get((column, code), 0) + 1

    def _rule_against(self, product_index: int, group: int, outside: bool) -> str | None:
        """The soft rule that speaks against a product, if one does."""
        if self._purchased and self._bought_lately(product_index):
            return "purchased"
        if self._asking.placement.exclude_seeds and product_index in self._asking.started_from:
            return "seed"
        if outside:
            return "same_category"
        if group in self._asked_groups:
            return "variant_of_asked"
        placement, shelf = self._asking.placement, self._asking.shelf
        for column, codes, limit in (
            ("category", shelf.category, placement.category_max),
            ("brand", shelf.brand, placement.brand_max),
        ):
            if limit is not None:
                code = codes.item(product_index)
                if code >= 0 and self._counts.get((column, code), 0) >= limit:
                    return "cap"
        return None

    def _outside(self, rows: NDArray[np.intp], products: IntVector) -> set[int]:
        """The rows of an offer whose products are not in the seed's category, where the placement asks for it."""
        if not self._leaf:
            return set()
        return set(rows[~self._asking.shelf.in_category(self._leaf, products)].tolist())

    def _bought_lately(self, product_index: int) -> bool:
        purchase = self._purchased.get(self._asking.shelf.product_id(product_index))
        return purchase is not None and purchase.at_ms >= self._bought_since_ms


def _pick(offer: Offer, row: int, product_index: int, because: int) -> Pick:
    kind, _, scores, _, orders, lift = offer.candidates
    return Pick(product_index, kind, scores.item(row), because, orders.item(row), lift.item(row), offer.category)
