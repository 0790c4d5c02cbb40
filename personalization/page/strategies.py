"""The strategies by name: where candidates come from, given who asks and what for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import NOTHING, Candidates, History, Purpose, ReasonKind, Seeds
from ingest.vocabulary.situations import Parts
from personalization.customer.entries import newest_first
from personalization.customer.profile import EMPTY, Profile
from personalization.page.histories import (
    NO_HISTORY,
    basket_of,
    cart_history,
    followed_by,
    history_of,
    last_order_history,
    looked_at,
    orders_of,
    visit_of,
)
from personalization.page.placements import Placement, SeedSource
from personalization.page.request import RowRequest
from personalization.page.shelf import CATEGORY_SEPARATOR, Models, Shelf

seeds_max = 20  # models look up every seed; what comes later weighs next to nothing

_DAY_MS = DAY_S * 1_000
seed_half_life_ms = 30 * _DAY_MS  # interest of last month counts half
buy_again_half_life_ms = 90 * _DAY_MS  # a season
due_max = 150  # as many candidates as a ranker puts in order
purchase_weight = 50  # an order, in the tenths of a view that recents weigh
seed_rank_decay = 0.9  # the tenth product back weighs 0.39
counted_max = 500  # as many as the models give; the pairs a ranker puts on top are among the strongest
_LOG_ODDS_MIN = -50.0  # odds stay above nothing
_WEIGHT_MIN = 1e-9  # weights stay above nothing however old they are


class Offer(NamedTuple):
    """Candidates of one strategy.

    Attributes:
        category: the one they were looked for in, if any.
        unproven: the reason of candidates that have no orders in common with what brought them up, where the
            candidates' own reason claims some.
    """

    candidates: Candidates
    category: str | None = None
    unproven: ReasonKind | None = None


class Asking:
    """Who asks for which row, and where the answer may come from. What is started from is worked out once."""

    def __init__(
        self,
        request: RowRequest,
        placement: Placement,
        profile: Profile | None,
        shelf: Shelf,
        models: Models,
        situation: Parts = (),
    ) -> None:
        self.situation = situation
        self.request, self.placement, self.shelf, self.models = request, placement, shelf, models
        self.profile = profile if profile is not None and profile.personalized else EMPTY
        self.started_from: frozenset[int] = frozenset()

    @cached_property
    def asked(self) -> tuple[int, ...]:
        """The product_index of the products asked about."""
        return tuple(_found(self.request.product_ids, self.shelf))

    @cached_property
    def seeds(self) -> Seeds:
        """The products to start from: of the first source of the placement that has any."""
        for source in self.placement.seeds:
            seeds = _SEEDS[source](self)
            if len(seeds.products):
                return seeds
        return NO_SEEDS

    @cached_property
    def history(self) -> History:
        """The same with times and kinds, oldest first, for what was learned from histories."""
        for source in self.placement.seeds:
            history = _HISTORIES[source](self)
            if len(history.products):
                return history
        return NO_HISTORY

    @cached_property
    def visit(self) -> History:
        """What was done in the visit that is under way, then the products asked about."""
        newest_ms = self.profile.newest_ms
        visit = visit_of(history_of(self.profile, self.shelf.find), newest_ms)
        return followed_by(visit, looked_at(np.array(self.asked[::-1], np.int32), newest_ms))

    @cached_property
    def seed_path(self) -> tuple[str, ...]:
        """The category path of the first product asked about or started from that has one."""
        for product_index in self.asked or self.seeds.products.tolist():
            product = self.shelf.product(product_index)
            if product is not None and product.category:
                return product.category
        return ()

    def fallback_categories(self) -> Iterator[str | None]:
        """Where popularity may fill the row: the category asked for, the asked product's, its parents', the shop."""
        path = self.seed_path if self.asked else ()
        inner = [CATEGORY_SEPARATOR.join(path[:depth]) for depth in range(len(path), 0, -1)]
        wanted = [self.request.category, *inner] if self.request.category else inner
        yield from dict.fromkeys(wanted)
        yield None


NO_SEEDS = Seeds(NOTHING, np.empty(0))
NO_CANDIDATES = Candidates("popular", NOTHING, np.empty(0), NOTHING, np.empty(0, np.int64), np.empty(0))

Strategy = Callable[[Asking, int], Offer]


def bought_together(asking: Asking, limit: int) -> Offer:
    """What is bought in one order with the seeds."""
    return _from_seeds(asking.models.bought_together, asking, limit)


def similar(asking: Asking, limit: int) -> Offer:
    """What may stand in for the seeds."""
    return _from_seeds(asking.models.similar, asking, limit)


def other_styles(asking: Asking, limit: int) -> Offer:
    """The seeds in other styles."""
    return _from_seeds(asking.models.other_styles, asking, limit)


def for_you(asking: Asking, limit: int) -> Offer:
    """What suits the history of whoever asks."""
    return Offer(_learned("for_you", asking.history, asking, limit))


def next_item(asking: Asking, limit: int) -> Offer:
    """What is looked at next in a visit like this one."""
    return Offer(_learned("next_item", asking.visit, asking, limit))


def basket(asking: Asking, limit: int) -> Offer:
    """What completes a basket of the seeds; nothing where that could not be learned: exact counts are better then.

    The counts behind the reasons are those of `bought_together`. What it does not list has too few orders in common
    with any seed to say so, and is there because it suits.
    """
    seeds = asking.seeds
    found = _learned("basket", basket_of(seeds.products[::-1]), asking, limit)
    if found.kind != "bought_together" or not len(found.products):
        return Offer(NO_CANDIDATES)
    counted = asking.models.bought_together(seeds, counted_max)
    order = np.argsort(counted.products)
    at = np.searchsorted(counted.products[order], found.products)
    row = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(at), np.int64)
    proven = np.zeros(len(at), np.bool_) if not len(order) else counted.products[row] == found.products
    because, orders, lift = found.because.copy(), np.zeros(len(at), np.int64), np.zeros(len(at))
    because[proven] = counted.because[row[proven]]
    orders[proven], lift[proven] = counted.orders[row[proven]], counted.lift[row[proven]]
    return Offer(found._replace(because=because, orders=orders, lift=lift), unproven="for_you")


def popular(asking: Asking, limit: int) -> Offer:
    """What sells best, in the category asked for if there is one."""
    category = asking.request.category or None
    return Offer(asking.models.popular(category, limit), category)


def trending(asking: Asking, limit: int) -> Offer:
    """What sells better than it used to."""
    return Offer(asking.models.trending(limit))


def fallback_popular(asking: Asking, limit: int, category: str | None = None) -> Offer:
    """What sells best, where nothing better is known."""
    return Offer(asking.models.popular(category, limit)._replace(kind="fallback_popular"), category)


def recently_viewed(asking: Asking, limit: int) -> Offer:
    """What the customer looked at, newest first; not what was merely ordered, which is for `buy_again`."""
    recents, purchased = asking.profile.recents, asking.profile.purchased
    looked_at = (
        product_id
        for product_id in newest_first(recents)
        if product_id not in purchased or purchased[product_id].at_ms < recents[product_id].at_ms
    )
    products = _found(islice(looked_at, limit), asking.shelf)
    return _of_profile("recently_viewed", products, [1.0 / rank for rank in range(1, len(products) + 1)], None)


def buy_again(asking: Asking, limit: int) -> Offer:
    """What the customer buys: first what their next order is likely to hold, then what is in many orders and lately."""
    profile, shelf = asking.profile, asking.shelf
    purchased = profile.purchased
    counts = np.array([purchase.count for purchase in purchased.values()], np.int64)
    ages_ms = profile.newest_ms - np.array([purchase.at_ms for purchase in purchased.values()], np.int64)
    scores = counts * np.exp2(-ages_ms / buy_again_half_life_ms)
    bought = list(purchased)
    order = sorted(range(len(bought)), key=lambda row: (-scores[row], bought[row]))
    rows = {found: row for row in order if (found := shelf.find(bought[row])) is not None}
    due = [product for product in _due(asking) if product in rows]
    products = list(dict.fromkeys((*due, *rows)))[:limit]
    kept = [rows[product] for product in products]
    values = [1.0 / rank for rank in range(1, len(products) + 1)] if due else scores[kept].tolist()
    return _of_profile("buy_again", products, values, counts[kept].tolist())


def _due(asking: Asking) -> list[int]:
    """What the next order is likely to hold, likeliest first; nothing where that could not be learned."""
    if not asking.profile.purchased:
        return []
    found = asking.models.ranked("next_basket", orders_of(asking.profile, asking.shelf.find), due_max, NOTHING)
    return found.products.tolist() if found.kind == "buy_again" else []


BY_NAME: Mapping[str, Strategy] = MappingProxyType(
    {
        "bought_together": bought_together,
        "similar": similar,
        "other_styles": other_styles,
        "for_you": for_you,
        "next_item": next_item,
        "basket": basket,
        "popular": popular,
        "trending": trending,
        "recently_viewed": recently_viewed,
        "buy_again": buy_again,
        "fallback_popular": fallback_popular,
    }
)


def _from_seeds(model: Callable[[Seeds, int], Candidates], asking: Asking, limit: int) -> Offer:
    if not len(asking.seeds.products):
        return Offer(NO_CANDIDATES)
    asking.started_from = frozenset(asking.seeds.products.tolist())
    return Offer(model(asking.seeds, limit))


def _learned(purpose: Purpose, history: History, asking: Asking, limit: int) -> Candidates:
    """What a ranker makes of a history; scores become odds against the best, which are above 0."""
    if not len(history.products):
        return NO_CANDIDATES
    started_from = list(dict.fromkeys(history.products[::-1].tolist()))[:seeds_max]
    asking.started_from = frozenset(started_from)
    excluded = np.array(started_from if asking.placement.exclude_seeds else [], np.int32)
    found = asking.models.ranked(purpose, history, limit, excluded)
    if not len(found.products):
        return found
    return found._replace(scores=np.exp(np.maximum(found.scores - found.scores[0], _LOG_ODDS_MIN)))


def _of_profile(kind: ReasonKind, products: list[int], scores: list[float], counts: list[int] | None) -> Offer:
    size = len(products)
    orders = np.zeros(size, np.int64) if counts is None else np.array(counts, np.int64)
    because = np.full(size, -1, np.int32)
    return Offer(Candidates(kind, np.array(products, np.int32), np.array(scores), because, orders, np.zeros(size)))


def _asked_seeds(asking: Asking) -> Seeds:
    return _ranked_seeds(asking.asked)


def _cart_seeds(asking: Asking) -> Seeds:
    cart = asking.profile.cart
    return _ranked_seeds(_found(islice(newest_first(cart), seeds_max), asking.shelf))


def _last_order_seeds(asking: Asking) -> Seeds:
    order = asking.profile.last_order
    if order is None:
        return NO_SEEDS
    paid = sorted(order.lines, key=lambda product_id: (-order.lines[product_id].amount_e4, product_id))
    return _ranked_seeds(_found(paid[:seeds_max], asking.shelf))


def _history_seeds(asking: Asking) -> Seeds:
    """Recents, then what was bought before them; weight falls with rank, age and lack of interest."""
    profile, find = asking.profile, asking.shelf.find
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


_SEEDS: Mapping[SeedSource, Callable[[Asking], Seeds]] = MappingProxyType(
    {"asked": _asked_seeds, "cart": _cart_seeds, "last_order": _last_order_seeds, "history": _history_seeds}
)


_HISTORIES: Mapping[SeedSource, Callable[[Asking], History]] = MappingProxyType(
    {
        "asked": lambda asking: looked_at(np.array(asking.asked[::-1], np.int32), asking.profile.newest_ms),
        "cart": lambda asking: cart_history(asking.profile, asking.shelf.find),
        "last_order": lambda asking: last_order_history(asking.profile, asking.shelf.find),
        "history": lambda asking: history_of(asking.profile, asking.shelf.find),
    }
)


def _ranked_seeds(products: tuple[int, ...] | list[int]) -> Seeds:
    if not products:
        return NO_SEEDS
    weights = seed_rank_decay ** np.arange(len(products))
    return Seeds(np.array(products, np.int32), np.maximum(weights, _WEIGHT_MIN))


def _found(product_ids: Iterator[ProductId] | tuple[ProductId, ...] | list[ProductId], shelf: Shelf) -> list[int]:
    """The rows of the products that were ever heard of, each once."""
    rows = (shelf.find(product_id) for product_id in product_ids)
    return list(dict.fromkeys(row for row in rows if row is not None))
