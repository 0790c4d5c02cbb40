"""What every store of folded states promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.vocabulary.errors import PositionConflict
from ingest.vocabulary.ids import PARTITIONS
from ingest.vocabulary.ports import StateStore
from tests.contract.conftest import OpenStore


def test_an_empty_store_has_no_states_and_no_positions(store: StateStore) -> None:
    assert store.positions() == (-1,) * PARTITIONS
    assert store.load("trail", ["a", "b"]) == {}
    assert list(store.scan("trail")) == []


def test_states_and_position_are_kept_together(store: StateStore) -> None:
    store.commit({("trail", "a"): b"1", ("trail", "b"): b"", ("other", "a"): b"2"}, partition=3, before=-1, after=7)
    assert store.positions() == (-1, -1, -1, 7, *(-1,) * 12)
    assert store.load("trail", ["a", "b", "c"]) == {"a": b"1", "b": b""}
    assert store.load("other", {"a"}) == {"a": b"2"}


def test_a_commit_from_another_position_changes_nothing(store: StateStore) -> None:
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=4)
    for before in (-1, 3, 5):
        with pytest.raises(PositionConflict):
            store.commit(
                {("trail", "a"): b"2", ("trail", "b"): b"2", ("trail", "c"): None},
                partition=0,
                before=before,
                after=9,
            )
    assert dict(store.scan("trail")) == {"a": b"1"}
    assert store.positions()[0] == 4


def test_positions_of_partitions_do_not_touch_each_other(store: StateStore) -> None:
    for partition in range(PARTITIONS):
        store.commit({("trail", f"{partition}"): b"x"}, partition=partition, before=-1, after=partition)
    assert store.positions() == tuple(range(PARTITIONS))
    store.commit({}, partition=15, before=15, after=16)
    assert store.positions() == (*range(15), 16)


def test_a_later_commit_replaces_and_none_removes(store: StateStore) -> None:
    store.commit({("trail", "a"): b"1", ("trail", "b"): b"1"}, partition=0, before=-1, after=0)
    store.commit({("trail", "a"): b"2", ("trail", "b"): None, ("trail", "c"): None}, partition=0, before=0, after=1)
    assert dict(store.scan("trail")) == {"a": b"2"}
    assert store.load("trail", ["a", "b", "c"]) == {"a": b"2"}


def test_a_scan_gives_one_projection_in_order_of_keys(store: StateStore) -> None:
    keys = [f"k{number:03}" for number in range(50)]
    store.commit(
        {("trail", key): key.encode() for key in reversed(keys)} | {("other", "k001"): b"!"},
        partition=0,
        before=-1,
        after=0,
    )
    assert list(store.scan("trail")) == [(key, key.encode()) for key in keys]


def test_many_keys_are_loaded_at_once(store: StateStore) -> None:
    states = {("trail", f"k-{number}"): b"%d" % number for number in range(1_203)}
    store.commit(states, partition=0, before=-1, after=0)
    assert store.load("trail", [key for _, key in states]) == {key: value for (_, key), value in states.items()}


def test_keys_and_projections_may_hold_any_text(store: StateStore) -> None:
    odd = ["", " ", "'; DROP TABLE states; --", "ключ", "단골", "a\x1fb"]
    store.commit({("p'", key): key.encode() for key in odd}, partition=0, before=-1, after=0)
    assert store.load("p'", odd) == {key: key.encode() for key in odd}


def test_of_two_projectors_at_one_position_one_wins(store: StateStore) -> None:
    def commit(projector: int) -> bool:
        try:
            store.commit({("trail", "a"): b"%d" % projector}, partition=0, before=-1, after=0)
        except PositionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as projectors:
        won = list(projectors.map(commit, range(8)))
    assert won.count(True) == 1
    assert store.load("trail", ["a"]) == {"a": b"%d" % won.index(True)}


def test_a_store_that_was_closed_is_as_it_was(open_store: OpenStore) -> None:
    with open_store() as store:
        store.commit({("trail", "a"): b"1"}, partition=2, before=-1, after=5)
    with open_store() as store:
        assert store.positions()[2] == 5
        assert list(store.scan("trail")) == [("a", b"1")]


def test_states_that_nothing_needs_are_dropped(store: StateStore) -> None:
    store.commit({("trail", key): b"1" for key in "abc"} | {("other", "a"): b"1"}, partition=0, before=-1, after=0)
    store.drop("trail", ["a", "c", "unknown"])  # type: ignore[attr-defined]
    assert list(store.scan("trail")) == [("b", b"1")]
    assert list(store.scan("other")) == [("a", b"1")]
    assert store.positions()[0] == 0


def test_clearing_forgets_states_and_positions(store: StateStore) -> None:
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=0)
    store.clear()  # type: ignore[attr-defined]
    assert list(store.scan("trail")) == []
    assert store.positions() == (-1,) * PARTITIONS
