"""A row is ranked: hard filters, then the chain until the row is full, then rules, pins, positions.

The row is short only where the hard filters leave too few products in the whole shop: after the chain comes popularity
(near the product asked about first), then whatever else is on the shelf, then what the soft rules held back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from ingest.vocabulary.ranking import Candidates
from personalization.customer.profile import Profile
from personalization.page.affinity import OF_THE_PERSON, favoured, situated, situation_of, wanted_more
from personalization.page.asker import Asker, found
from personalization.page.filters import refusals
from personalization.page.lifting import boosted
from personalization.page.placements import Placement
from personalization.page.request import RowRequest
from personalization.page.row import Pick, Row
from personalization.page.shelf import Models, Shelf
from personalization.page.strategies import BY_NAME, Asking, Offer, Strategy, fallback_popular

offered_first = 4  # times the limit: what filters and rules usually eat
offered_min = 40
offered_growth = 8  # each time the offer was eaten up, and from the start where the request filters
offered_boosted = 32  # from the start where boosts lift: what is lifted is often far down
offered_situated = 2  # where the situation makes a difference, which is bounded and seldom large


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one strategy contributed: `refused` counts by hard filter and by rule, `boosted` by boost, in words."""

    strategy: str
    category: str | None
    offered: int
    taken: int
    refused: dict[str, int]
    boosted: dict[str, int] = {}


class Ranking(NamedTuple):
    """The picks of a row in their positions; `steps` is empty unless an explanation was asked for."""

    placement: str
    picks: tuple[Pick, ...]
    steps: tuple[Step, ...]


def rank(
    request: RowRequest,
    placement: Placement,
    profile: Profile | None,
    shelf: Shelf,
    models: Models,
    *,
    taken: Collection[int] = (),
    filled_up: bool = True,
) -> Ranking:
    """The row for a request.

    Args:
        profile: what is known of whoever asks; without one, or where they refused, nothing of it is used.
        taken: product_index of what other rows of the page show already.
        filled_up: whether what the chain leaves empty is filled with what is popular.

    Cost: about 35 µs for ten of a hundred candidates, 50 µs where a history is read, besides the models' own time.
    """
    asker = Asker(request, profile, shelf, models, situation_of(request, models))
    return _ranked(asker, placement, taken, filled_up=filled_up)


def _ranked(asker: Asker, placement: Placement, taken: Collection[int], *, filled_up: bool) -> Ranking:
    """The row of a placement for whoever asks."""
    request, shelf = asker.request, asker.shelf
    asking = Asking(asker, placement)
    limit = placement.limit if request.limit is None else request.limit
    row = Row(asking, limit, _blocked(asking, taken))
    pins = _pinned(row, placement, shelf, limit)
    row.limit = limit - len(pins)
    steps: list[Step] = []
    for name in placement.chain:
        if row.full:
            break
        _fill(row, asking, BY_NAME[name], name, steps)
        if placement.complements_first:
            _relax(row, asking, row.take_behind, steps)
    if not row.full and filled_up:
        _fill_up(row, asking, steps)
    picks = _positioned(row.picks, pins)
    return Ranking(placement.name, favoured(picks, asker.situation, asker.models), tuple(steps))


def rank_page(
    request: RowRequest,
    placements: Sequence[Placement],
    profile: Profile | None,
    shelf: Shelf,
    models: Models,
) -> list[Ranking]:
    """The rows of a page from top to bottom, with no product in two of them.

    What a row is about goes before what fills another one up: a row that falls back on what is popular leaves alone
    what this person looked at, which a row further down shows.
    """
    taken: set[int] = set()
    rankings = []
    asker = Asker(request, profile, shelf, models, situation_of(request, models))
    for placement in placements:
        ranking = _ranked(asker, placement, taken, filled_up=False)
        taken.update(_products(ranking))
        rankings.append(ranking)
    for at, (placement, ranking) in enumerate(zip(placements, rankings, strict=True)):
        if len(ranking.picks) < (placement.limit if request.limit is None else request.limit):
            others = taken - _products(ranking)
            rankings[at] = _ranked(asker, placement, others, filled_up=True)
            taken |= _products(rankings[at])
    return rankings


def _products(ranking: Ranking) -> set[int]:
    return {pick.product_index for pick in ranking.picks}


def _fill_up(row: Row, asking: Asking, steps: list[Step]) -> None:
    """Fills what the chain left empty: caps, then popularity, then the shelf, then whatever soft rules held back."""
    _relax(row, asking, row.relax_caps, steps)
    for category in asking.fallback_categories():
        if row.full:
            return
        _fill(row, asking, _fallback_in(category), "fallback_popular", steps)
    if not row.full:
        _fill(row, asking, _whole_shelf, "shelf", steps)
    _relax(row, asking, row.relax_all, steps)


