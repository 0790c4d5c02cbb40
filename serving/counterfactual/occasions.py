"""Occasions: moments at which somebody was shown a row, or would have been, found in the log.

A log with shown lists says who asked for what. One without, of a shop whose history was imported, says who looked,
added and ordered; the pages on which they did so would have asked for rows:

* a product that was looked at: the placements `product.…`, about it;
* a list that was looked at: `category.…`, of its category; a search that found nothing: `search.…`;
* a product put in the cart: `cart.…`, about it;
* an order: `home.…` for the visit that led to it, `product.…` about its first product, and `cart.…` about the first
  half of its products, all of them just before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ingest.vocabulary.context import Context
from ingest.vocabulary.events import (
    Asked,
    Chosen,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    HomepageShown,
    ListViewed,
    OrderCompleted,
    ProductAdded,
    ProductViewed,
    RankingShown,
    Recorded,
    Searched,
)
from ingest.vocabulary.ids import Position, ProductId, RequestId, SnapshotId, Subject
from personalization.page.placements import Placement
from serving.recommendations import SHOWN_BESIDE_MAX, SHOWN_PRODUCTS_MAX, SHOWN_SEEDS_MAX

Source = Literal["shown", "imagined"]
PAGE = "homepage"  # in place of a placement's name
ROWS_A_PAGE = 8  # that are looked at to tell which snapshot a homepage was made with
Heard = Callable[[int], object]

_JUST_BEFORE = timedelta(microseconds=1)


class Occasion(NamedTuple):
    """Somebody asked for a row, or would have.

    Attributes:
        at: the moment whose knowledge decides.
        limit: how long the row was asked to be; None where the placement said it.
        shown: what was answered; None where nobody was shown anything.
        snapshot: what answered; None as well where there was none.
        page: the homepage that was shown; its `rows` are one occasion, and `placement` is `PAGE`.
        choice: which way of ranking it was, where there were several.
        asked: what else the request asked for, as it is recorded.
    """

    at: datetime
    position: Position
    placement: str
    subject: Subject
    seeds: tuple[ProductId, ...] = ()
    category: tuple[str, ...] = ()
    limit: int | None = None
    request_id: RequestId | None = None
    shown: tuple[ProductId, ...] | None = None
    snapshot: SnapshotId | None = None
    context: Context | None = None
    page: HomepageShown | None = None
    rows: tuple[Occasion, ...] = ()
    choice: Chosen | None = None
    asked: Asked | None = None


class Gathered(NamedTuple):
    """The newest occasions of a log.

    Attributes:
        occasions: oldest first.
        found: how many there are of those placements, kept or not; elsewhere: those of other placements.
        known: who a visitor turned out to be, by subject.
    """

    source: Source
    occasions: tuple[Occasion, ...]
    found: int
    elsewhere: int
    known: Mapping[Subject, Subject]


def gather(
    batches: Iterable[list[Recorded]],
    placements: Mapping[str, Placement],
    wanted: Collection[str],
    limit: int,
    source: Source | None,
    progress: Callable[[int], object],
) -> Gathered:
    """The newest `limit` occasions of the placements in `wanted`.

    Args:
        placements: those in force, by name; what a shown list was asked to be long follows from them.
        wanted: names of placements, and `PAGE` for homepages; their rows are no occasions of their own.
        source: shown lists or what visits would have asked for; None takes shown lists if there are any.
        progress: told how many facts were read.

    Cost: a scan of the log; memory for `limit` occasions and for everybody who was identified.
    """
    found: dict[Source, _Newest] = {"shown": _Newest(limit, wanted), "imagined": _Newest(limit, wanted)}
    pages, rows = _Newest(limit, (PAGE,)), _Newest(limit * ROWS_A_PAGE, placements)
    known: dict[Subject, Subject] = {}
    erased: set[Subject] = set()
    for batch in batches:
        for recorded in batch:
            event = recorded.event
            match event:
                case RankingShown():
                    found["shown"].put(occasion_of(recorded.position, event, placements))
                    if PAGE in wanted:
                        rows.put(occasion_of(recorded.position, event, placements))
                case HomepageShown():
                    pages.put(Occasion(event.known_at, recorded.position, PAGE, event.subject, page=event))
                case CustomerIdentified() if event.known != event.subject:
                    known[event.subject] = event.known
                case CustomerErased():
                    erased.add(event.subject)
                case CustomerEvent():
                    for occasion in imagined(recorded, wanted | placements.keys()):
                        found["imagined"].put(occasion)
        progress(len(batch))
    chosen = source or ("shown" if found["shown"].found or pages.found else "imagined")
    newest = found[chosen]
    gathered = list(newest.sorted())
    decided = newest.found
    if chosen == "shown" and pages.found:
        kept = list(pages.sorted())
        gathered = _alone(gathered, kept, are_all=pages.found == len(kept))
        if PAGE in wanted:
            gathered = sorted((*gathered, *_pages_with_rows(kept, rows.sorted())), key=_when)[-limit:]
            decided += pages.found
    occasions = tuple(each for each in gathered if each.subject not in erased)
    return Gathered(chosen, occasions, decided, newest.elsewhere, known)


def imagined(recorded: Recorded, placements: Collection[str]) -> Iterator[Occasion]:
    """The rows that the page of a fact would have asked for, just before it."""
    event = recorded.event
    pages: dict[str, tuple[ProductId, ...]]
    match event:
        case ProductViewed(product_id=product):
            pages = {"product.": (product,)}
        case ListViewed(category=category) if category:
            pages = {"category.": ()}
        case Searched(results=0):
            pages = {"search.": ()}
        case ProductAdded(product_id=product):
            pages = {"cart.": (product,)}
        case OrderCompleted(lines=lines) if lines:
            pages = _pages_of_an_order(tuple(dict.fromkeys(line.product_id for line in lines if line.quantity > 0)))
        case _:
            return
    assert isinstance(event, CustomerEvent)
    category = event.category if isinstance(event, ListViewed) else ()
    for page, seeds in pages.items():
        for name in placements:
            if name.startswith(page):
                at = event.known_at - _JUST_BEFORE
                asked = Occasion(at, recorded.position, name, event.subject, seeds[:SHOWN_SEEDS_MAX], category)
                yield asked._replace(context=event.context)


def _pages_of_an_order(products: tuple[ProductId, ...]) -> dict[str, tuple[ProductId, ...]]:
    """An order of one product leaves nothing that its cart could have been asked for."""
    pages: dict[str, tuple[ProductId, ...]] = {"home.": (), "product.": products[:1]}
    if len(products) > 1:
        pages["cart."] = products[: len(products) // 2]
    return pages


def occasion_of(position: Position, event: RankingShown, placements: Mapping[str, Placement]) -> Occasion:
    """The occasion on which a list was shown."""
    return Occasion(
        event.known_at,
        position,
        event.placement,
        event.subject,
        event.seeds,
        event.category,
        _asked_limit(event, placements.get(event.placement)),
        event.request_id,
        event.product_ids,
        event.snapshot,
        event.context,
        choice=event.choice,
        asked=event.asked,
    )


def _alone(lists: list[Occasion], pages: list[Occasion], *, are_all: bool) -> list[Occasion]:
    """Shown lists that are no homepage's row.

    Where there were more homepages than are kept, what is older than these may be a row of one, and is left out.
    """
    of_pages = {request_id for page in pages if page.page is not None for request_id in page.page.rows}
    return [each for each in lists if each.request_id not in of_pages and (are_all or each.at >= pages[0].at)]


def _pages_with_rows(pages: list[Occasion], rows: Iterable[Occasion]) -> Iterator[Occasion]:
    """Homepages with the rows that were shown on them; without any, nothing tells what answered."""
    of_pages = {request_id for page in pages if page.page is not None for request_id in page.page.rows}
    answered = {row.request_id: row for row in rows if row.request_id in of_pages}
    for page in pages:
        assert page.page is not None
        its = tuple(answered[each] for each in page.page.rows if each in answered)
        if its:
            yield page._replace(snapshot=its[0].snapshot, context=its[0].context, rows=its, asked=its[0].asked)


def _when(occasion: Occasion) -> tuple[datetime, Position]:
    return occasion.at, occasion.position


def _asked_limit(event: RankingShown, placement: Placement | None) -> int | None:
    """How long a row was asked to be; where that is not recorded, its length, unless the placement explains that."""
    if event.asked is not None:
        return event.asked.limit
    length = len(event.product_ids)
    explained = length in (0, SHOWN_PRODUCTS_MAX, *(() if event.choice is None else (SHOWN_BESIDE_MAX,))) or (
        placement is not None and placement.limit == length
    )
    return None if explained else length


class _Newest:
    """The newest occasions of some placements, and how many there were."""

    def __init__(self, limit: int, wanted: Collection[str]) -> None:
        self._limit, self._wanted = limit, wanted
        self._heap: list[tuple[tuple[datetime, Position, str], Occasion]] = []
        self.found = self.elsewhere = 0

    def put(self, occasion: Occasion) -> None:
        """Keep an occasion while it is one of the newest."""
        if occasion.placement not in self._wanted:
            self.elsewhere += 1
            return
        self.found += 1
        entry = ((occasion.at, occasion.position, occasion.placement), occasion)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif entry[0] > self._heap[0][0]:
            heapq.heapreplace(self._heap, entry)

    def sorted(self) -> Iterator[Occasion]:
        """Those kept, oldest first."""
        return (occasion for _, occasion in sorted(self._heap, key=lambda entry: entry[0]))
