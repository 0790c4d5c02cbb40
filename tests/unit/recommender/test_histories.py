"""Histories: cut at pauses, cut to their newest entries, in order of their last moments."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.histories import (
    HISTORY_MAX,
    Histories,
    baskets_of,
    distinct,
    histories_of,
    newest,
    newest_entries,
    newest_of_each,
    postings_of,
)
from recommender.interactions import ORDER, VIEW
from tests.support.browsing import histories, rows_of, shop_of


def written(found: Histories) -> list[list[int]]:
    return [part.tolist() for part in np.split(found.product, found.start[1:-1])] if len(found) else []


def test_a_pause_longer_than_the_gap_ends_a_visit_and_no_shorter_one_does() -> None:
    shop = shop_of([(0, 1, 0, -1), (1, 2, 5, -1), (0, 3, 10, -1), (0, 4, 21, -1), (1, 5, 15, -1)], 6)
    assert written(histories_of(shop, 10)) == [[1, 3], [2, 5], [4]]
    assert written(histories_of(shop, 11)) == [[2, 5], [1, 3, 4]]
    assert written(histories_of(shop, None)) == [[2, 5], [1, 3, 4]]


def test_histories_hold_the_kinds_and_times_of_their_entries() -> None:
    found = histories_of(shop_of([(0, 1, 7, -1), (0, 2, 9, 3)], 3), None)
    assert (found.time_s.tolist(), found.kind.tolist(), found.unit.tolist()) == ([0, 2], [VIEW, ORDER], [0, 0])


def test_times_take_half_the_room_where_they_span_less_than_a_lifetime() -> None:
    for last, kind in ((2**31 + 4, np.int32), (2**31 + 5, np.int64)):
        found = histories_of(shop_of([(0, 1, 5, -1), (0, 2, last, -1)], 3), None)
        assert (found.time_s.dtype, found.time_s.tolist()) == (kind, [0, last - 5])


def test_of_a_long_history_the_newest_entries_stay() -> None:
    found = histories_of(shop_of([(0, at % 7, at, -1) for at in range(HISTORY_MAX + 5)], 7), 10)
    assert (len(found), len(found.product), int(found.time_s[0])) == (1, HISTORY_MAX, 5)


def test_a_shop_without_interactions_has_no_histories() -> None:
    for products in (0, 3):
        nothing = shop_of([], products)
        for found in (histories_of(nothing, 10), histories_of(nothing, None), baskets_of(nothing)):
            assert (len(found), len(found.product), len(distinct(found)), len(newest(found, 5))) == (0, 0, 0, 0)
            assert postings_of(found).start.tolist() == [0] * (products + 1)


def test_baskets_are_orders_on_their_day() -> None:
    found = baskets_of(shop_of([(0, 4, 90_000, 7), (0, 1, 90_000, 7), (1, 2, 5, -1), (1, 2, 200_000, 8)], 5))
    assert written(found) == [[1, 4], [2]]
    assert found.time_s.tolist() == [86_400, 86_400, 172_800]
    assert set(found.kind.tolist()) == {ORDER}


def test_distinct_keeps_the_newest_of_each_product_in_ascending_order() -> None:
    found = distinct(histories("cabac", "bb"))
    assert written(found) == [[0, 1, 2], [1]]
    assert found.time_s.tolist() == [3, 2, 4, 86_401]


@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 15))
def test_histories_and_postings_hold_every_entry_once(seed: int, subjects: int, count: int) -> None:
    shop = shop_of(rows_of(seed, subjects, 5), 5)
    found = histories_of(shop, 1000)
    moments = found.time_s + shop.time_s[:1]
    told = sorted(zip(found.product.tolist(), moments.tolist(), found.kind.tolist(), strict=True))
    assert told == sorted(zip(shop.product.tolist(), shop.time_s.tolist(), shop.kind.tolist(), strict=True))
    last = found.time_s[found.start[1:] - 1]
    assert (np.diff(last) >= 0).all()
    postings = postings_of(found)
    for product in range(5):
        entries = postings.entry[postings.start[product] : postings.start[product + 1]]
        assert entries.tolist() == np.flatnonzero(found.product == product).tolist()
    assert written(newest(found, count)) == written(found)[max(0, len(found) - count) :]


@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(1, 6))
def test_of_each_product_the_newest_entry_stays_and_only_of_the_newest(seed: int, subjects: int, limit: int) -> None:
    found = histories_of(shop_of(rows_of(seed, subjects, 5), 5), None)
    start, entry = newest_of_each(found.start, found.product, 5, limit)
    for at, (begin, end) in enumerate(pairwise(found.start.tolist())):
        newest_of = {product: place for place, product in enumerate(found.product[begin:end].tolist(), begin)}
        kept = sorted(newest_of.values())[-limit:]
        expected = sorted(kept, key=lambda place: int(found.product[place]))
        assert entry[start[at] : start[at + 1]].tolist() == expected


@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 40))
def test_the_newest_entries_are_those_of_the_last_whole_histories(seed: int, subjects: int, entries_max: int) -> None:
    found = histories_of(shop_of(rows_of(seed, subjects, 5), 5), 1000)
    some = newest_entries(found, entries_max)
    assert written(some) == written(found)[len(found) - len(some) :]
    assert len(some.product) <= entries_max
    if len(some) < len(found):
        assert len(some.product) + len(written(found)[len(found) - len(some) - 1]) > entries_max