def _fill(row: Row, asking: Asking, strategy: Strategy, name: str, steps: list[Step]) -> None:
    """Adds a strategy's offers, each larger than the one before, until the row is full or the strategy has no more."""
    request = asking.request
    limit = max(offered_first * row.limit, offered_min) * _widening(asking)
    before = len(row.picks)
    row.refused.clear()
    offer, lifted = _offered(strategy, asking, limit)
    row.add(offer)
    offered = len(offer.candidates.products)
    while not row.full and offered >= limit:
        limit *= offered_growth
        offer, lifted = _offered(strategy, asking, limit)
        if len(offer.candidates.products) <= offered:
            break
        offered = len(offer.candidates.products)
        row.add(offer)
    if request.explain:
        refused = refusals(offer.candidates.products, asking.shelf, request.filter)
        refused.update(Counter(row.refused.values()))
        steps.append(Step(name, offer.category, offered, len(row.picks) - before, refused, lifted))


def _widening(asking: Asking) -> int:
    """How many times as much as usual is offered at first: more may be refused, or come up from below."""
    if asking.placement.boosts:
        return offered_boosted
    if asking.request.filter is not None:
        return offered_growth
    return offered_situated if asking.situation else 1


def _offered(strategy: Strategy, asking: Asking, limit: int) -> tuple[Offer, dict[str, int]]:
    """What a strategy offers, in the order that the placement's boosts and the situation give it, and for how many.

    Rows of a page, and a row that stayed short and is ranked again, often want the same.
    """
    placement, offers = asking.placement, asking.asker.offers
    wanted = (strategy, limit, placement.seeds, placement.exclude_seeds, placement.boosts)
    offered = offers.get(wanted)
    if offered is None:
        offered = offers[wanted] = _in_order(strategy(asking, limit), asking)
    offer: Offer = offered[0]
    if offer.started_from is not None:
        asking.started_from = offer.started_from
    return offered


def _in_order(offer: Offer, asking: Asking) -> tuple[Offer, dict[str, int]]:
    """An offer in the order that boosts and the situation give it, and for how many candidates they were."""
    candidates, boosts, concerned = offer.candidates, asking.placement.boosts, dict[str, int]()
    if not len(candidates.products):
        return offer, concerned
    if boosts:
        candidates, concerned = boosted(candidates, boosts, asking.shelf)
    if asking.situation and candidates.kind not in OF_THE_PERSON:
        if asking.request.explain:
            concerned |= wanted_more(candidates, asking.situation, asking.models)
        candidates = situated(candidates, asking.situation, asking.models)
    return offer._replace(candidates=candidates), concerned


def _relax(row: Row, asking: Asking, relax: Callable[[], None], steps: list[Step]) -> None:
    """Takes what a soft rule held back, where the row is short."""
    before = len(row.picks)
    relax()
    if asking.request.explain and len(row.picks) > before:
        steps.append(Step("relaxed", None, 0, len(row.picks) - before, {}))


@lru_cache(maxsize=1_000)
def _fallback_in(category: str | None) -> Strategy:
    """Popularity in a category: the same function for the same category, so that its offers are known again."""
    return lambda asking, limit: fallback_popular(asking, limit, category)


def _whole_shelf(asking: Asking, limit: int) -> Offer:
    """Everything on the shelf, in the order it came into the shop; `limit` does not concern it."""
    size = len(asking.shelf.listed)
    nothing = np.zeros(size)
    return Offer(
        Candidates(
            "fallback_popular",
            np.arange(size, dtype=np.int32),
            nothing,
            np.full(size, -1, np.int32),
            np.zeros(size, np.int64),
            nothing,
        )
    )


def _blocked(asking: Asking, taken: Collection[int]) -> set[int]:
    """What may not be in the row whatever the rest: asked about, excluded, in the cart, in another row."""
    asker, placement = asking.asker, asking.placement
    blocked = {*asker.unwanted, *taken}
    if placement.exclude:
        blocked.update(found(placement.exclude, asking.shelf))
    if placement.exclude_seeds:
        blocked |= asker.in_cart
    return blocked


def _pinned(row: Row, placement: Placement, shelf: Shelf, limit: int) -> list[tuple[int, Pick]]:
    """The pins that the hard filters let stand, by position."""
    pins: list[tuple[int, Pick]] = []
    for pin in sorted(placement.pins, key=lambda pin: pin.position):
        product_index = shelf.find(pin.product_id)
        if product_index is not None and pin.position <= limit:
            pick = row.pin(product_index)
            if pick is not None:
                pins.append((pin.position, pick))
    return pins


def _positioned(picks: list[Pick], pins: list[tuple[int, Pick]]) -> tuple[Pick, ...]:
    """The picks with the pins at their positions and scores that never rise within the row.

    Scores of different strategies do not compare: those that follow another strategy's are scaled to go on where it
    ended. A pin has the score of its neighbour above, at the top that of its neighbour below.
    """
    placed: list[Pick] = []
    last, scale, kind = None, 1.0, None
    for pick in picks:
        if last is not None and pick.kind != kind:
            scale = min(1.0, last / pick.score) if pick.score > 0 else 1.0
        score = pick.score * scale
        last = score if last is None or score < last else last
        kind = pick.kind
        placed.append(pick if last == pick.score else replace(pick, score=last))
    top = placed[0].score if placed else 1.0
    for position, pin in pins:
        above = placed[min(position, len(placed) + 1) - 2].score if position > 1 and placed else top
        placed.insert(position - 1, replace(pin, score=above))
    return tuple(placed)
