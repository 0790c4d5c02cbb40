"""The models as they answer now: one snapshot, its tail, and the process's numbering of products."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import (
    Candidates,
    FloatVector,
    History,
    IntVector,
    ProductIndex,
    Purpose,
    ReasonKind,
    Seeds,
)
from recommender.affinity import Affinities
from recommender.categories import LiveCategories
from recommender.configuration import Model
from recommender.kernels.arrays import (
    Extras,
    Fresh,
    Held,
    Out,
    Work,
    hold,
    new_extras,
    new_out,
    new_work,
)
from recommender.kernels.kinds import mark_kinds
from recommender.kernels.listing import Merger, merger_of, new_room, rank_lists
from recommender.kernels.merging import count_extras
from recommender.kernels.ranking import any_stale, rank_for_person, rank_together, rank_wanted
from recommender.loading import frozen_of, kinds_of, lists_of
from recommender.neighbours_of_text import TextNeighbours
from recommender.ranker.rankers import Rankers
from recommender.snapshot import Snapshot
from recommender.tail import Tail

LIMIT_MAX = 500
SEEDS_MAX = 50
DEPTH_MAX = 1000  # neighbours of a seed: all that are kept
PERSON_DEPTH = 25  # neighbours of one of a person's many seeds: further ones change nothing near the top
BLEND = np.array([0.6, 0.35, 0.05])  # bought together, similar, popular
_EXTRAS_ROOM = 4096
_WHOLE: tuple[Model, ...] = ("auto", "logit", "trees")  # the others are one component alone, to compare with
_KIND_OF: dict[Purpose, ReasonKind] = {
    "next_item": "next_item",
    "for_you": "for_you",
    "basket": "bought_together",
    "next_basket": "buy_again",
    "bought_together": "bought_together",
    "similar": "similar",
}
_RECENCY = np.power(0.8, np.arange(SEEDS_MAX), dtype=np.float64)  # the weight of a history's products, newest first

Array = NDArray[Any]


class ProductLookup(Protocol):
    """Tells what a shop says about a product."""

    def __call__(self, product_index: int) -> Product | None:
        """The product, or None where nothing is known."""
        ...


class LiveModels:
    """Answers from a snapshot plus its tail. Any thread may ask.

    Guarantees: counts are those of training on everything the tail has applied; without a snapshot the tail alone
    answers. Seeds nobody knows are passed over. `telling`, `affinity` and `strongest` are those of `Affinities`.
    Not guaranteed: that products can be sold; hard filters are the caller's.
    """

    def __init__(
        self, snapshot: Snapshot | None, tail: Tail, index: ProductIndex, product_of: ProductLookup | None = None
    ) -> None:
        """Load. Cost: about 20 ms for the example shop, then nothing is copied."""
        assert tail.snapshot is snapshot, "a tail belongs to one snapshot"
        assert tail.index is index, "and to one numbering of products"
        self._snapshot, self._tail, self._index = snapshot, tail, index
        self._product_of: ProductLookup = product_of or (lambda product_index: None)
        self._frozen = frozen_of(snapshot, tail.index_of_row, len(index))
        self._frozen_held = hold(self._frozen)
        ranked = None if snapshot is None or "related.start" not in snapshot else snapshot  # without a ranker none
        similar, styles = lists_of(snapshot, "similar.similar"), lists_of(snapshot, "similar.styles")
        room, related = new_room(len(tail.index_of_row)), lists_of(ranked, "related", ".")
        self._similar_lists = hold(similar)
        self._similar, self._styles, self._related = (
            hold(merger_of(self._frozen, lists, room)) for lists in (similar, styles, related)
        )
        self._kinds = hold(kinds_of(snapshot))
        self._categories = LiveCategories(snapshot, tail, self._product_of)
        self._text = TextNeighbours(snapshot, tail.index_of_row)
        affinities = Affinities(snapshot, tail.index_of_row)
        self.telling, self.affinity, self.strongest = affinities.known, affinities.lifts, affinities.strongest
        ranking = {} if snapshot is None else snapshot.part("ranking")
        self._rankers = (
            Rankers(ranking) if "factors" in ranking else None
        )  # older snapshots have other rankers, or none
        self._fresh_held = (tail.arrays, hold(tail.arrays))
        self._extras = new_extras(len(tail.arrays.head), _EXTRAS_ROOM)
        self._extras_held = hold(self._extras)
        self._extras_used = 0
        self._extras_lock = threading.Lock()
        self._query_work = _HeldWork(len(tail.arrays.head))
        self._extras_work = new_work(len(tail.arrays.head))

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot that answers."""
        return self._snapshot

    @property
    def tail(self) -> Tail:
        """The tail that answers."""
        return self._tail

    def bought_together(self, seeds: Seeds, limit: int) -> Candidates:
        """Complements of a product or a cart; evidence is for the strongest seed. Cost: some 50 µs a popular seed."""
        fresh, held = self._fresh()
        products, weights = self._known(seeds, fresh)
        extras, work, out = self._up_to_date_extras(products, fresh, held), self._work(fresh), _room(limit)
        size = len(out.scores)
        count = rank_together(products, weights, size, DEPTH_MAX, self._frozen_held, held, extras, work, out)
        return _candidates("bought_together", out, count)

    def similar(self, seeds: Seeds, limit: int) -> Candidates:
        """Substitutes; for a product newer than the snapshot from its own words."""
        return self._from_lists("similar", seeds, limit, self._similar)

    def other_styles(self, seeds: Seeds, limit: int) -> Candidates:
        """Variants of the same article, then the same kind in another colour."""
        return self._from_lists("other_style", seeds, limit, self._styles)

    def kinds(self, asked: IntVector, products: IntVector, looked_at: int) -> IntVector:
        """For each product 2 if it may stand in for one asked about, else 1 if it is all but the same as one of the
        first `looked_at` that are a 0 before it, else 0; what the snapshot lacks is a 0. Cost: some 5 µs for 40.
        """
        marks = np.zeros(len(products), np.int32)
        mark_kinds(asked, products, looked_at, self._frozen_held, self._kinds, marks)
        return marks

    def popular(self, category: tuple[str, ...] | None, limit: int) -> Candidates:
        """The most wanted products of a category, or of the shop."""
        return self._wanted("popular", category, limit)

    def trending(self, limit: int, category: tuple[str, ...] | None = None) -> Candidates:
        """Products wanted more than they used to be."""
        return self._wanted("trending", category, limit)

    def for_you(self, seeds: Seeds, limit: int) -> Candidates:
        """What suits a person whose recent products and purchases are the seeds. Cost: some 180 µs for 20 seeds."""
        fresh, held = self._fresh()
        products, weights = self._known(seeds, fresh)
        if not len(products):
            return _of_kind("for_you", self.popular(None, limit))
        extras, work, out = self._up_to_date_extras(products, fresh, held), self._work(fresh), _room(limit)
        count = rank_for_person(
            products,
            weights,
            len(out.scores),
            PERSON_DEPTH,
            BLEND,
            self._frozen_held,
            held,
            extras,
            self._similar_lists,
            self._categories.now(fresh),
            work,
            out,
        )
        return _candidates("for_you", out, count)

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        """What suits somebody with this history, best first: at most `limit` products, none of `excluded`.

        Baskets are completed by exact counts, with the ranker's candidates behind them: no ranker has beaten these yet.
        Where nothing was learned for the purpose, all of a history is newer than the snapshot, or no component knows a
        candidate for it, `for_you` answers.
        """
        model, room = self._tail.configuration.model, limit + len(excluded)
        if model == "popularity":
            return _without(excluded, self.popular(None, room), limit)
        if purpose == "similar" or model == "similar":
            found = _without(excluded, self.similar(_recent_seeds(history), room), limit)
        elif "bought_together" in (purpose, model) or (purpose == "basket" and model == "auto" and self._rankers):
            found = _without(excluded, self.bought_together(_recent_seeds(history), room), limit)
        else:
            candidates = self._ranked(purpose, history, limit, excluded)
            if candidates is None or (model in _WHOLE and not len(candidates.products) and len(history.products)):
                return _without(excluded, self.for_you(_recent_seeds(history), room), limit)
            return self._followed(candidates, limit, excluded)
        if model != "auto" or self._rankers is None or len(found.products) == limit:
            return found
        missing, known = limit - len(found.products), np.concatenate((excluded, found.products))
        if purpose == "basket":
            more = self._ranked(purpose, history, missing, known)
            return found if more is None else _behind(found, self._followed(more, missing, known))
        more = self._from_lists(_KIND_OF[purpose], _recent_seeds(history), missing + len(known), self._related)
        return _behind(found, _without(known, more, missing))

    def _ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates | None:
        """By the ranker of a purpose; None where there is none, or the snapshot has no product of the history."""
        if self._rankers is None or purpose not in self._rankers:
            return None
        out = _room(limit)
        count = self._rankers.rank(purpose, history, excluded, self._frozen_held, out)
        return None if count < 0 else _candidates(_KIND_OF[purpose], out, min(count, limit))

    def _followed(self, found: Candidates, limit: int, excluded: IntVector) -> Candidates:
        """Candidates with what is popular behind them, up to the limit; its scores only say that it comes later."""
        missing = limit - len(found.products)
        if missing <= 0:
            return found
        taken = np.concatenate((excluded, found.products))
        popular = self.popular(None, limit + len(excluded)).products
        more = popular[~np.isin(popular, taken)][:missing]
        size = len(more)
        falling: FloatVector = -1.0 - np.arange(size, dtype=np.float64)
        nothing = (np.full(size, -1, np.int32), np.zeros(size, np.int64), np.zeros(size))
        return _behind(found, Candidates(found.kind, more, falling, *nothing))

    def neighbours_of_text(self, product: Product, limit: int) -> Candidates:
        """Substitutes of a product by its words alone, whether the shop has it or not. Cost: some 100 µs."""
        return self._text.neighbours(product, min(limit, LIMIT_MAX), styles=False)

    def pair_counts(self, first: int, second: int) -> tuple[int, int, int, int]:
        """Orders with both products, with the first, with the second, and in all: exact, for any pair."""
        fresh = self._tail.arrays
        total = [int(fresh.totals[product, 0]) for product in (first, second)]
        common = 0
        rows = [self._row(product) for product in (first, second)]
        if min(rows) >= 0 and self._snapshot is not None:
            start, orders = self._frozen.posting_start, self._frozen.posting_order
            mine, theirs = (orders[start[row] : start[row + 1]] for row in rows)
            common = len(np.intersect1d(mine, theirs, assume_unique=True))
        node = int(fresh.head[first])
        while node >= 0:
            order = int(fresh.node_order[node])
            lines = fresh.node_product[fresh.order_start[order] : fresh.order_start[order + 1]]
            common += int(fresh.order_numbers[order, 1]) * int(second in lines)
            node = int(fresh.node_next[node])
        return common, total[0], total[1], self._tail.orders

    def _row(self, product: int) -> int:
        return int(self._frozen.row_of_index[product]) if product < len(self._frozen.row_of_index) else -1

    def _known(self, seeds: Seeds, fresh: Fresh) -> tuple[IntVector, FloatVector]:
        products, weights = seeds
        if len(products) > SEEDS_MAX:
            products, weights = products[:SEEDS_MAX], weights[:SEEDS_MAX]
        known = products.view(np.uint32) < len(fresh.head)  # a negative number is a very large one
        return (products, weights) if known.all() else (products[known], weights[known])

    def _fresh(self) -> tuple[Fresh, Held[Fresh]]:
        """The tail's arrays as they are now, and held; the tail puts longer ones in their place when it grows."""
        fresh = self._fresh_held
        if fresh[0] is not self._tail.arrays:
            arrays = self._tail.arrays
            fresh = self._fresh_held = (arrays, hold(arrays))
        return fresh

    def _work(self, fresh: Fresh) -> Held[Work]:
        """The scratch of every query: a kernel keeps the interpreter's lock, so that one at a time uses it."""
        work = self._query_work
        if work.capacity < len(fresh.head):
            work = self._query_work = _HeldWork(len(fresh.head))
        return work.held

    def _up_to_date_extras(self, seeds: IntVector, fresh: Fresh, held: Held[Fresh]) -> Held[Extras]:
        """Counts of pairs only the tail made worth knowing, made again for seeds with new orders."""
        extras = self._extras_held
        if self._snapshot is None or not any_stale(seeds, held, extras):
            return extras
        with self._extras_lock:
            while any_stale(seeds, held, self._extras_held):  # once more if they outgrew their room on the way
                for seed in seeds[fresh.head[seeds] >= 0].tolist():
                    self._make_extras(seed, fresh)
            return self._extras_held

    def _make_extras(self, seed: int, fresh: Fresh) -> None:
        capacity, head = len(fresh.head), int(fresh.head[seed])
        work = self._extras_work
        if len(work.seen) < capacity:
            work = self._extras_work = new_work(capacity)
        orders, weights = np.zeros(capacity, np.int64), np.zeros((capacity, 3), np.float64)
        count = count_extras(seed, self._frozen, fresh, work, orders, weights)
        extras, used = self._extras, self._extras_used
        if len(extras.span) < capacity or used + count > len(extras.product):
            extras, used = new_extras(capacity, max(2 * len(extras.product), used + count)), 0
        extras.product[used : used + count] = work.partners[:count]
        extras.orders[used : used + count] = orders[:count]
        extras.weights[used : used + count] = weights[:count]
        extras.span[seed] = (head, used, count)
        if extras is not self._extras:
            self._extras, self._extras_held = extras, hold(extras)
        self._extras_used = used + count

    def _from_lists(self, kind: ReasonKind, seeds: Seeds, limit: int, merger: Held[Merger]) -> Candidates:
        (fresh, _), out = self._fresh(), _room(limit)
        products, weights = self._known(seeds, fresh)
        count = rank_lists(products, weights, DEPTH_MAX, merger, out.scores, out.products, out.because)
        if count or not len(products):
            return _candidates(kind, out, count)
        for seed in products.tolist():
            stated = self._product_of(seed) if self._row(seed) < 0 else None
            if stated is not None:
                found = self._text.neighbours(stated, len(out.scores), styles=kind == "other_style")
                if len(found.products):
                    because = np.full(len(found.products), seed, np.int32)
                    return _of_kind(kind, found)._replace(because=because)
        return _candidates(kind, out, 0)

    def _wanted(self, kind: ReasonKind, category: tuple[str, ...] | None, limit: int) -> Candidates:
        (fresh, held), out = self._fresh(), _room(limit)
        places = self._categories.now(fresh)
        node = self._categories.find(category or ())
        popularity = self._tail.configuration.popularity
        share = popularity.recent_half_life_days / popularity.level_half_life_days
        count = rank_wanted(
            node,
            share if kind == "trending" else 0.0,
            len(out.scores),
            self._categories.listed(kind, node),
            self._frozen_held,
            held,
            places,
            self._work(fresh),
            out,
        )
        return _candidates(kind, out, count)


