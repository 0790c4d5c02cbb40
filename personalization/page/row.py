"""A row while it fills up: takes candidates in their order, lets no product in twice, and keeps the soft rules.

Local to one call of `rank`, which is why it may change.
"""

from __future__ import annotations

import msgspec
import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import Candidates, ReasonKind
from personalization.customer.entries import newest_first
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
        self._bought = _bought_lately(asking)
        self._leaf = CATEGORY_SEPARATOR.join(asking.seed_path) if placement.same_category else ""
        size = len(shelf.item_group)
        self._asked_groups = {self._group_of(product_index) for product_index in asking.asked if product_index < size}
        self._asked_groups.discard(-1)
        capped = placement.category_max is not None or placement.brand_max is not None
        self._ruled = capped or bool(self._bought or self._leaf or self._asked_groups)

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""
        return len(self.picks) >= self.limit

    def add(self, offer: Offer) -> None:
        """Takes what the row lacks from an offer; what has been considered before is passed over."""
        candidates = offer.candidates
        products = candidates.products
        if not len(products):
            return
        mask = allowed(products, self._asking.shelf, self._asking.request.filter)
        outside = self._outside(candidates, mask)
        considered, refused, groups, group_of = self._considered, self.refused, self._groups, self._group_of
        for row in mask.nonzero()[0].tolist():
            product_index = products.item(row)
            if product_index in considered:
                if product_index in self._blocked:
                    refused[product_index] = "blocked"
            elif candidates.because.item(row) == product_index:
                refused[product_index] = "itself"
            elif (group := group_of(product_index)) in groups:
                refused[product_index] = "variant"
            elif not (row in outside and len(self._unwanted) >= self._held_max):
                considered.add(product_index)
                self._consider(_pick(offer, row, product_index), group, row in outside)
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
        if product_index in self._bought:
            return "purchased"
        if self._asking.placement.exclude_seeds and product_index in self._asking.started_from:
            return "seed"
        if outside:
            return "same_category"
        if group in self._asked_groups:
            return "variant_of_asked"
        placement, shelf = self._asking.placement, self._asking.shelf
        if self._over("category", shelf.category.item(product_index), placement.category_max):
            return "cap"
        return "cap" if self._over("brand", shelf.brand.item(product_index), placement.brand_max) else None

    def _over(self, column: str, code: int, limit: int | None) -> bool:
        return limit is not None and code >= 0 and self._counts.get((column, code), 0) >= limit

    def _outside(self, candidates: Candidates, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> set[int]:
        """The rows of an offer that are not in the seed's category, where the placement asks for it."""
        if not self._leaf:
            return set()
        rows = np.flatnonzero(mask)
        inside = self._asking.shelf.in_category(self._leaf, candidates.products[rows])
        return set(rows[~inside].tolist())


def _pick(offer: Offer, row: int, product_index: int) -> Pick:
    kind, _, scores, because, orders, lift = offer.candidates
    return Pick(
        product_index, kind, scores.item(row), because.item(row), orders.item(row), lift.item(row), offer.category
    )


def _bought_lately(asking: Asking) -> set[int]:
    days = asking.placement.exclude_purchased_days
    if days is None:
        return set()
    profile, find = asking.profile, asking.shelf.find
    since_ms = profile.newest_ms - days * DAY_S * 1_000
    bought = set()
    for product_id in newest_first(profile.purchased):
        if profile.purchased[product_id].at_ms < since_ms:
            break
        product_index = find(product_id)
        if product_index is not None:
            bought.add(product_index)
    return bought
