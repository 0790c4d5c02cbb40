"""What every store of folded states promises. Keys name the partition of their facts; the others are of the first."""

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
    store.commit(
        {("trail", "03:a"): b"1", ("trail", "03:b"): b"", ("other", "03:a"): b"2"}, partition=3, before=-1, after=7
    )
    assert store.positions() == (-1, -1, -1, 7, *(-1,) * 12)
    assert store.load("trail", ["03:a", "03:b", "03:c"]) == {"03:a": b"1", "03:b": b""}
    assert store.load("other", {"03:a"}) == {"03:a": b"2"}


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
        store.commit({("trail", f"{partition:02}:k"): b"x"}, partition=partition, before=-1, after=partition)
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


def test_keys_of_all_partitions_are_loaded_and_scanned_together(store: StateStore) -> None:
    keys = [f"{partition:02}:k{number:03}" for partition in range(PARTITIONS) for number in range(60)]
    for partition in reversed(range(PARTITIONS)):
        own = {("trail", key): key.encode() for key in keys if key.startswith(f"{partition:02}:")}
        store.commit(own, partition=partition, before=-1, after=0)
    expected = {key: key.encode() for key in keys}
    assert store.load("trail", [*keys, "03:unknown", "unknown"]) == expected
    assert list(store.scan("trail")) == list(expected.items())
    assert store.count("trail") == len(keys)  # type: ignore[attr-defined]
    assert store.load("trail", []) == {}


def test_values_may_hold_any_bytes(store: StateStore) -> None:
    values = [bytes(range(256)), b"\r\n", b"\x00", b"x" * 300_000, b"-1", b"nil"]
    store.commit({("trail", f"{at}"): value for at, value in enumerate(values)}, partition=0, before=-1, after=0)
    assert [value for _, value in store.scan("trail")] == values
    assert store.load("trail", ["3"]) == {"3": values[3]}


def test_two_thousand_states_are_one_commit(store: StateStore) -> None:
    states = {("trail", f"k-{number:04}"): b"%d" % number * 250 for number in range(2_000)}
    removed = dict.fromkeys(list(states)[::2])
    store.commit(states, partition=0, before=-1, after=0)
    store.commit(removed, partition=0, before=0, after=1)
    assert list(store.scan("trail")) == [(key, value) for (_, key), value in list(states.items())[1::2]]
    assert store.count("trail") == 1_000  # type: ignore[attr-defined]


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
        store.commit({("trail", "02:a"): b"1"}, partition=2, before=-1, after=5)
    with open_store() as store:
        assert store.positions()[2] == 5
        assert list(store.scan("trail")) == [("02:a", b"1")]


def test_states_that_nothing_needs_are_dropped(store: StateStore) -> None:
    store.commit({("trail", key): b"1" for key in "abc"} | {("other", "a"): b"1"}, partition=0, before=-1, after=0)
    store.commit({("trail", "07:a"): b"1", ("trail", "07:b"): b"1"}, partition=7, before=-1, after=0)
    store.drop("trail", ["a", "c", "unknown", "07:a"])  # type: ignore[attr-defined]
    assert list(store.scan("trail")) == [("07:b", b"1"), ("b", b"1")]
    assert list(store.scan("other")) == [("a", b"1")]
    assert store.positions()[0] == store.positions()[7] == 0


def test_clearing_forgets_states_and_positions(store: StateStore) -> None:
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=0)
    store.clear()  # type: ignore[attr-defined]
    assert list(store.scan("trail")) == []
    assert store.positions() == (-1,) * PARTITIONS
    store.commit({("trail", "b"): b"2"}, partition=0, before=-1, after=0)
    assert list(store.scan("trail")) == [("b", b"2")]
