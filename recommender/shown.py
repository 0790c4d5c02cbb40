"""What was shown to whom, in which order, and what of it was clicked: the lists that ranking can learn from.

A list counts if whoever it was shown to is known to have done something, and may be learned from (`people.py`): what a
crawler was shown nobody passed over. A click counts if the person the list was shown to made it. Lists that were shown
to a visitor nobody had heard of before are nobody's, with their clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.events import RankingShown
from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.sightings import Sightings, situations_at

LISTS_MAX = 200_000  # the newest: some 100 MB while they are sorted, and enough for a curve of any placement
CLICKS_MAX = 400_000  # the newest: twice as many as lists
POSITIONS_MAX = 30  # as many as a shown list records
PERSONAL = 0  # what a row is about whose order depends on who asked

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class ShownLists:
    """n lists in order of (time, hash of the request), with e products.

    Attributes:
        start: (n + 1,) into `product`, `clicked`.
        product: (e,) rows of the catalogue in the order shown, -1 for what it has not; clicked: (e,).
        placement: (n,) row of `placements`; device: (n,) row of `devices`, where the first is "" for unknown.
        about: (n,) the same number for rows that were asked the same; `PERSONAL` where the order depends on who asked.
        person: (n,) as `Interactions.person` has them; time_s: (n,) Unix seconds.
    """

    start: CountVector
    product: IntVector
    clicked: NDArray[np.bool_]
    placement: IntVector
    device: IntVector
    about: Hashes
    person: IntVector
    time_s: CountVector
    placements: tuple[str, ...]
    devices: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.start) - 1

    def owners(self) -> CountVector:
        """The list of each product, (e,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def positions(self) -> CountVector:
        """The place of each product in its list, from 0, (e,)."""
        return np.arange(len(self.product)) - np.repeat(self.start[:-1], np.diff(self.start))

    def take(self, kept: NDArray[np.bool_]) -> ShownLists:
        """Some of the lists, by a mask."""
        sizes = np.diff(self.start)
        rows = np.repeat(kept, sizes)
        return ShownLists(
            start=np.concatenate(([0], np.cumsum(sizes[kept]))).astype(np.int64),
            product=self.product[rows],
            clicked=self.clicked[rows],
            placement=self.placement[kept],
            device=self.device[kept],
            about=self.about[kept],
            person=self.person[kept],
            time_s=self.time_s[kept],
            placements=self.placements,
            devices=self.devices,
        )


class Showings(NamedTuple):
    """Shown lists and clicks on them, in any order, repeated or not; subjects and products by number.

    Attributes:
        time_s, request, about, placement, subject, products: (lists,); `products` is how many there are of each.
        product: of the lists, one list's behind the other's.
        placements: the names of placements.
    """

    time_s: CountVector
    request: Hashes
    about: Hashes
    placement: IntVector
    subject: IntVector
    products: IntVector
    product: IntVector
    placements: Sequence[str]

    def newest(self, most: int) -> Showings:
        """The newest lists, each once, in order of (time, request)."""
        kept = _newest(self.time_s, (self.request,), most)
        size = self.products[kept].astype(np.int64)
        begin = (np.cumsum(self.products) - self.products)[kept]
        within = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
        return Showings(
            time_s=self.time_s[kept],
            request=self.request[kept],
            about=self.about[kept],
            placement=self.placement[kept],
            subject=self.subject[kept],
            products=self.products[kept],
            product=self.product[np.repeat(begin, size) + within],
            placements=self.placements,
        )


class Clicks(NamedTuple):
    """Clicks on products of shown lists, in any order, repeated or not."""

    time_s: CountVector
    request: Hashes
    subject: IntVector
    product: IntVector

    def newest(self, most: int) -> Clicks:
        """The newest clicks, each once."""
        kept = _newest(self.time_s, (self.request, self.product, self.subject), most)
        return Clicks(self.time_s[kept], self.request[kept], self.subject[kept], self.product[kept])


class Known(NamedTuple):
    """Who is who.

    Attributes:
        heads: (subjects,) for each subject one of its person's; subject: (subjects,) its new number, -1 for none.
        person: by new number; left_out: new numbers from whom nothing is learned; erased: subjects.
    """

    heads: CountVector
    subject: CountVector
    person: IntVector
    left_out: IntVector
    erased: IntVector

    def people(self) -> IntVector:
        """(subjects,) at each head the person's number, -1 for whoever did nothing or is not to be learned from."""
        seen = np.flatnonzero(self.subject >= 0)
        out = np.concatenate((seen[np.isin(self.subject[seen], self.left_out)], self.erased))
        people = np.full(len(self.heads), -1, np.int32)
        people[self.heads[seen]] = self.person[self.subject[seen]]
        people[self.heads[out]] = -1
        return people


def lists_of(
    showings: Showings, clicks: Clicks, sightings: Sightings, known: Known, row_of: IntVector
) -> ShownLists | None:
    """The newest lists that count, each with the device of its visit; None where nothing of them was clicked.

    Args:
        row_of: the row of each product of the catalogue by number, -1 for others.
    """
    if not len(showings.request) or not len(clicks.request):
        return None
    showings, clicks = showings.newest(LISTS_MAX), clicks.newest(CLICKS_MAX)
    heads = known.heads[showings.subject]
    clicked = _is_clicked(showings, clicks, heads, known.heads, len(row_of))
    situations, situation = situations_at(sightings, showings.subject, showings.time_s, known.heads)
    told = ["", *(dict(parts).get("device", "") for parts in situations)]
    devices = sorted({*told})
    names = sorted(set(showings.placements))
    renamed = np.array([names.index(name) for name in showings.placements], np.int32)
    found = ShownLists(
        start=np.concatenate(([0], np.cumsum(showings.products))).astype(np.int64),
        product=row_of[showings.product],
        clicked=clicked,
        placement=renamed[showings.placement],
        device=np.array([devices.index(name) for name in told], np.int32)[situation + 1],
        about=showings.about,
        person=known.people()[heads],
        time_s=showings.time_s,
        placements=tuple(names),
        devices=tuple(devices),
    )
    found = found.take(found.person >= 0)
    return found if found.clicked.any() else None


def _is_clicked(
    showings: Showings, clicks: Clicks, head: CountVector, heads: CountVector, products: int
) -> NDArray[np.bool_]:
    """Of each product of each list whether the person who was shown it clicked it."""
    order = np.argsort(showings.request, kind="stable")
    place = np.searchsorted(showings.request[order], clicks.request)
    place = order[np.minimum(place, len(order) - 1)]
    own = (showings.request[place] == clicks.request) & (head[place] == heads[clicks.subject])
    owner = np.repeat(np.arange(len(showings.request)), showings.products)
    return np.isin(owner * products + showings.product, place[own] * products + clicks.product[own])


def _newest(time_s: CountVector, names: tuple[NDArray[np.generic], ...], most: int) -> CountVector:
    """The newest of each name, and of these the newest so many; in order of (time, name)."""
    order = np.lexsort((*names[::-1], time_s))[::-1]
    named = np.stack([name[order].astype(np.uint64) for name in names], axis=1)
    _, first = np.unique(named, axis=0, return_index=True)
    kept: CountVector = order[np.sort(first)[:most]][::-1]
    return kept


def about_of(event: RankingShown) -> int:
    """A number of what a row was asked; only those that do not depend on who asks can be compared."""
    if not event.impersonal:
        return PERSONAL
    return request_hash("\n".join((event.placement, *event.seeds, "", *event.category))) or 1


def request_hash(request_id: str) -> int:
    """What recognises a request, or what it was about: 64 bits (BLAKE2b)."""
    return int.from_bytes(blake2b(request_id.encode(), digest_size=8).digest())
