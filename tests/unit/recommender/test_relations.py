"""Substitutes and complements: kinds told by category and words, and one list of the related where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import History, ProductIndex
from recommender.candidates.plan import LISTS
from recommender.configuration import TrainingConfiguration
from recommender.interactions import VIEW, interactions_of
from recommender.live import LiveModels
from recommender.models.neighbours import Neighbours
from recommender.models.stand_ins import kinds_first
from recommender.related import KEPT, WEIGHTS, blended, either, standing_of
from recommender.snapshot import Snapshot
from recommender.tail import Tail
from recommender.training import fit_in_memory
from tests.support.histories import order, titled, upserted
from tests.support.shops import ids, live_after, seeds

BAGS, MUGS = ("Bags",), ("Kitchen", "Mugs")
STATED = (
    titled("a", "Lunch bag red", category=BAGS),
    titled("b", "Lunch bag pink", category=BAGS),
    titled("c", "Jumbo bag with apples and retrospot pears", category=BAGS),
    titled("d", "Retrospot mug red", category=MUGS),
    titled("e", "Retrospot mug blue", category=MUGS),
    titled("f", "Cushion", category=("Home",)),
)


def stated(*products: Any) -> list[Event]:
    return [upserted(each) for each in products]


def kinds(live: LiveModels, asked: str, products: Sequence[str], looked_at: int = 10) -> list[int]:
    numbers = [live.tail.index.add(ProductId(each)) for each in products]
    return live.kinds(seeds(live, asked).products, np.array(numbers, np.int32), looked_at).tolist()


def test_kinds_are_told_by_category_and_a_word_and_patterns_are_not_kinds() -> None:
    events = stated(*STATED)
    live = live_after(events, len(events))
    assert kinds(live, "a", "bcdef") == [2, 2, 0, 1, 0]
    assert kinds(live, "d", "eabf") == [2, 0, 1, 0], "two lunch bags are all but the same"
    assert kinds(live, "f", "acde") == [0, 0, 0, 1], "a lunch bag and a jumbo bag are not"
    assert kinds(live, "f", "de", looked_at=0) == [0, 0]


def test_without_categories_half_of_the_words_make_a_kind_and_variants_always_are_one() -> None:
    alone = [msgspec.structs.replace(each, category=()) for each in STATED]
    variants = [
        titled("v", "Round clay vase", item_group_id="g"),
        titled("w", "Vase", item_group_id="g", category=MUGS),
    ]
    events = stated(*alone, *variants)
    live = live_after(events, len(events))
    assert kinds(live, "d", "ea") == [2, 0]
    assert kinds(live, "v", "wd") == [2, 0]
    assert kinds(live, "w", "vd") == [2, 0]


def test_what_the_snapshot_lacks_or_has_no_kinds_for_is_of_no_kind() -> None:
    events = stated(*STATED)
    live = live_after(events, len(events) - 1)
    assert kinds(live, "f", "ab") == [0, 1]
    assert kinds(live, "a", ["f", "never-heard", "b"]) == [0, 0, 2]
    trained = fit_in_memory(events, TrainingConfiguration())
    old = {name: trained[name] for name in trained._arrays if "stand_ins" not in name}
    before = live_of(Snapshot(trained.snapshot_id, old))
    assert kinds(before, "a", "bc") == [0, 0]


def live_of(snapshot: Snapshot) -> LiveModels:
    index = ProductIndex()
    return LiveModels(snapshot, Tail(index, snapshot), index)


def test_substitutes_of_the_same_kind_come_before_other_things_of_the_same_pattern() -> None:
    events = stated(*STATED)
    live = live_after(events, len(events))
    assert ids(live, live.similar(seeds(live, "d"), 5))[0] == "e"
    assert ids(live, live.similar(seeds(live, "a"), 5))[:2] == ["b", "c"]


def lists_of(found: list[list[tuple[int, float]]]) -> Neighbours:
    rows = [sorted(each, key=lambda entry: (-entry[1], entry[0])) for each in found]
    return Neighbours(
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        np.array([row for each in rows for row, _ in each], np.int32),
        np.array([score for each in rows for _, score in each], np.float32),
    )


PRODUCTS = 6
some_lists = st.lists(
    st.lists(
        st.tuples(st.integers(0, PRODUCTS - 1), st.sampled_from([0.25, 0.5, 1.0, 2.0])),
        max_size=5,
        unique_by=lambda each: each[0],
    ),
    min_size=PRODUCTS,
    max_size=PRODUCTS,
).map(lists_of)


def row_of(lists: Neighbours, at: int) -> dict[int, float]:
    part = slice(lists.start[at], lists.start[at + 1])
    return dict(zip(lists.row[part].tolist(), lists.score[part].tolist(), strict=True))


@given(st.lists(some_lists, min_size=len(WEIGHTS), max_size=len(WEIGHTS)), st.sampled_from([1.0, 2.0]))
@settings(max_examples=100, deadline=None)
def test_a_blend_adds_shares_of_each_list_s_best_and_counts_peers_in_full(found: list[Neighbours], far: float) -> None:
    by_name = dict(zip(WEIGHTS, found, strict=True))
    none = lists_of([[] for _ in range(PRODUCTS)])
    every = [by_name.get(name, none) for name in LISTS]
    behind = np.cumsum([0, *(len(each.row) for each in every)])
    ranking = {
        "list_start": np.stack([each.start + behind[at] for at, each in enumerate(every)]),
        "list_row": np.concatenate([each.row for each in every]).astype(np.int32),
        "list_score": np.concatenate([each.score for each in every]).astype(np.float32),
    }
    standing = np.array([far] + [1.0] * (PRODUCTS - 1), np.float32)
    blend = blended(ranking, standing)
    for here in range(PRODUCTS):
        expected: dict[int, float] = {}
        for name, weight in WEIGHTS.items():
            listed = row_of(by_name[name], here)
            for there, score in listed.items():
                share = weight / sum(WEIGHTS.values()) * score / max(listed.values())
                expected[there] = expected.get(there, 0.0) + share
        expected.pop(here, None)
        expected = {there: each / (far if 0 in (here, there) else 1.0) for there, each in expected.items()}
        assert row_of(blend, here) == pytest.approx(expected, rel=1e-5)
        scores = blend.score[blend.start[here] : blend.start[here + 1]]
        assert (np.diff(scores) <= 0).all()
    assert np.diff(blend.start).max() <= KEPT


@given(some_lists, some_lists, st.lists(st.booleans(), min_size=PRODUCTS, max_size=PRODUCTS))
def test_either_takes_whole_lists(first: Neighbours, second: Neighbours, chosen: list[bool]) -> None:
    mixed = either(first, second, np.array(chosen))
    for at, is_second in enumerate(chosen):
        assert row_of(mixed, at) == row_of(second if is_second else first, at)


@given(some_lists, some_lists)
def test_kinds_first_keeps_what_is_listed_and_quarters_other_kinds(listed: Neighbours, of_kind: Neighbours) -> None:
    rows = [sorted(row_of(of_kind, at)) for at in range(PRODUCTS)]
    ordered = kinds_first(listed, of_kind.start, np.array([each for row in rows for each in row], np.int32))
    for at in range(PRODUCTS):
        factor = {there: 0.25 if rows[at] and there not in rows[at] else 1.0 for there in range(PRODUCTS)}
        assert row_of(ordered, at) == {there: factor[there] * score for there, score in row_of(listed, at).items()}
        assert (np.diff(ordered.score[ordered.start[at] : ordered.start[at + 1]]) <= 0).all()


def people() -> list[Event]:
    """a and b, and c and d, are taken by the same people, one a day; s by everybody, every day."""
    return [
        order(f"{pair}{person}-{day}", f"{pair[day % 2]}s", day=day, subject=f"{pair}{person}")
        for person in range(15)
        for pair in ("ab", "cd")
        for day in range(2 + person % 3)
    ]


@pytest.fixture(scope="module")
def wordless() -> LiveModels:
    return live_of(fit_in_memory(people(), TrainingConfiguration(ranker=True)))


def ask(live: LiveModels, product: str, purpose: Any) -> list[str]:
    products = seeds(live, product).products
    history = History(products, np.zeros(1, np.int64), np.full(1, VIEW, np.int8))
    return ids(live, live.ranked(purpose, history, 3, products))


def test_without_words_what_the_same_people_take_is_related_and_a_staple_less_similar_than_bought_with(
    wordless: LiveModels,
) -> None:
    snapshot = wordless.snapshot
    assert snapshot is not None
    rows = snapshot.unpack("products", list[str])
    together = Neighbours(*(snapshot[f"related.{part}"] for part in Neighbours._fields))
    similar = Neighbours(*(snapshot[f"similar.similar_{part}"] for part in Neighbours._fields))
    for one, other in ("ab", "ba", "cd", "dc"):
        as_complement, as_substitute = (row_of(each, rows.index(one)) for each in (together, similar))
        staple, peer = rows.index("s"), rows.index(other)
        assert as_substitute[staple] / as_substitute[peer] < as_complement[staple] / as_complement[peer]
        assert set(ids(wordless, wordless.similar(seeds(wordless, one), 2))) == {"s", other}
        assert set(ask(wordless, one, "similar")[:2]) == {"s", other}
        assert ask(wordless, one, "bought_together")[0] == "s", "orders in common are proof"
        assert other in ask(wordless, one, "bought_together")[:2], "then what else goes with it"


def test_products_with_words_keep_their_words() -> None:
    plain, learned = (
        fit_in_memory([*stated(*STATED), *people()], TrainingConfiguration(ranker=ranker)) for ranker in (False, True)
    )
    rows = plain.unpack("products", list[str])
    for product in "abcdef":
        at = rows.index(product)
        one, other = (
            Neighbours(*(each[f"similar.similar_{part}"] for part in Neighbours._fields)) for each in (plain, learned)
        )
        assert row_of(one, at) == row_of(other, at)


def test_standing_grows_with_how_often_a_product_is_taken() -> None:
    interactions = interactions_of(people())
    standing = dict(zip(interactions.products, standing_of(interactions).tolist(), strict=True))
    assert standing[ProductId("s")] == max(standing.values())
    assert standing[ProductId("s")] > standing[ProductId("a")] > 1.0
