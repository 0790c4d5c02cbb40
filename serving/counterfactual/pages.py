"""Homepages under two configurations: which variant each would have shown, and with which rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ingest.catalog import CatalogueView
from ingest.vocabulary.events import Chosen, HomepageShown
from personalization.homepage.variants import Variant, in_order
from personalization.page.feed import Ranking, rank_page
from personalization.page.placements import Placement, with_arm
from personalization.page.request import RowRequest
from serving.asked import exclusions_then, filter_then
from serving.configuration import Configuration
from serving.counterfactual.comparison import Page, Pages, Products
from serving.counterfactual.occasions import PAGE, Occasion
from serving.counterfactual.past import Known
from serving.home.homepages import placed_rows
from serving.policies.targets import facts_then

DRAWN = frozenset({"bandit", "experiment"})


class PageRules:
    """Which variant a configuration shows, and with which rows."""

    def __init__(self, configuration: Configuration) -> None:
        self._placements = configuration.placements
        self._page = configuration.homepage_rules.page

    def variant(self, event: HomepageShown) -> Variant:
        """The variant for what was known then: one that was drawn stays where it still fits, else the rules decide."""
        facts = facts_then(event)
        if event.policy in DRAWN:
            for variant in self._page.eligible(facts):
                if variant.name == event.variant:
                    return variant
        return self._page.choose(facts).variant

    def rows(self, variant: Variant, occasion: Occasion, known: Known, shelf: CatalogueView) -> dict[str, Products]:
        """The rows of a variant, by placement; the second of one placement has a number."""
        rankings = self.rankings(variant, occasion, known, shelf)
        names = _names(ranking.placement for ranking in rankings)
        picks = (ranking.picks for ranking in rankings)
        return {
            name: tuple(shelf.product_id(pick.product_index) for pick in each)
            for name, each in zip(names, picks, strict=True)
        }

    def rankings(
        self, variant: Variant, occasion: Occasion, known: Known, shelf: CatalogueView, *, explain: bool = False
    ) -> list[Ranking]:
        """The rows of a variant from top to bottom."""
        page, choices = occasion.page, [(row.placement, row.choice) for row in occasion.rows]
        order = None if page is None or page.variant != variant.name else page.order
        rows = variant.rows if order is None or order.policy not in DRAWN else in_order(variant, order.arm)
        placed = [as_drawn(each, _next_of(each.name, choices)) for each in placed_rows(rows, self._placements)]
        return rank_page(request_then(occasion, shelf, explain=explain), placed, known.profile, shelf, known.models)


def request_then(occasion: Occasion, shelf: CatalogueView, *, explain: bool = False) -> RowRequest:
    """What was asked on an occasion, as far as it is recorded. How long a page's rows are follows from its variant."""
    asked = occasion.asked
    limit = occasion.limit if occasion.page is None else None if asked is None else asked.limit
    return RowRequest(
        product_ids=occasion.seeds,
        category=" > ".join(occasion.category) or None,
        limit=limit,
        exclude=exclusions_then(asked, shelf),
        filter=filter_then(asked),
        context=occasion.context,
        explain=explain,
    )


def as_drawn(placement: Placement, choice: Chosen | None) -> Placement:
    """The placement as it is ranked: an arm that was drawn stays where there still is one of that name."""
    return placement if choice is None or choice.policy not in DRAWN else with_arm(placement, choice.arm)


def _next_of(placement: str, choices: list[tuple[str, Chosen | None]]) -> Chosen | None:
    """The choice of the next row of a placement, which is taken out of them."""
    at = next((at for at, (name, _) in enumerate(choices) if name == placement), None)
    return None if at is None else choices.pop(at)[1]


def shown_rows(occasion: Occasion) -> dict[str, Products]:
    """The rows that were shown on a page, by the same names; only those that the log has."""
    names = _names(row.placement for row in occasion.rows)
    return {name: row.shown or () for name, row in zip(names, occasion.rows, strict=True)}


def _names(placements: Iterable[str]) -> list[str]:
    """What rows of a page are told under; the second of one placement has a number."""
    seen: Counter[str] = Counter()
    names = []
    for placement in placements:
        seen[placement] += 1
        names.append(f"{PAGE}: {placement}{f' {seen[placement]}' if seen[placement] > 1 else ''}")
    return names


def paged(pages: Iterable[Page]) -> Pages:
    """What some homepages come to, given oldest first."""
    every = list(pages)
    variants = Counter(f"{page.present} → {page.other}" for page in every)
    return Pages(
        pages=len(every),
        reproduced=sum(page.shown == page.present for page in every),
        variants=dict(sorted(variants.items())),
        changed=tuple(page for page in reversed(every) if page.present != page.other),
    )


def by_name(present: Mapping[str, Products], other: Mapping[str, Products]) -> dict[str, tuple[Products, Products]]:
    """Both pages' rows side by side; a row that one of them has not is empty there."""
    return {name: (present.get(name, ()), other.get(name, ())) for name in {**present, **other}}
