"""A row while it fills up: takes candidates in their order, lets no product in twice, and keeps the soft rules.

Local to one call of `rank`, which is why it may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import FloatVector, IntVector, ReasonKind
from personalization.page.filters import allowed
from personalization.page.shelf import CATEGORY_SEPARATOR, BoolVector
from personalization.page.strategies import Asking, Offer

PLACES_A_STAND_IN = 10  # of a row whose complements come first, for the strongest product of the asked one's own kind
COMMONPLACE_LIFT = 2.5  # what is in one order less often than that many times chance goes with everything


class Pick(msgspec.Struct, frozen=True, gc=False):
    """A product of a row, and what brought it there. `because` is a product_index or -1.

    `favour` is why the situation speaks for it, in words; empty where it does not much.
    """

    product_index: int
    kind: ReasonKind
    score: float
    because: int
    orders: int
    lift: float
    category: str | None
    favour: str = ""


class _Cap(NamedTuple):
    """How many of one kind a row may have: the kind of every product by its index, the most, how many there are."""

    codes: IntVector
    most: int
    taken: dict[int, int]


class _Behind(NamedTuple):
    """What is bought together with the asked, but is no complement of another kind; in the order it is taken."""

    repeated: list[Pick]
    commonplace: list[Pick]
    stand_ins: list[Pick]


class Row:
    """The picks so far, and the candidates that a soft rule holds back in case the row stays short.

    Three rules relax: that complements come first, at the end of their strategy; caps, at the end of the chain; what
    was bought, belongs elsewhere or is the same article under another spelling of its id, at the very end.
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
        self._capped: list[Pick] = []
        self._unwanted: list[Pick] = []
        self._held_groups: tuple[set[int], set[int]] = (set(), set())  # of what is unwanted, of what is capped
        self._held_max = 2 * limit  # a row's worth, and one for each group that the row may meanwhile have
        self._item_group, self._one_per_group = shelf.item_group, placement.one_per_group
        caps = ((shelf.category, placement.category_max), (shelf.brand, placement.brand_max))
        self._caps = [_Cap(codes, most, {}) for codes, most in caps if most is not None]
        days = placement.exclude_purchased_days
        self._purchased = {} if days is None else asking.profile.purchased
        self._bought_since_ms = asking.profile.newest_ms - days * DAY_S * 1_000 if days and self._purchased else 0
        self._leaf = CATEGORY_SEPARATOR.join(asking.seed_path) if placement.same_category else ""
        size = len(shelf.item_group)
        self._asked_groups = {self._group_of(product_index) for product_index in asking.asked if product_index < size}
        self._asked_groups.discard(-1)
        self._behind = _Behind([], [], []) if placement.complements_first and asking.asked else None
        self._spelled = {shelf.product_id(product_index).lower(): product_index for product_index in asking.asked}
        self._ruled = bool(self._caps or self._purchased or self._leaf or self._asked_groups)

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted, but what is kept for a stand-in."""
        return len(self.picks) >= self.limit - self._places_kept

    def add(self, offer: Offer) -> None:
        """Takes what the row lacks from an offer; what has been considered before is passed over.

        A row is full after a dozen of the many candidates, so each is looked at when it is its turn.
        """
        _, products, scores, because, orders, lift = offer.candidates
        if not len(products):
            return
        places, behind_of, is_outside = self._looked_at(offer)
        considered, refused, taken_groups, blocked = self._considered, self.refused, self._groups, self._blocked
        group_of = self._item_group.item if self._one_per_group else None
        id_of, spelled_ids, picks = self._asking.shelf.product_id, self._spelled, self.picks
        room = self.limit - self._places_kept
        for at, product_index in places:
            if product_index in considered:
                if product_index in blocked:
                    refused[product_index] = "blocked"
                continue
            cause = because.item(at)
            if cause == product_index:
                refused[product_index] = "itself"
                continue
            group = -1 if group_of is None else group_of(product_index)
            if group in taken_groups:
                refused[product_index] = "variant"
                continue
            outside = is_outside is not None and is_outside[at]
            if outside and len(self._unwanted) >= self._held_max:
                continue
            considered.add(product_index)
            common = orders.item(at)
            kind = offer.candidates.kind if common or offer.unproven is None else offer.unproven
            pick = Pick(product_index, kind, scores.item(at), cause, common, lift.item(at), offer.category)
            rule = self._rule_against(product_index, group, outside) if self._ruled else None
            spelled = id_of(product_index).lower()
            other = spelled_ids.get(spelled)
            if other is not None and self._is_spelled_otherwise(product_index, other):
                rule = "spelling"
            if rule is not None:
                refused[product_index] = rule
                self._hold(self._capped if rule == "cap" else self._unwanted, pick, group)
                continue
            behind = None if behind_of is None else behind_of[at]
            if behind is None:
                self._take(pick, group, spelled)
            elif len(behind) < self.limit:  # a row's worth is all that could be wanted
                refused[product_index] = "complements_first"
                behind.append(pick)
                room = self.limit - self._places_kept
            if len(picks) >= room:
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

    def take_behind(self) -> None:
        """Takes what came behind complements of other kinds, and a stand-in where one has its place."""
        if self._behind is None:
            return
        open_places = self.limit - self._places_kept
        for held in (self._behind.repeated, self._behind.commonplace):
            self._relax(held, open_places)
        self._relax(self._behind.stand_ins, self.limit)

    def relax_caps(self) -> None:
        """Takes what only a cap held back, in the order it came."""
        self._relax(self._capped, self.limit)
        self._held_groups[True].clear()

    def relax_all(self) -> None:
        """Takes whatever a rule held back."""
        self.relax_caps()
        self._relax(self._unwanted, self.limit)
        self._held_groups[False].clear()

    @property
    def _places_kept(self) -> int:
        """The places at the end of the row that stand-ins have: one of ten, where there is one that is held back."""
        if self._behind is None or not self._behind.stand_ins:
            return 0
        return min(len(self._behind.stand_ins), self.limit // PLACES_A_STAND_IN)

    def _looked_at(
        self, offer: Offer
    ) -> tuple[Iterable[tuple[int, int]], dict[int, list[Pick] | None] | None, BoolVector | None]:
        """The places and products of an offer that the hard filters let through.

        Returns also, by place, where what is bought together goes (None: into the row) and what is in another category
        than it should be; None where no rule asks.
        """
        products, asking = offer.candidates.products, self._asking
        in_rank_order = self._behind is not None and offer.candidates.kind == "bought_together"
        if asking.request.filter is None and not in_rank_order and not self._leaf:
            return self._on_shelf(products), None, None
        kept = np.flatnonzero(allowed(products, asking.shelf, asking.request.filter))
        places = kept.tolist()
        inside = products[kept]
        behind_of = self._places_behind(places, inside, offer.candidates.lift[kept]) if in_rank_order else None
        is_outside = None
        if self._leaf:
            is_outside = np.zeros(len(products), np.bool_)
            is_outside[kept] = ~asking.shelf.in_category(self._leaf, inside)
        return zip(places, inside.tolist(), strict=True), behind_of, is_outside

    def _on_shelf(self, products: IntVector) -> Iterator[tuple[int, int]]:
        """What `allowed` lets through where a request filters nothing, one after the other."""
        shelf = self._asking.shelf
        size, is_listed, is_sellable = len(shelf.listed), shelf.listed.item, shelf.sellable.item
        for place, product_index in enumerate(products.tolist()):
            if product_index < size and is_listed(product_index) and is_sellable(product_index):
                yield place, product_index

    def _places_behind(self, places: list[int], products: IntVector, lift: FloatVector) -> dict[int, list[Pick] | None]:
        """Where what is bought together goes, by place; None for the row itself."""
        behind, asking, blocked = self._behind, self._asking, self._blocked
        assert behind is not None
        free = np.array([each not in blocked for each in products.tolist()], np.bool_)
        marks = np.zeros(len(products), np.int32)  # what is blocked is passed over, and keeps nothing back
        marks[free] = asking.models.kinds(np.array(asking.asked, np.int32), products[free], self.limit)
        by_mark = (None, behind.repeated, behind.stand_ins)
        return {
            place: behind.commonplace if over_chance < COMMONPLACE_LIFT and mark < 2 else by_mark[mark]
            for place, mark, over_chance in zip(places, marks.tolist(), lift.tolist(), strict=True)
        }

    def _is_spelled_otherwise(self, product_index: int, other: int) -> bool:
        """Whether two products whose ids differ by case alone, if at all, are one article under two ids."""
        shelf = self._asking.shelf
        title = shelf.label(product_index).title
        return other != product_index and title is not None and title == shelf.label(other).title

    def _relax(self, held: list[Pick], limit: int) -> None:
        for pick in held:
            if len(self.picks) >= limit:
                break
            group = self._group_of(pick.product_index)
            if group in self._groups:
                self.refused[pick.product_index] = "variant"
                continue
            self._take(pick, group, self._asking.shelf.product_id(pick.product_index).lower())
        held.clear()

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

    def _take(self, pick: Pick, group: int, spelled: str) -> None:
        self.picks.append(pick)
        self._spelled.setdefault(spelled, pick.product_index)
        if group >= 0:
            self._groups.add(group)
        for cap in self._caps:
            code = cap.codes.item(pick.product_index)
            cap.taken[code] = cap.taken.get(code, 0) + 1

    def _rule_against(self, product_index: int, group: int, outside: bool) -> str | None:
        """The soft rule that speaks against a product, if one does."""
        asking = self._asking
        if self._purchased:
            purchase = self._purchased.get(asking.shelf.product_id(product_index))
            if purchase is not None and purchase.at_ms >= self._bought_since_ms:
                return "purchased"
        if product_index in asking.started_from and asking.placement.exclude_seeds:
            return "seed"
        if outside:
            return "same_category"
        if group in self._asked_groups:
            return "variant_of_asked"
        for cap in self._caps:
            code = cap.codes.item(product_index)
            if code >= 0 and cap.taken.get(code, 0) >= cap.most:
                return "cap"
        return None
