"""Who asks for the rows of a page, and what for; what follows from that is worked out once for all of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import NOTHING, Candidates, History, Seeds
from ingest.vocabulary.situations import Parts
from personalization.customer.entries import newest_first
from personalization.customer.profile import EMPTY, Profile
from personalization.page.histories import (
    cart_history,
    followed_by,
    history_of,
    last_order_history,
    looked_at,
    visit_of,
)
from personalization.page.placements import SeedSource
from personalization.page.request import RowRequest
from personalization.page.shelf import Models, Shelf

seeds_max = 20  # models look up every seed; what comes later weighs next to nothing

_DAY_MS = DAY_S * 1_000
seed_half_life_ms = 30 * _DAY_MS  # interest of last month counts half
purchase_weight = 50  # an order, in the tenths of a view that recents weigh
seed_rank_decay = 0.9  # the tenth product back weighs 0.39
_WEIGHT_MIN = 1e-9  # weights stay above nothing however old they are

NO_SEEDS = Seeds(NOTHING, np.empty(0))


class Asker:
    """Who asks, what for, and where the answer may come from. Local to one answer: what is remembered is never stale.

    Attributes:
        profile: what may be used of what is known of them.
        situation: the parts of it that make a difference to what is wanted.
        offers: what strategies offered, by everything that it depends on.
    """

    def __init__(
        self, request: RowRequest, profile: Profile | None, shelf: Shelf, models: Models, situation: Parts = ()
    ) -> None:
        self.request, self.shelf, self.models, self.situation = request, shelf, models, situation
        self.profile = profile if profile is not None and profile.personalized else EMPTY
        self.offers: dict[Any, Any] = {}
        self._seeds: dict[SeedSource, Seeds] = {}
        self._histories: dict[SeedSource, History] = {}
        self._popular: dict[tuple[str | None, int], Candidates] = {}

    @cached_property
    def asked(self) -> tuple[int, ...]:
        """The product_index of the products asked about."""
        product_ids = self.request.product_ids
        return tuple(found(product_ids, self.shelf)) if product_ids else ()

    @cached_property
    def unwanted(self) -> frozenset[int]:
        """What may be in no row: asked about, or excluded by the request."""
        return frozenset((*self.asked, *found(self.request.exclude, self.shelf)))

    @cached_property
    def in_cart(self) -> frozenset[int]:
        """What lies in the cart."""
        return frozenset(found(self.profile.cart, self.shelf))

    @cached_property
    def visit(self) -> History:
        """What was done in the visit that is under way, then the products asked about."""
        newest_ms = self.profile.newest_ms
        visit = visit_of(self.history("history"), newest_ms)
        return followed_by(visit, looked_at(np.array(self.asked[::-1], np.int32), newest_ms))

    def seeds(self, source: SeedSource) -> Seeds:
        """The products to start from, of one source."""
        seeds = self._seeds.get(source)
        if seeds is None:
            seeds = self._seeds[source] = _SEEDS[source](self)
        return seeds

    def history(self, source: SeedSource) -> History:
        """The same with times and kinds, oldest first, for what was learned from histories."""
        history = self._histories.get(source)
        if history is None:
            history = self._histories[source] = _HISTORIES[source](self)
        return history

    def popular(self, category: str | None, limit: int) -> Candidates:
        """What sells best in a category, or in the whole shop."""
        popular = self._popular.get((category, limit))
        if popular is None:
            popular = self._popular[category, limit] = self.models.popular(category, limit)
        return popular


def found(product_ids: Iterable[ProductId], shelf: Shelf) -> list[int]:
    """The product_index of the products that were ever heard of, each once."""
    find = shelf.find
    return list(dict.fromkeys([row for each in product_ids if (row := find(each)) is not None]))


def _cart_seeds(asker: Asker) -> Seeds:
    return _ranked_seeds(found(islice(newest_first(asker.profile.cart), seeds_max), asker.shelf))


def _last_order_seeds(asker: Asker) -> Seeds:
    order = asker.profile.last_order
    if order is None:
        return NO_SEEDS
    paid = sorted(order.lines, key=lambda product_id: (-order.lines[product_id].amount_e4, product_id))
    return _ranked_seeds(found(paid[:seeds_max], asker.shelf))


def _history_seeds(asker: Asker) -> Seeds:
    """Recents, then what was bought before them; weight falls with rank, age and lack of interest."""
    profile, find = asker.profile, asker.shelf.find
    newest_ms = profile.newest_ms
    weighed: list[tuple[float, ProductId, int]] = []
    decay = 1.0
    recents, purchased = profile.recents, profile.purchased
    for product_id in islice(newest_first(recents), seeds_max):
        product_index = find(product_id)
        if product_index is not None:
            recent = recents[product_id]
            age = 0.5 ** ((newest_ms - recent.at_ms) / seed_half_life_ms)
            weighed.append((-recent.weight * decay * age, product_id, product_index))
            decay *= seed_rank_decay
    for product_id in islice(newest_first(purchased), seeds_max - len(weighed)):
        product_index = find(product_id)
        if product_index is not None and product_id not in recents:
            purchase = purchased[product_id]
            age = 0.5 ** ((newest_ms - purchase.at_ms) / seed_half_life_ms)
            weighed.append((-purchase.count * purchase_weight * decay * age, product_id, product_index))
            decay *= seed_rank_decay
    if not weighed:
        return NO_SEEDS
    weighed.sort()
    heaviest = weighed[0][0] or -1.0
    weights, _, products = zip(*weighed, strict=True)
    return Seeds(np.array(products, np.int32), np.maximum(np.array(weights) / heaviest, _WEIGHT_MIN))


def _ranked_seeds(products: tuple[int, ...] | list[int]) -> Seeds:
    if not products:
        return NO_SEEDS
    weights = seed_rank_decay ** np.arange(len(products))
    return Seeds(np.array(products, np.int32), np.maximum(weights, _WEIGHT_MIN))


_SEEDS: Mapping[SeedSource, Callable[[Asker], Seeds]] = MappingProxyType(
    {
        "asked": lambda asker: _ranked_seeds(asker.asked),
        "cart": _cart_seeds,
        "last_order": _last_order_seeds,
        "history": _history_seeds,
    }
)

_HISTORIES: Mapping[SeedSource, Callable[[Asker], History]] = MappingProxyType(
    {
        "asked": lambda asker: looked_at(np.array(asker.asked[::-1], np.int32), asker.profile.newest_ms),
        "cart": lambda asker: cart_history(asker.profile, asker.shelf.find),
        "last_order": lambda asker: last_order_history(asker.profile, asker.shelf.find),
        "history": lambda asker: history_of(asker.profile, asker.shelf.find),
    }
)
