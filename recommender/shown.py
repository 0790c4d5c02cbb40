"""What was shown to whom, in which order, and what of it was clicked: the lists that ranking can learn from.

A list counts if whoever it was shown to is known to have done something, and may be learned from (`people.py`): what a
crawler was shown nobody passed over. A click counts if the person the list was shown to made it. Lists that were shown
to a visitor nobody had heard of before are nobody's, with their clicks.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.events import RankingClicked, RankingShown
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.sightings import Sightings

LISTS_MAX = 200_000  # the newest: some 100 MB while they are gathered, and enough for a curve of any placement
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
    erased: CountVector

    def people(self) -> CountVector:
        """(subjects,) at each head the person's number, -1 for whoever did nothing or is not to be learned from."""
        seen = np.flatnonzero(self.subject >= 0)
        out = np.concatenate((seen[np.isin(self.subject[seen], self.left_out)], self.erased))
        people = np.full(len(self.heads), -1, np.int64)
        people[self.heads[seen]] = self.person[self.subject[seen]]
        people[self.heads[out]] = -1
        return people


def lists_of(
    showings: Showings, sightings: Sightings, known: Known, rows: Mapping[ProductId, int]
) -> ShownLists | None:
    """The lists that count, each with the device of its visit; None where nothing of them was clicked.

    Args:
        rows: of the products of the catalogue.
    """
    if not len(showings):
        return None
    subject, time_s = showings.subjects()
    situations, situation = sightings.at(known.heads[subject], time_s, known.heads)
    told = ["", *(dict(parts).get("device", "") for parts in situations)]
    devices = sorted({*told})
    device = np.array([devices.index(name) for name in told], np.int32)[situation + 1]
    found = showings.lists(rows, known, device, tuple(devices))
    return found if found.clicked.any() else None


class Showings:
    """Gathers shown lists and clicks on them, in any order.

    Memory: 35 bytes a list and 4 a product in it, 24 a click; of no more than twice `LISTS_MAX` and `CLICKS_MAX`.
    """

    def __init__(self, lists_max: int = LISTS_MAX, clicks_max: int = CLICKS_MAX) -> None:
        self._lists_max, self._clicks_max = lists_max, clicks_max
        self._lists = (array("q"), array("Q"), array("i"), array("i"), array("Q"), array("i"))
        self._products = array("i")
        self._clicks = (array("q"), array("Q"), array("i"), array("i"))
        self._placements: dict[str, int] = {}
        self._product_numbers: dict[ProductId, int] = {}

    def shown(self, time_s: int, subject: int, event: RankingShown) -> None:
        """A list was answered."""
        products = event.product_ids[:POSITIONS_MAX]
        numbers = self._product_numbers
        self._products.extend([numbers.setdefault(product, len(numbers)) for product in products])
        placement = self._placements.setdefault(event.placement, len(self._placements))
        row = (time_s, _hash(event.request_id), subject, placement, _about(event), len(products))
        for column, value in zip(self._lists, row, strict=True):
            column.append(value)
        if len(self._lists[0]) >= 2 * self._lists_max:
            self._keep_newest_lists()

    def clicked(self, time_s: int, subject: int, event: RankingClicked) -> None:
        """Something that was shown was clicked."""
        product = self._product_numbers.setdefault(event.product_id, len(self._product_numbers))
        for column, value in zip(self._clicks, (time_s, _hash(event.request_id), subject, product), strict=True):
            column.append(value)
        if len(self._clicks[0]) >= 2 * self._clicks_max:
            self._keep_newest_clicks()

    def __len__(self) -> int:
        return len(self._lists[0])

    def subjects(self) -> tuple[CountVector, CountVector]:
        """To whom the lists were shown, and when; in the order in which `lists` expects their devices."""
        self._keep_newest_lists()
        return np.array(self._lists[2], np.int64), np.array(self._lists[0], np.int64)

    def lists(
        self, rows: Mapping[ProductId, int], known: Known, device: IntVector, devices: tuple[str, ...]
    ) -> ShownLists:
        """The lists that count.

        Args:
            rows: of the products of the catalogue; device: (lists,) of each list of `subjects`.
        """
        self._keep_newest_clicks()
        time_s, request, subject, placement, about, size = (np.array(column) for column in self._lists)
        row_of = np.array([rows.get(name, -1) for name in self._product_numbers], np.int32)
        product = np.array(self._products, np.int64)
        names = sorted(self._placements)
        renamed = np.array([names.index(name) for name in self._placements], np.int32)
        found = ShownLists(
            start=np.concatenate(([0], np.cumsum(size))).astype(np.int64),
            product=row_of[product],
            clicked=self._is_clicked(request, known.heads[subject], product, size, known.heads),
            placement=renamed[placement],
            device=device,
            about=about,
            person=known.people()[known.heads[subject]].astype(np.int32),
            time_s=time_s,
            placements=tuple(names),
            devices=devices,
        )
        return found.take(found.person >= 0)

    def _is_clicked(
        self, request: Hashes, head: CountVector, product: CountVector, size: CountVector, heads: CountVector
    ) -> NDArray[np.bool_]:
        """Of each product of each list whether the person who was shown it clicked it."""
        _, of_request, by, what = (np.array(column) for column in self._clicks)
        order = np.argsort(request, kind="stable")
        place = np.searchsorted(request[order], of_request)
        place = order[np.minimum(place, max(len(order) - 1, 0))] if len(order) else place
        known = np.zeros(len(of_request), np.bool_)
        if len(order):
            known = (request[place] == of_request) & (head[place] == heads[by])
        width = len(self._product_numbers) + 1
        owner = np.repeat(np.arange(len(request)), size)
        return np.isin(owner * width + product, place[known] * width + what[known])

    def _keep_newest_lists(self) -> None:
        """The newest lists, each once, in order of (time, request)."""
        columns = [np.array(column) for column in self._lists]
        kept = _newest(columns[0], (columns[1],), self._lists_max)
        begin = np.concatenate(([0], np.cumsum(columns[5])))[kept]
        size = columns[5][kept].astype(np.int64)
        within = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
        products = np.array(self._products, np.int32)[np.repeat(begin, size) + within]
        self._products = array("i", products.astype(np.int32).tobytes())
        self._lists = tuple(  # type: ignore[assignment]
            array(old.typecode, column[kept].tobytes()) for old, column in zip(self._lists, columns, strict=True)
        )

    def _keep_newest_clicks(self) -> None:
        columns = [np.array(column) for column in self._clicks]
        kept = _newest(columns[0], (columns[1], columns[3], columns[2]), self._clicks_max)
        self._clicks = tuple(  # type: ignore[assignment]
            array(old.typecode, column[kept].tobytes()) for old, column in zip(self._clicks, columns, strict=True)
        )


def _newest(time_s: CountVector, names: tuple[NDArray[np.generic], ...], most: int) -> CountVector:
    """The newest of each name, and of these the newest so many; in order of (time, name)."""
    order = np.lexsort((*names[::-1], time_s))[::-1]
    named = np.stack([name[order].astype(np.uint64) for name in names], axis=1)
    _, first = np.unique(named, axis=0, return_index=True)
    kept: CountVector = order[np.sort(first)[:most]][::-1]
    return kept


def _about(event: RankingShown) -> int:
    """A number of what a row was asked; only those that do not depend on who asks can be compared."""
    if not event.impersonal:
        return PERSONAL
    asked = "\n".join((event.placement, *event.seeds, "", *event.category))
    return _hash(asked) or 1


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
