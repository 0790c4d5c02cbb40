"""The decision behind an answer that was given: what was recorded of it, and what it comes to when it is made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ingest.vocabulary.errors import NotFound
from ingest.vocabulary.events import CustomerErased, CustomerIdentified, HomepageShown, RankingShown, Recorded
from ingest.vocabulary.ids import ProductId, RequestId, SnapshotId, Subject
from ingest.vocabulary.ranking import Item
from personalization.page.feed import Ranking, Step, rank
from personalization.page.placements import Placement
from personalization.page.reasons import items
from serving.asked import is_whole
from serving.counterfactual.occasions import PAGE, Gathered, Occasion, occasion_of
from serving.counterfactual.pages import PageRules, as_drawn, request_then
from serving.counterfactual.past import Known, Past
from serving.counterfactual.steps import Progress, counted

if TYPE_CHECKING:
    from serving.engine import Engine

SECRETS = ("subject", "source", "received_at", "imported")  # of a record: say nothing about the decision


class UnknownRequest(NotFound):
    """No answer of that id was recorded; one that was given just now may be in a tenth of a second."""

    code = "unknown_request"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"no answer {request_id!r} was recorded")


class RowAgain(msgspec.Struct, frozen=True):
    """A row that was shown, and the same one made again.

    Attributes:
        shown: what the record holds of it: its first products; None where it holds no such row.
        items: the row made again, with its reasons; steps: how it came about.
        same: whether what was shown is what it comes to again.
    """

    placement: str
    request_id: RequestId | None
    shown: tuple[ProductId, ...] | None
    same: bool
    items: tuple[Item, ...]
    steps: tuple[Step, ...]


class Explained(msgspec.Struct, frozen=True):
    """The decision behind an answer.

    Attributes:
        kind: `recommendations` or `homepage`.
        record: what was recorded when it was given.
        snapshot: what made it again.
        rows: the row, or those of the page.
        notes: what may make the two differ.
    """

    request_id: RequestId
    kind: str
    record: dict[str, Any]
    snapshot: SnapshotId | None
    rows: tuple[RowAgain, ...]
    notes: tuple[str, ...]


class _Found(NamedTuple):
    """Where an answer stands in the log: the row alone, or the page it belongs to, with the page's rows."""

    row: Recorded | None
    page: Recorded | None
    known: Mapping[Subject, Subject]
    erased: frozenset[Subject]


def explain(engine: Engine, request_id: RequestId, progress: Progress) -> Explained:
    """The decision behind an answer of a row or a homepage, recomputed from what was known then.

    A row of a homepage is made again with the rows above it, whose products it does not repeat.

    Args:
        progress: told a step, how much of it is done, and how much there is.

    Raises:
        UnknownRequest: no such answer was recorded.

    Cost: three scans of the log.
    """
    cut = engine.store.positions()
    facts = sum(offset + 1 for offset in cut)
    found = _find(engine.batches(cut), request_id, counted(progress, "finding the answer", facts))
    placements = engine.configuration.placements
    if found.page is None:
        assert found.row is not None
        assert isinstance(found.row.event, RankingShown)
        occasion = occasion_of(found.row.position, found.row.event, placements)
    else:
        rows = _rows_of(engine.batches(cut), found.page, placements)
        occasion = _page_occasion(found.page, rows)
    gathered = Gathered("shown", (occasion,), 1, 0, found.known)
    past = Past(engine, gathered, engine.batches(cut), counted(progress, "reading what was known", facts))
    _, known = next(past.walk())
    again = (
        _page_again(engine, occasion, known, past) if occasion.page else [_row_again(placements, occasion, known, past)]
    )
    shown = found.row or found.page
    assert shown is not None
    return Explained(
        request_id=request_id,
        kind=PAGE if isinstance(shown.event, HomepageShown) else "recommendations",
        record={name: value for name, value in msgspec.to_builtins(shown.event).items() if name not in SECRETS},
        snapshot=past.snapshot_of(0),
        rows=tuple(again if shown is found.page else _only(again, occasion, request_id)),
        notes=tuple(_notes(engine, shown, occasion, known, past, found.erased)),
    )


def _find(batches: Iterable[list[Recorded]], wanted: RequestId, progress: Callable[[int], object]) -> _Found:
    row: Recorded | None = None
    page: Recorded | None = None
    known: dict[Subject, Subject] = {}
    erased: set[Subject] = set()
    for batch in batches:
        for recorded in batch:
            match recorded.event:
                case RankingShown(request_id=request_id) if request_id == wanted:
                    row = recorded
                case HomepageShown(request_id=request_id, rows=rows) if request_id == wanted or wanted in rows:
                    page = recorded
                case CustomerIdentified() as event if event.known != event.subject:
                    known[event.subject] = event.known
                case CustomerErased() as event:
                    erased.add(event.subject)
        progress(len(batch))
    if row is None and page is None:
        raise UnknownRequest(wanted)
    return _Found(row, page, known, frozenset(erased))


