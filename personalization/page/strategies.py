"""The strategies by name: where candidates come from, given who asks and what for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import NOTHING, Candidates, History, Purpose, ReasonKind, Seeds
from personalization.customer.entries import newest_first
from personalization.page.asker import NO_SEEDS, Asker, found, seeds_max
from personalization.page.histories import NO_HISTORY, basket_of, orders_of
from personalization.page.placements import Placement
from personalization.page.shelf import CATEGORY_SEPARATOR

buy_again_half_life_ms = 90 * DAY_S * 1_000  # a season
due_max = 150  # as many candidates as a ranker puts in order
counted_max = 500  # as many as the models give; the pairs a ranker puts on top are among the strongest
_LOG_ODDS_MIN = -50.0  # odds stay above nothing


class Offer(NamedTuple):
    """Candidates of one strategy.

    Attributes:
        category: the one they were looked for in, if any.
        unproven: the reason of candidates that have no orders in common with what brought them up, where the
            candidates' own reason claims some.
        started_from: the products it started from; None where the strategy starts from none.
    """

    candidates: Candidates
    category: str | None = None
    unproven: ReasonKind | None = None
    started_from: frozenset[int] | None = None


class Asking:
    """What somebody asks of one row."""

    def __init__(self, asker: Asker, placement: Placement) -> None:
        self.asker, self.placement = asker, placement
        self.request, self.shelf, self.models = asker.request, asker.shelf, asker.models
        self.profile, self.situation, self.asked = asker.profile, asker.situation, asker.asked
        self.started_from: frozenset[int] = frozenset()

    @property
    def seeds(self) -> Seeds:
        """The products to start from: of the first source of the placement that has any."""
        for source in self.placement.seeds:
            seeds = self.asker.seeds(source)
            if len(seeds.products):
                return seeds
        return NO_SEEDS

    @property
    def history(self) -> History:
        """The same with times and kinds, oldest first, for what was learned from histories."""
        for source in self.placement.seeds:
            history = self.asker.history(source)
            if len(history.products):
                return history
        return NO_HISTORY

    @property
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
    return _learned("for_you", asking.history, asking, limit)


def next_item(asking: Asking, limit: int) -> Offer:
    """What is looked at next in a visit like this one."""
    return _learned("next_item", asking.asker.visit, asking, limit)


def basket(asking: Asking, limit: int) -> Offer:
    """What completes a basket of the seeds; nothing where that could not be learned: exact counts are better then.

    The counts behind the reasons are those of `bought_together`. What it does not list has too few orders in common
    with any seed to say so, and is there because it suits.
    """
    seeds = asking.seeds
    offer = _learned("basket", basket_of(seeds.products[::-1]), asking, limit)
    suiting = offer.candidates
    if suiting.kind != "bought_together" or not len(suiting.products):
        return offer._replace(candidates=NO_CANDIDATES)
    counted = asking.models.bought_together(seeds, counted_max)
    order = np.argsort(counted.products)
    at = np.searchsorted(counted.products[order], suiting.products)
    row = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(at), np.int64)
    proven = np.zeros(len(at), np.bool_) if not len(order) else counted.products[row] == suiting.products
    because, orders, lift = suiting.because.copy(), np.zeros(len(at), np.int64), np.zeros(len(at))
    because[proven] = counted.because[row[proven]]
    orders[proven], lift[proven] = counted.orders[row[proven]], counted.lift[row[proven]]
    completed = suiting._replace(because=because, orders=orders, lift=lift)
    return offer._replace(candidates=completed, unproven="for_you")


def popular(asking: Asking, limit: int) -> Offer:
    """What sells best, in the category asked for if there is one."""
    category = asking.request.category or None
    return Offer(asking.asker.popular(category, limit), category)


def trending(asking: Asking, limit: int) -> Offer:
    """What sells better than it used to."""
    return Offer(asking.models.trending(limit))


def fallback_popular(asking: Asking, limit: int, category: str | None = None) -> Offer:
    """What sells best, where nothing better is known."""
    return Offer(asking.asker.popular(category, limit)._replace(kind="fallback_popular"), category)


def recently_viewed(asking: Asking, limit: int) -> Offer:
    """What the customer looked at, newest first; not what was merely ordered, which is for `buy_again`."""
    recents, purchased = asking.profile.recents, asking.profile.purchased
    looked_at = (
        product_id
        for product_id in newest_first(recents)
        if product_id not in purchased or purchased[product_id].at_ms < recents[product_id].at_ms
    )
    products = found(islice(looked_at, limit), asking.shelf)
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
    rows = {index: row for row in order if (index := shelf.find(bought[row])) is not None}
    due = [product for product in _due(asking) if product in rows]
    products = list(dict.fromkeys((*due, *rows)))[:limit]
    kept = [rows[product] for product in products]
    values = [1.0 / rank for rank in range(1, len(products) + 1)] if due else scores[kept].tolist()
    return _of_profile("buy_again", products, values, counts[kept].tolist())


def _due(asking: Asking) -> list[int]:
    """What the next order is likely to hold, likeliest first; nothing where that could not be learned."""
    if not asking.profile.purchased:
        return []
    due = asking.models.ranked("next_basket", orders_of(asking.profile, asking.shelf.find), due_max, NOTHING)
    return due.products.tolist() if due.kind == "buy_again" else []


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
    seeds = asking.seeds
    if not len(seeds.products):
        return Offer(NO_CANDIDATES)
    return Offer(model(seeds, limit), started_from=frozenset(seeds.products.tolist()))


def _learned(purpose: Purpose, history: History, asking: Asking, limit: int) -> Offer:
    """What a ranker makes of a history; scores become odds against the best, which are above 0."""
    if not len(history.products):
        return Offer(NO_CANDIDATES)
    newest = list(dict.fromkeys(history.products[::-1].tolist()))[:seeds_max]
    excluded = np.array(newest if asking.placement.exclude_seeds else [], np.int32)
    suiting = asking.models.ranked(purpose, history, limit, excluded)
    if len(suiting.products):
        odds = np.exp(np.maximum(suiting.scores - suiting.scores[0], _LOG_ODDS_MIN))
        suiting = suiting._replace(scores=odds)
    return Offer(suiting, started_from=frozenset(newest))


def _of_profile(kind: ReasonKind, products: list[int], scores: list[float], counts: list[int] | None) -> Offer:
    size = len(products)
    orders = np.zeros(size, np.int64) if counts is None else np.array(counts, np.int64)
    because = np.full(size, -1, np.int32)
    return Offer(Candidates(kind, np.array(products, np.int32), np.array(scores), because, orders, np.zeros(size)))
