"""The tail: what came after a snapshot is counted, whatever room it needs and however it is kept."""

from __future__ import annotations

import random
import string

import numpy as np
import pytest

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import FROM_THE_START, ProductId
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import ProductIndex
from recommender import tail as tail_module
from recommender.configuration import BoughtTogetherConfiguration, TrainingConfiguration
from recommender.interactions import ORDER, VIEW
from recommender.live import LiveModels
from recommender.segments import Entry, entry_of, partition_and_first_offset, segment_key
from recommender.tail import Tail
from recommender.training import fit_in_memory
from tests.support.histories import cancelled, erased, order, refunded, view
from tests.support.shops import ids, live_after, seeds, together, wanted

LENIENT = TrainingConfiguration(bought_together=BoughtTogetherConfiguration(common_min=1, untested_orders=1_000))
LETTERS = string.ascii_letters


def busy_history() -> list[Event]:
    """Orders and views of ever more products, some orders cancelled."""
    draw = random.Random(11)
    facts: list[Event] = []
    for number in range(160):
        known = LETTERS[: 4 + number // 4]
        facts.append(order(str(number), "".join(draw.sample(known, min(len(known), 4))), day=number / 8))
        facts.append(view(draw.choice(known), day=number / 8, subject=f"s{number % 9}"))
        if number % 10 == 9:
            facts.append(cancelled(str(number - 5), day=number / 8))
    return facts


@pytest.mark.parametrize("trained", [0, 100])
def test_a_tail_that_outgrows_its_room_again_and_again_counts_the_same(
    trained: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = busy_history()
    roomy = live_after(facts, trained, LENIENT)
    monkeypatch.setattr(tail_module, "_ROOM", 2)
    cramped = live_after(facts, trained, LENIENT)
    assert len(roomy.tail.arrays.head) > len(cramped.tail.arrays.head) >= 44
    assert cramped.tail.positions == roomy.tail.positions
    assert cramped.tail.orders == roomy.tail.orders == 160 - 16
    for product in LETTERS[:44]:
        assert together(cramped, product) == together(roomy, product)
    assert wanted(cramped) == wanted(roomy)


def test_answers_follow_a_tail_that_grows_under_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "_ROOM", 2)
    before, later = busy_history()[:40], [order(f"l-{each}", f"a{LETTERS[each]}", day=20) for each in range(1, 50)]
    live, whole = live_after(before, 20, LENIENT), live_after([*before, *later], 20, LENIENT)
    for number, placed in enumerate(later):
        entry = entry_of(placed, 1_000 + number)
        assert entry is not None
        assert live.tail.apply(0, entry)
        together(live, "a")  # asks in between, so that the next growth happens under arrays that are in use
    assert together(live, "a") == together(whole, "a")
    assert wanted(live) == wanted(whole)


def test_kept_segments_are_applied_beyond_the_cut_and_only_teach_before_it() -> None:
    first, second = (order(number, "ab", day=1) for number in "12")
    entries = [entry_of(event, offset) for offset, event in enumerate((first, second, view("a", 1), view("c", 1)))]
    kept = tuple(entry for entry in entries if entry is not None)
    key = segment_key(3, 0)
    assert partition_and_first_offset(key) == (3, 0)
    whole, partly = Tail(ProductIndex()), Tail(ProductIndex(), cut=(*FROM_THE_START[:3], 1, *FROM_THE_START[4:]))
    for tail in (whole, partly):
        tail.apply_segments([(key, kept[:3]), (key, kept)])
        assert tail.positions[3] == 3
        assert [position for position in tail.positions if position != -1] == [3]
    assert (whole.orders, partly.orders) == (2, 0)
    again = entry_of(first, 9)
    assert again is not None
    assert partly.apply(3, again), "read, and recognised"
    assert partly.orders == 0
    assert not partly.apply(3, again)


def test_an_entry_is_counted_once() -> None:
    tail = Tail(ProductIndex())
    bought = Entry(ORDER, 5, 86_400, "s", ("a", "b"), b"order-number-one")
    assert tail.apply(0, bought)
    assert not tail.apply(0, bought)
    assert tail.apply(0, Entry(ORDER, 6, 86_400, "s", ("a", "b"), b"order-number-one"))
    assert tail.orders == 1
    assert tail.apply(1, Entry(VIEW, 0, 86_400, "s", ("c",)))
    assert tail.positions[:2] == (6, 0)


@pytest.mark.parametrize("trained", [0, 3])
def test_a_return_takes_from_an_order_of_the_snapshot_or_of_the_tail(trained: int) -> None:
    placed = [order("1", "abc", quantity=2), order("2", "ab"), order("3", "ac")]
    live = live_after(placed, trained, LENIENT)

    def told(offset: int, event: Event) -> None:
        entry = entry_of(event, 1_000 + offset)
        assert entry is not None
        assert live.tail.apply(0, entry)

    told(0, refunded("1", "b", 1))
    assert together(live, "a")["b"][0] == 2, "one of two is left"
    told(1, refunded("1", "b", 1))
    assert together(live, "a")["b"][0] == 2, "the same one, told again"
    told(2, refunded("1", "b", 2))
    assert (together(live, "a")["b"][0], together(live, "a")["c"][0]) == (1, 2)
    trained_on_all = live_after([*placed[1:], order("1", "ac"), view("z", 2)], 4, LENIENT)
    for partner, (*evidence, score) in together(trained_on_all, "a").items():
        assert together(live, "a")[partner] == (*evidence, pytest.approx(score, rel=1e-5))
    told(3, refunded("1", "ac", 3, quantity=2))
    assert live.tail.orders == 2, "nothing is left"
    told(4, cancelled("1", 4))
    told(5, cancelled("2", 4))
    told(6, refunded("2", "a", 5))
    assert live.tail.orders == 1
    assert together(live, "a") == {"c": (1, *together(live, "a")["c"][1:])}


def test_whoever_is_forgotten_takes_along_what_was_left_of_their_orders() -> None:
    facts = [order("1", "abc", subject="ann"), refunded("1", "b", 1), erased("ann", 2), refunded("1", "c", 3)]
    live = live_after([order("2", "ac"), *facts], 1, LENIENT)
    assert live.tail.orders == 1
    assert together(live, "a")["c"][0] == 1
    assert wanted(live)["a"][0] == 1


def test_a_return_before_the_cut_of_an_order_behind_it_counts_whichever_is_read_first() -> None:
    bought, returned = order("1", "ab"), refunded("1", "b", 1)
    for first, second in ((0, 1), (1, 0)):
        tail = Tail(ProductIndex(), cut=(*FROM_THE_START[:1], 5, *FROM_THE_START[2:]))
        entries = [(0, entry_of(bought, 0)), (1, entry_of(returned, 5))]
        for partition, entry in (entries[first], entries[second]):
            assert entry is not None
            assert tail.apply(partition, entry)
        live = LiveModels(None, tail, tail.index)
        assert set(wanted(live)) == {"a"}


def test_a_product_is_looked_up_when_it_is_new_and_when_the_shop_states_it_anew() -> None:
    index = ProductIndex([ProductId("a")])
    snapshot = fit_in_memory([order("1", "ab")], LENIENT)
    tail = Tail(index, snapshot)
    assert not tail.restated
    tail.apply(0, Entry(VIEW, 0, 86_400, "s", ("c",)))
    tail.apply(0, Entry(VIEW, 1, 86_400, "t", ("c",)))
    assert list(tail.restated) == [index.find(ProductId("c"))]
    tail.restate(ProductId("b"))
    assert list(tail.restated)[1:] == [index.find(ProductId("b"))]


def test_popularity_follows_products_from_category_to_category() -> None:
    shelves = {"a": ("Kitchen", "Mugs"), "b": ("Kitchen",), "c": ()}

    def product_of(number: int) -> Product | None:
        product_id = index.product_id(number)
        path = shelves.get(product_id)
        return None if path is None else Product(product_id=product_id, title=product_id, category=path)

    def popular(*category: str) -> list[str]:
        return sorted(ids(live, live.popular(category or None, 10)))

    index = ProductIndex()
    facts = [order(str(number), "abcd") for number in range(5)]
    tail = Tail(index, fit_in_memory(facts, LENIENT))
    live = LiveModels(tail.snapshot, tail, index, product_of)
    assert (popular("Kitchen"), popular("Kitchen", "Mugs"), popular("Garden")) == (["a", "b"], ["a"], [])
    shelves["a"], shelves["d"] = ("Garden", "Pots"), ("Kitchen", "Mugs")
    tail.restate(ProductId("a"))
    tail.restate(ProductId("d"))
    assert (popular("Kitchen"), popular("Kitchen", "Mugs")) == (["b", "d"], ["d"])
    assert (popular("Garden"), popular("Garden", "Pots")) == (["a"], ["a"])
    assert popular() == ["a", "b", "c", "d"]
    tail.apply(0, Entry(VIEW, 0, 1_299_000_000, "s", ("e",)))
    shelves["e"] = ("Garden",)
    assert popular("Garden") == ["a", "e"]
    liked = live.for_you(seeds(live, "e"), 5)
    assert "e" not in ids(live, liked)
    assert np.all(np.diff(liked.scores) <= 0)