def _rows_of(
    batches: Iterable[list[Recorded]], page: Recorded, placements: Mapping[str, Placement]
) -> dict[RequestId, Occasion]:
    assert isinstance(page.event, HomepageShown)
    wanted = frozenset(page.event.rows)
    return {
        recorded.event.request_id: occasion_of(recorded.position, recorded.event, placements)
        for batch in batches
        for recorded in batch
        if isinstance(recorded.event, RankingShown) and recorded.event.request_id in wanted
    }


def _page_occasion(page: Recorded, rows: Mapping[RequestId, Occasion]) -> Occasion:
    """The page with those of its rows that were recorded; what a crash lost of them is not."""
    event = page.event
    assert isinstance(event, HomepageShown)
    its = tuple(rows[each] for each in event.rows if each in rows)
    occasion = Occasion(event.known_at, page.position, PAGE, event.subject, page=event, rows=its)
    return occasion._replace(snapshot=its[0].snapshot, context=its[0].context, asked=its[0].asked) if its else occasion


def _row_again(placements: Mapping[str, Placement], occasion: Occasion, known: Known, past: Past) -> RowAgain:
    placement = placements.get(occasion.placement)
    if placement is None:
        return RowAgain(occasion.placement, occasion.request_id, occasion.shown, False, (), ())
    how = as_drawn(placement, occasion.choice)
    request = request_then(occasion, past.shelf, explain=True)
    return _again(rank(request, how, known.profile, past.shelf, known.models), occasion, known, past)


def _page_again(engine: Engine, occasion: Occasion, known: Known, past: Past) -> list[RowAgain]:
    """The rows of the variant that the present configuration shows, each beside the next shown one of its placement."""
    assert occasion.page is not None
    rules = PageRules(engine.configuration)
    rankings = rules.rankings(rules.variant(occasion.page), occasion, known, past.shelf, explain=True)
    shown = list(occasion.rows)
    again = []
    for ranking in rankings:
        beside = next((each for each in shown if each.placement == ranking.placement), None)
        if beside is not None:
            shown.remove(beside)
        again.append(_again(ranking, beside, known, past))
    return again


def _again(ranking: Ranking, shown: Occasion | None, known: Known, past: Past) -> RowAgain:
    row = items(ranking.picks, known.profile, past.shelf)
    products = None if shown is None else shown.shown
    return RowAgain(
        placement=ranking.placement,
        request_id=None if shown is None else shown.request_id,
        shown=products,
        same=products is not None and tuple(item.product_id for item in row[: len(products)]) == products,
        items=row,
        steps=ranking.steps,
    )


def _only(rows: list[RowAgain], occasion: Occasion, request_id: RequestId) -> Iterator[RowAgain]:
    """The row that was asked about; without anything made again, where the page has no such row now."""
    found = [row for row in rows if row.request_id == request_id]
    yield from found
    for row in () if found else occasion.rows:
        if row.request_id == request_id:
            yield RowAgain(row.placement, request_id, row.shown, False, (), ())


def _notes(
    engine: Engine, shown: Recorded, occasion: Occasion, known: Known, past: Past, erased: frozenset[Subject]
) -> Iterable[str]:
    event = shown.event
    assert isinstance(event, RankingShown | HomepageShown)
    if event.configuration not in (None, engine.configuration_id):
        yield f"configured otherwise then ({event.configuration}): it is made again with what is configured now"
    if occasion.snapshot is not None and occasion.snapshot != past.snapshot_of(0):
        yield f"the snapshot that answered ({occasion.snapshot}) is gone: another one answers in its place"
    if known.hindsight:
        yield "the models know what came later"
    if event.degraded:
        yield f"the answer was degraded: {', '.join(event.degraded)}"
    if any(not is_whole(row.asked) for row in (occasion.rows or (occasion,))):
        yield "the request excluded or filtered more than a record holds"
    if event.subject in erased:
        yield "whoever asked was forgotten since: nothing is known of them any more"
    if isinstance(event, HomepageShown) and len(occasion.rows) < len(event.rows):
        yield f"{len(event.rows) - len(occasion.rows)} of its {len(event.rows)} rows were not recorded"
