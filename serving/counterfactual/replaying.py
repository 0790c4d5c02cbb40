"""`dangol replay --with`: the decisions of the real log, made again with the present configuration and with another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from ingest.catalog import CatalogueView
from ingest.vocabulary.events import HomepageShown
from ingest.vocabulary.ids import ProductId
from personalization.page.feed import rank
from personalization.page.placements import Placement
from serving.asked import is_whole
from serving.configuration import Configuration
from serving.counterfactual.comparison import Counterfactual, Page, Products, Row, by_placement, compared, summarized
from serving.counterfactual.occasions import PAGE, Gathered, Occasion, Source, gather
from serving.counterfactual.outcomes import Outcomes
from serving.counterfactual.pages import DRAWN, PageRules, as_drawn, by_name, paged, request_then, shown_rows
from serving.counterfactual.past import Known, Past
from serving.counterfactual.steps import Progress, counted
from serving.recommendations import UnknownPlacement

if TYPE_CHECKING:
    from serving.engine import Engine


class Plan(NamedTuple):
    """What is asked of a replay.

    Attributes:
        placements: made again whether or not they differ; none means those that differ.
        limit: so many decisions, the newest.
        window_days: how long somebody has to buy or look at what they would have been shown.
        source: None takes shown lists where there are any.
        train: whether to train a snapshot that knows nothing of what came after the first decision, if none is kept.
    """

    placements: tuple[str, ...] = ()
    limit: int = 1_000
    window_days: int = 7
    source: Source | None = None
    train: bool = False


def replay_with(engine: Engine, other: Configuration, plan: Plan, progress: Progress) -> Counterfactual:
    """What another configuration would have shown, to whom, and whether they then bought it.

    Args:
        progress: told a step, how much of it is done, and how much there is.

    Raises:
        UnknownPlacement: neither configuration has a placement of the plan.

    Cost: two scans of the log, and about a millisecond a decision.
    """
    present = engine.configuration
    wanted = _wanted(present, other, plan.placements)
    cut = engine.store.positions()
    facts = sum(offset + 1 for offset in cut)
    gathered = gather(
        engine.batches(cut),
        present.placements,
        wanted,
        plan.limit,
        plan.source,
        counted(progress, "finding decisions", facts),
    )
    rows: list[Row] = []
    pages: list[Page] = []
    hindsight, titles = 0, {}
    if gathered.occasions:
        if plan.train:
            _train_before(engine, gathered.occasions[0].at, progress)
        past = Past(engine, gathered, engine.batches(cut), counted(progress, "reading what was known", facts))
        outcomes = Outcomes(past.facts, gathered.known, timedelta(days=plan.window_days))
        deciding = counted(progress, "deciding", len(gathered.occasions))
        deciders = _Decider(present), _Decider(other)
        for occasion, known in past.walk():
            outcome = outcomes.after(occasion)
            if occasion.page is not None:
                pages.append(_page(occasion.page, deciders))
            shown = shown_rows(occasion)
            for name, (ours, theirs) in _both(deciders, occasion, known, past.shelf).items():
                told = occasion if occasion.page is None else occasion._replace(placement=name, shown=shown.get(name))
                rows.append(compared(told, ours, theirs, outcome))
            hindsight += known.hindsight
            deciding(1)
        titles = _titles(rows, past.shelf)
    return Counterfactual(
        present=present.configuration_id,
        other=other.configuration_id,
        source=gathered.source,
        found=gathered.found,
        elsewhere=gathered.elsewhere,
        hindsight=hindsight,
        window_days=plan.window_days,
        total=summarized(rows),
        placements=by_placement(rows),
        homepages=paged(pages),
        rows=tuple(row for row in reversed(rows) if row.changed),
        titles=titles,
        notes=tuple(_notes(present, other, gathered, hindsight)),
    )


def _wanted(present: Configuration, other: Configuration, named: Sequence[str]) -> frozenset[str]:
    """The placements to decide about again, and `PAGE`, if homepages are to be as well."""
    known = {*present.placements, *other.placements, PAGE}
    for name in named:
        if name not in known:
            raise UnknownPlacement(name, sorted(known))
    differ = {name for name in known if present.placements.get(name) != other.placements.get(name)}
    if differ or present.homepage != other.homepage:
        differ.add(PAGE)  # whose rows are placements too
    return frozenset(named or differ)


class _Decider:
    """What a configuration shows on an occasion."""

    def __init__(self, configuration: Configuration) -> None:
        self._placements = configuration.placements
        self.pages = PageRules(configuration)

    def decide(self, occasion: Occasion, known: Known, shelf: CatalogueView) -> dict[str, Products]:
        """The rows, by what they are told under."""
        if occasion.page is not None:
            return self.pages.rows(self.pages.variant(occasion.page), occasion, known, shelf)
        return {occasion.placement: _row(self._placements.get(occasion.placement), occasion, known, shelf)}


def _both(
    deciders: tuple[_Decider, _Decider], occasion: Occasion, known: Known, shelf: CatalogueView
) -> dict[str, tuple[Products, Products]]:
    present, other = (each.decide(occasion, known, shelf) for each in deciders)
    return by_name(present, other)


def _page(event: HomepageShown, deciders: tuple[_Decider, _Decider]) -> Page:
    present, other = (each.pages.variant(event).name for each in deciders)
    return Page(event.known_at, event.subject, event.request_id, event.variant, present, other)


def _row(placement: Placement | None, occasion: Occasion, known: Known, shelf: CatalogueView) -> Products:
    """What a placement would have shown; nothing where a configuration has none of that name."""
    if placement is None:
        return ()
    picks = rank(
        request_then(occasion, shelf), as_drawn(placement, occasion.choice), known.profile, shelf, known.models
    ).picks
    return tuple(shelf.product_id(pick.product_index) for pick in picks)


def _train_before(engine: Engine, moment: datetime, progress: Progress) -> None:
    """A snapshot of what was known just before a moment, unless one is kept."""
    if engine.snapshots.known_at(moment) is None:
        engine.train(until=moment, progress=lambda step, share: progress(f"training: {step}", round(100 * share), 100))


def _titles(rows: Sequence[Row], shelf: CatalogueView) -> dict[ProductId, str]:
    titles = {}
    for product_id in sorted(
        {product for row in rows if row.changed for product in (*row.about, *row.came, *row.went)}
    ):
        product_index = shelf.find(product_id)
        title = None if product_index is None else shelf.label(product_index).title
        if title is not None:
            titles[product_id] = title
    return titles


def _notes(present: Configuration, other: Configuration, gathered: Gathered, hindsight: int) -> Iterator[str]:
    decisions = len(gathered.occasions)
    if (present.placements, present.homepage) == (other.placements, other.homepage):
        yield "the two configurations have the same placements and homepage"
    if present.models != other.models:
        yield "[models] differ too: that takes effect at the next training, and is not in these rows"
    if not gathered.occasions:
        yield "the log has no decisions about these placements, nor visits that would have asked for them"
    elif gathered.source == "imagined":
        yield (
            "nobody was shown these rows: visits in the log would have asked for them just before what is known of "
            "them, with the catalogue of today"
        )
    else:
        yield "customers could only look at what they were shown, which favours the present rows among the hits"
        if any(_was_drawn(each) for each in gathered.occasions):
            yield "what was drawn stays where it still can be: what is learned otherwise is not followed"
        cut = sum(not is_whole(row.asked) for each in gathered.occasions for row in (each.rows or (each,)))
        if cut:
            yield f"{cut} requests excluded or filtered more than a record holds: their rows may differ by that"
    if hindsight:
        yield (
            f"{hindsight} of {decisions} decisions were made with models that know what came later, which makes hits "
            "too many on both sides: --train makes a snapshot of before"
        )


def _was_drawn(occasion: Occasion) -> bool:
    page, choice = occasion.page, occasion.choice
    return (page is not None and page.policy in DRAWN) or (choice is not None and choice.policy in DRAWN)