class _HeldWork:
    """Scratch for so many products. Not in a `threading.local`: what numba holds must not die with a thread."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.held = capacity, hold(new_work(capacity))


def _without(excluded: IntVector, found: Candidates, limit: int) -> Candidates:
    """The first `limit` candidates that are not excluded."""
    if not len(excluded) and len(found.products) <= limit:
        return found
    kept = np.flatnonzero(~np.isin(found.products, excluded))[:limit] if len(excluded) else slice(limit)
    columns: list[Array] = [column[kept] for column in found[1:]]
    return Candidates(found.kind, *columns)


def _behind(first: Candidates, second: Candidates) -> Candidates:
    """The second's candidates behind the first's, with scores that go on falling."""
    if not len(first.products) or not len(second.products):
        return first if len(first.products) else second._replace(kind=first.kind)
    second = second._replace(scores=second.scores - second.scores[0] + first.scores.min())
    columns: list[Array] = [np.concatenate((first[at], second[at])) for at in range(1, len(first))]
    return Candidates(first.kind, *columns)


def _recent_seeds(history: History) -> Seeds:
    """The newest different products of a history."""
    recent, back = np.unique(history.products[::-1], return_index=True)
    newest = np.argsort(back, kind="stable")[:SEEDS_MAX]
    return Seeds(recent[newest], _RECENCY[: len(newest)])


def _room(limit: int) -> Out:
    return new_out(max(1, min(limit, LIMIT_MAX)))


def _candidates(kind: ReasonKind, out: Out, count: int) -> Candidates:
    scores, products, because, orders, lift = out
    if count < len(scores):
        scores, products, because = scores[:count], products[:count], because[:count]
        orders, lift = orders[:count], lift[:count]
    return Candidates(kind, products, scores, because, orders, lift)


def _of_kind(kind: ReasonKind, candidates: Candidates) -> Candidates:
    return candidates._replace(kind=kind)
