"""Snapshot plus tail is what counting everything gives; and training does not depend on how facts arrive."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.events import CustomerErased, Event
from ingest.vocabulary.ids import PARTITIONS, ProductId, Subject, partition_of
from recommender.configuration import BoughtTogetherConfiguration, TrainingConfiguration
from recommender.segments import entry_of
from recommender.training import fit_in_memory
from tests.support.logs import PRODUCTS, logs_and_cuts, standing_orders
from tests.support.shops import live_after, together, wanted

LENIENT = TrainingConfiguration(bought_together=BoughtTogetherConfiguration(common_min=2, untested_orders=10))


@settings(max_examples=120, deadline=None)
@given(logs_and_cuts())
def test_tail_after_a_cut_counts_what_training_on_all_counts(drawn: tuple[list[Event], int]) -> None:
    events, cut = drawn
    followed = live_after(events, cut, LENIENT)
    trained = live_after(events, len(events), LENIENT)
    assert followed.tail.orders == trained.tail.orders
    for product in PRODUCTS:
        expected, found = together(trained, product), together(followed, product)
        assert {p: row[:2] for p, row in found.items()} == {p: row[:2] for p, row in expected.items()}
        for partner, (_, _, score) in expected.items():
            assert found[partner][2] == pytest.approx(score, rel=1e-4)
    expected_wanted, found_wanted = wanted(trained), wanted(followed)
    for product, (count, score) in expected_wanted.items():
        assert found_wanted[product][0] == count
        assert found_wanted[product][1] == pytest.approx(score, rel=1e-3, abs=1e-6)
    assert all(score < 1e-5 for p, (_, score) in found_wanted.items() if p not in expected_wanted)


@settings(max_examples=80)
@given(logs_and_cuts())
def test_evidence_is_what_a_plain_recount_of_the_orders_gives(drawn: tuple[list[Event], int]) -> None:
    events, cut = drawn
    standing = standing_orders(events)
    number = {product: sum(product in each for each in standing) for product in PRODUCTS}
    for live in (live_after(events, cut, LENIENT), live_after(events, len(events), LENIENT)):
        assert live.tail.orders == len(standing)
        assert {product: orders for product, (orders, _) in wanted(live).items() if orders} == {
            product: orders for product, orders in number.items() if orders
        }
        for product in PRODUCTS:
            for partner, (common, lift, _) in together(live, product).items():
                assert common == sum({product, partner} <= each for each in standing) >= 2
                expected = common * len(standing) / (number[product] * number[partner])
                assert lift == pytest.approx(expected)
        for first, second in itertools.combinations(PRODUCTS, 2):
            rows = [live.tail.index.find(ProductId(product)) for product in (first, second)]
            if None not in rows:
                common = sum({first, second} <= each for each in standing)
                assert live.pair_counts(*rows) == (common, number[first], number[second], len(standing))


@settings(max_examples=40, deadline=None)
@given(logs_and_cuts(), st.randoms(use_true_random=False))
def test_order_of_arrival_duplicates_and_names_of_subjects_do_not_change_a_snapshot(
    drawn: tuple[list[Event], int], randomness: random.Random
) -> None:
    events, _ = drawn
    shuffled = [*events, *events[: len(events) // 2]]
    randomness.shuffle(shuffled)
    renamed = [msgspec.structs.replace(e, subject=Subject(f"{e.subject}!")) for e in shuffled]  # type: ignore[attr-defined]
    once = fit_in_memory(events, LENIENT).snapshot_id
    assert fit_in_memory(renamed, LENIENT).snapshot_id == once
    assert fit_in_memory(events, msgspec.structs.replace(LENIENT, threads=2)).snapshot_id == once


@settings(max_examples=40, deadline=None)
@given(logs_and_cuts(), st.permutations(PRODUCTS))
def test_permuted_products_get_permuted_partners(drawn: tuple[list[Event], int], permuted: list[str]) -> None:
    events = [event for event in drawn[0] if not isinstance(event, CustomerErased)]
    other = dict(zip(PRODUCTS, permuted, strict=True))
    plain = live_after(events, len(events), LENIENT)
    moved = live_after([_renamed(event, other) for event in events], len(events), LENIENT)
    for product in PRODUCTS:
        expected = {other[partner]: row for partner, row in together(plain, product).items()}
        assert together(moved, other[product]) == expected


def _renamed(event: Event, other: dict[str, str]) -> Event:
    plain = msgspec.to_builtins(event)
    if "product_id" in plain:
        plain["product_id"] = other[plain["product_id"]]
    for line in plain.get("lines", ()):
        line["product_id"] = other[line["product_id"]]
    return msgspec.convert(plain, type(event))


@settings(max_examples=40, deadline=None)
@given(logs_and_cuts())
def test_applying_a_tail_again_changes_nothing(drawn: tuple[list[Event], int]) -> None:
    events, cut = drawn
    live = live_after(events, cut, LENIENT)
    before = [together(live, product) for product in PRODUCTS], wanted(live)
    ends = [-1] * PARTITIONS
    for event in events:
        partition = partition_of(event.key)
        ends[partition] += 1
        entry = entry_of(event, ends[partition])
        assert entry is None or not live.tail.apply(partition, entry)
    assert ([together(live, product) for product in PRODUCTS], wanted(live)) == before
