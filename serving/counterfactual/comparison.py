"""Two configurations' answers to the same occasions, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from ingest.vocabulary.ids import ProductId, RequestId, Subject
from serving.counterfactual.occasions import Occasion, Source
from serving.counterfactual.outcomes import Outcome

Products = tuple[ProductId, ...]


class Move(msgspec.Struct, frozen=True):
    """A product that is in both rows, at other positions (from 1)."""

    product_id: ProductId
    present: int
    other: int


class Hits(msgspec.Struct, frozen=True):
    """Shown products that somebody then bought or looked at, under each configuration."""

    present: int = 0
    other: int = 0

    def __add__(self, more: Hits) -> Hits:
        return Hits(self.present + more.present, self.other + more.other)


class Row(msgspec.Struct, frozen=True):
    """What one person would have been shown once.

    Attributes:
        about: the products asked about.
        shown: what they were shown then; None where nobody was.
        present, other: the row under each configuration.
        came, went: products that only the other configuration shows, only the present one.
        bought, looked_at: how many of each row they then bought, looked at.
    """

    at: datetime
    subject: Subject
    placement: str
    request_id: RequestId | None
    about: Products
    category: tuple[str, ...]
    shown: Products | None
    present: Products
    other: Products
    came: Products
    went: Products
    moved: tuple[Move, ...]
    bought: Hits
    looked_at: Hits

    @property
    def changed(self) -> bool:
        """Whether the two configurations differ about it."""
        return self.present != self.other


class Summary(msgspec.Struct, frozen=True):
    """The rows of a placement, or of all.

    Attributes:
        people: whose rows change.
        came, went, moved: products, summed over the rows.
        reproduced: shown lists that the present configuration answers again exactly.
    """

    rows: int
    changed: int
    changed_share: float
    people: int
    came: int
    went: int
    moved: int
    bought: Hits
    looked_at: Hits
    reproduced: int


class Page(msgspec.Struct, frozen=True):
    """A homepage that would have had another variant."""

    at: datetime
    subject: Subject
    request_id: RequestId
    shown: str
    present: str
    other: str


class Pages(msgspec.Struct, frozen=True):
    """Homepages under both configurations.

    Attributes:
        reproduced: those for which the present configuration shows the variant again that was shown.
        variants: from the present one to the other's, how often.
        changed: those that differ, newest first.
    """

    pages: int
    reproduced: int
    variants: dict[str, int]
    changed: tuple[Page, ...]


class Counterfactual(msgspec.Struct, frozen=True):
    """What another configuration would have shown.

    Attributes:
        present, other: the ids of the configurations.
        source: shown lists of the log, or what visits would have asked for.
        found: decisions of the placements that differ, of which `total.rows` were made again; elsewhere: those of
            placements about which the configurations agree.
        hindsight: decisions made with models that know what came later.
        window_days: how long somebody had to buy or look.
        rows: those that change, newest first.
        titles: of the products in them, as far as known.
        notes: what to know before believing the figures.
    """

    present: str
    other: str
    source: Source
    found: int
    elsewhere: int
    hindsight: int
    window_days: int
    total: Summary
    placements: dict[str, Summary]
    homepages: Pages
    rows: tuple[Row, ...]
    titles: dict[ProductId, str]
    notes: tuple[str, ...]


def compared(occasion: Occasion, present: Products, other: Products, outcome: Outcome) -> Row:
    """The row of an occasion under both configurations."""
    places = {product: place for place, product in enumerate(other, 1)}
    moved = tuple(
        Move(product, place, places[product])
        for place, product in enumerate(present, 1)
        if places.get(product, place) != place
    )
    return Row(
        at=occasion.at,
        subject=occasion.subject,
        placement=occasion.placement,
        request_id=occasion.request_id,
        about=occasion.seeds,
        category=occasion.category,
        shown=occasion.shown,
        present=present,
        other=other,
        came=tuple(product for product in other if product not in present),
        went=tuple(product for product in present if product not in other),
        moved=moved,
        bought=_hits(present, other, outcome.bought),
        looked_at=_hits(present, other, outcome.looked_at),
    )


def summarized(rows: Sequence[Row]) -> Summary:
    """What some rows come to."""
    changed = [row for row in rows if row.changed]
    return Summary(
        rows=len(rows),
        changed=len(changed),
        changed_share=len(changed) / len(rows) if rows else 0.0,
        people=len({row.subject for row in changed}),
        came=sum(len(row.came) for row in changed),
        went=sum(len(row.went) for row in changed),
        moved=sum(len(row.moved) for row in changed),
        bought=sum((row.bought for row in rows), Hits()),
        looked_at=sum((row.looked_at for row in rows), Hits()),
        reproduced=sum(row.shown is not None and row.shown == row.present[: len(row.shown)] for row in rows),
    )


def by_placement(rows: Iterable[Row]) -> dict[str, Summary]:
    """A summary for each placement, by name."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.placement, []).append(row)
    return {name: summarized(found[name]) for name in sorted(found)}


def _hits(present: Products, other: Products, wanted: frozenset[ProductId]) -> Hits:
    return Hits(len(wanted.intersection(present)), len(wanted.intersection(other)))
