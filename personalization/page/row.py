"""A row while it fills up: takes candidates in their order, lets no product in twice, and keeps the soft rules.

Local to one call of `rank`, which is why it may change.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import Candidates, ReasonKind
from personalization.page.filters import allowed
from personalization.page.shelf import CATEGORY_SEPARATOR
from personalization.page.strategies import Asking, Offer


class Pick(NamedTuple):
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
        self._brands: Counter[int] = Counter()
        self._categories: Counter[int] = Counter()
        self._capped: list[Pick] = []
        self._unwanted: list[Pick] = []
        self._held_groups: tuple[set[int], set[int]] = (set(), set())  # of what is unwanted, of what is capped
        self._held_max = 2 * limit  # a row's worth, and one for each group that the row may meanwhile have
        self._bought = _bought_lately(asking)
        self._leaf = CATEGORY_SEPARATOR.join(asking.seed_path) if placement.same_category else ""
        self._asked_groups = {int(shelf.item_group[index]) for index in asking.asked if index < len(shelf.item_group)}
        self._asked_groups.discard(-1)

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
        rows = products.tolist()
        for row in np.flatnonzero(mask).tolist():
            product_index = rows[row]
            if product_index in self._considered:
                if product_index in self._blocked:
                    self.refused[product_index] = "blocked"
                continue
            if row in outside and len(self._unwanted) >= self._held_max:
                continue
            self._consider(product_index, row, offer, row in outside)
            if self.full:
                return

    def pin(self, product_index: int) -> Pick | None:
        """The pick of a pinned product, unless a hard filter refuses it; rules do not concern it."""
        products = np.array([product_index], np.int32)
        asking = self._asking
        if product_index in self._considered or not allowed(products, asking.shelf, asking.request.filter)[0]:
            return None
        group = int(asking.shelf.item_group[product_index])
        if asking.placement.one_per_group and group >= 0 and group in self._groups:
            return None
        self._considered.add(product_index)
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
            group = int(self._asking.shelf.item_group[pick.product_index])
            if self._asking.placement.one_per_group and group >= 0 and group in self._groups:
                self.refused[pick.product_index] = "variant"
                continue
            self._take(pick, group)
        held.clear()
        self._held_groups[held is self._capped].clear()

    def _consider(self, product_index: int, row: int, offer: Offer, outside: bool) -> None:
        candidates, shelf = offer.candidates, self._asking.shelf
        because = int(candidates.because[row])
        if because == product_index:
            self.refused[product_index] = "itself"
            return
        group = int(shelf.item_group[product_index])
        if self._asking.placement.one_per_group and group >= 0 and group in self._groups:
            self.refused[product_index] = "variant"
            return
        self._considered.add(product_index)
        pick = Pick(
            product_index,
            candidates.kind,
            float(candidates.scores[row]),
            because,
            int(candidates.orders[row]),
            float(candidates.lift[row]),
            offer.category,
        )
        unwanted = self._unwanted_for(product_index, group, outside)
        if unwanted is not None:
            self.refused[product_index] = unwanted
            self._hold(self._unwanted, pick, group)
        elif self._over_cap(product_index):
            self.refused[product_index] = "cap"
            self._hold(self._capped, pick, group)
        else:
            self._take(pick, group)

    def _hold(self, held: list[Pick], pick: Pick, group: int) -> None:
        """Keeps a pick in case the row stays short: as many as it could then need, of each group of variants one."""
        groups = self._held_groups[held is self._capped]
        if len(held) < self._held_max and (group < 0 or group not in groups):
            held.append(pick)
            if self._asking.placement.one_per_group:
                groups.add(group)

    def _take(self, pick: Pick, group: int) -> None:
        placement, shelf = self._asking.placement, self._asking.shelf
        self.picks.append(pick)
        self._groups.add(group)
        if placement.brand_max is not None:
            self._brands[int(shelf.brand[pick.product_index])] += 1
        if placement.category_max is not None:
            self._categories[int(shelf.category[pick.product_index])] += 1

    def _unwanted_for(self, product_index: int, group: int, outside: bool) -> str | None:
        if product_index in self._bought:
            return "purchased"
        if outside:
            return "same_category"
        if group in self._asked_groups and self._asking.placement.one_per_group:
            return "variant_of_asked"
        return None

    def _over_cap(self, product_index: int) -> bool:
        placement, shelf = self._asking.placement, self._asking.shelf
        if placement.category_max is not None:
            category = int(shelf.category[product_index])
            if category >= 0 and self._categories[category] >= placement.category_max:
                return True
        if placement.brand_max is not None:
            brand = int(shelf.brand[product_index])
            return brand >= 0 and self._brands[brand] >= placement.brand_max
        return False

    def _outside(self, candidates: Candidates, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> set[int]:
        """The rows of an offer that are not in the seed's category, where the placement asks for it."""
        if not self._leaf:
            return set()
        rows = np.flatnonzero(mask)
        inside = self._asking.shelf.in_category(self._leaf, candidates.products[rows])
        return set(rows[~inside].tolist())


def _bought_lately(asking: Asking) -> set[int]:
    days = asking.placement.exclude_purchased_days
    if days is None:
        return set()
    profile, find = asking.profile, asking.shelf.find
    since_ms = profile.newest_ms - days * DAY_S * 1_000
    bought = set()
    for product_id in reversed(list(profile.purchased)):
        if profile.purchased[product_id].at_ms < since_ms:
            break
        product_index = find(product_id)
        if product_index is not None:
            bought.add(product_index)
    return bought
