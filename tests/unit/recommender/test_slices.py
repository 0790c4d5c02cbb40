"""What is held back from the models is nowhere in what they see, in any odd shop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.candidates.slices import Slice, cut, newest_of, without
from recommender.interactions import ORDER, Interactions
from tests.support.browsing import Row, rows_of, shop_of

GAP_S = 1000


def lines(interactions: Interactions) -> set[tuple[int, int]]:
    """Order and product of every line, of the interactions."""
    of_order = interactions.order >= 0
    return set(zip(interactions.order[of_order].tolist(), interactions.product[of_order].tolist(), strict=True))


def lines_of_orders(interactions: Interactions) -> set[tuple[int, int]]:
    orders = interactions.orders
    owner = np.repeat(np.arange(len(orders)), np.diff(orders.start))
    return set(zip(owner.tolist(), orders.products.tolist(), strict=True))


def entries(interactions: Interactions) -> list[tuple[int, int, int, int]]:
    """Person, product, time and kind."""
    columns = (interactions.person[interactions.subject], interactions.product, interactions.time_s, interactions.kind)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def assert_sound(shop: Interactions, held: Slice) -> None:
    """Orders and interactions agree; times in histories ascend."""
    assert lines(held.rest) == lines_of_orders(held.rest)
    assert len(held.rest.orders) == len(shop.orders)
    assert set(entries(held.rest)) <= set(entries(shop))
    for questions in held.questions.values():
        assert len(questions)
        assert (questions.targets.sizes() == 1).all()
        for at in range(len(questions)):
            history = questions.history(at)
            assert len(history.products)
            assert (np.diff(history.time_s) >= 0).all()
            assert history.products.max() < len(shop.products)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 200))
def test_the_newest_interactions_are_the_last_ones_with_whole_orders(
    seed: int, subjects: int, entries_max: int
) -> None:
    shop = shop_of(rows_of(seed, subjects, 12), 12)
    newest = newest_of(shop, entries_max)
    size, more = len(newest.kind), len(newest.kind) - min(entries_max, len(shop.kind))
    assert 0 <= more < 12
    assert more == 0 or (newest.order[: more + 1] == newest.order[0]).all()
    for column in ("kind", "subject", "product", "time_s", "quantity"):
        assert getattr(newest, column).tolist() == getattr(shop, column)[len(shop.kind) - size :].tolist()
    assert lines(newest) == lines_of_orders(newest)
    assert len(newest.orders) == len({order for order, _ in lines(newest)})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 12))
def test_what_is_asked_for_is_nowhere_in_the_rest(seed: int, subjects: int, products: int) -> None:
    shop = shop_of(rows_of(seed, subjects, products), products)
    held = cut(shop, GAP_S)
    assert_sound(shop, held)
    rest, gone = entries(held.rest), entries(shop)
    for each in rest:
        gone.remove(each)
    asked = held.questions.get("for_you")
    for at in range(len(asked) if asked else 0):
        history, target = asked.history(at), int(asked.targets.row(at)[0])
        assert target not in history.products.tolist()
        moments = [time_s for _, product, time_s, kind in gone if product == target and kind == ORDER]
        if (shop.kind == ORDER).any():
            assert any(history.time_s[-1] <= time_s for time_s in moments), "the history ends before the target"
            assert target not in asked.excluded.row(at).tolist()
    asked = held.questions.get("next_item")
    for at in range(len(asked) if asked else 0):
        history, target = asked.history(at), int(asked.targets.row(at)[0])
        told = set(zip(history.products.tolist(), history.time_s.tolist(), strict=True))
        people = {person for person, product, time_s, _ in gone if (product, time_s) in told}
        assert any(
            product == target and time_s >= history.time_s[-1] and person in people
            for person, product, time_s, _ in gone
        )


def test_of_a_person_everything_with_the_target_is_held_back() -> None:
    rows: list[Row] = []
    for person in range(30):
        at = person * 100_000
        rows += [
            (person, 0, at, -1),
            (person, 1, at + 5000, -1),
            (person, 1, at + 9000, person),
            (person, 2, at + 2000, -1),
        ]
    held = cut(shop_of(rows, 3), GAP_S)
    assert len(held.questions["for_you"]) == 30
    assert set(held.questions["for_you"].targets.values.tolist()) == {1}
    assert 1 not in held.rest.product.tolist()
    assert 1 not in held.rest.orders.products.tolist()
    assert held.questions["for_you"].history(0).products.tolist() == [0, 2]


def test_held_orders_leave_no_line_and_ask_for_one_of_their_products() -> None:
    rows = [(order, each, order * 1000, order) for order in range(40) for each in (order % 3, 3, 4 + order % 2)]
    shop = shop_of(rows, 6)
    held = cut(shop, GAP_S)
    asked = held.questions["basket"]
    assert len(asked) == 4
    for at in range(4):
        order = {*asked.history(at).products.tolist(), *asked.targets.row(at).tolist()}
        assert order == {(36 + at) % 3, 3, 4 + at % 2}
        assert asked.excluded.row(at).tolist() == sorted(asked.history(at).products.tolist())
    assert not [order for order, _ in lines(held.rest) if order >= 36]


def test_visits_are_held_back_whole_and_only_the_newest() -> None:
    rows = [(person, (person + at) % 7, person * 10_000 + at, -1) for person in range(50) for at in range(4)]
    held = cut(shop_of(rows, 7), GAP_S)
    assert len(held.questions["next_item"]) == 5 * 3
    assert not [time_s for time_s in held.rest.time_s.tolist() if time_s >= 45 * 10_000]


ODD: dict[str, tuple[list[Row], int]] = {
    "nothing": ([], 0),
    "a catalogue alone": ([], 4),
    "one product": ([(who, 0, who * 50, -1) for who in range(40)], 1),
    "one person": ([(0, at % 5, at * 700, -1) for at in range(60)], 5),
    "nothing but repeats": ([(who, who % 5, who * 9000 + at, -1) for who in range(40) for at in range(5)], 5),
    "no repeats": ([(at // 3, at, at * 10, -1) for at in range(90)], 90),
    "100 sessions": ([(who, (who * at) % 9, who * 9000 + at, -1) for who in range(100) for at in range(4)], 9),
    "all times equal": ([(who, (who + at) % 6, 77, who if who % 2 else -1) for who in range(50) for at in range(3)], 6),
    "orders of one line": ([(who, who % 4, who * 9000, who) for who in range(50)], 4),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_shops_are_cut_and_cut_the_same_again(name: str) -> None:
    shop = shop_of(*ODD[name])
    held, again = cut(shop, GAP_S), cut(shop, GAP_S)
    assert_sound(shop, held)
    assert entries(held.rest) == entries(again.rest)
    assert held.questions.keys() == again.questions.keys()
    for purpose, questions in held.questions.items():
        assert questions.products.values.tobytes() == again.questions[purpose].products.values.tobytes()
        assert questions.targets.values.tobytes() == again.questions[purpose].targets.values.tobytes()


@given(st.integers(0, 2**31), st.integers(1, 20))
def test_without_some_interactions_orders_lose_just_their_lines(seed: int, subjects: int) -> None:
    shop = shop_of(rows_of(seed, subjects, 6), 6)
    gone = np.random.default_rng(seed).random(len(shop.kind)) < 0.3
    rest = without(shop, gone)
    assert lines(rest) == lines_of_orders(rest)
    assert len(rest.kind) == len(shop.kind) - gone.sum()
    assert (rest.orders.day.tolist(), len(rest.orders.start)) == (shop.orders.day.tolist(), len(shop.orders) + 1)
    assert without(shop, np.zeros(len(shop.kind), np.bool_)) is shop
