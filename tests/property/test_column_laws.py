"""Columns come to what facts come to, one by one: however the log is cut into stretches, and at every moment."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.events import Event
from recommender.columns.gathering import gathered
from recommender.columns.shape import Arrays, array_types
from recommender.columns.store import ColumnStore
from recommender.columns.stretches import known_at, together
from recommender.configuration import TrainingConfiguration
from recommender.facts import microseconds
from recommender.interactions import assembled
from recommender.training import fit
from tests.support.columns import Facts
from tests.support.embedded import temporary_folder
from tests.support.plain_interactions import assert_equal, plain_interactions_of
from tests.support.shopping import ORDERS, moments, told_histories


def cut_into(events: list[Event], cuts: list[int]) -> list[Arrays]:
    """The columns of each stretch of a history."""
    ends = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    return [gathered(events[begin:end]) for begin, end in pairwise(ends)] or [gathered([])]


@settings(max_examples=80)
@given(told_histories(), st.lists(st.integers(0, 70), max_size=4))
def test_columns_of_any_stretches_come_to_what_the_facts_come_to(events: list[Event], cuts: list[int]) -> None:
    assert_equal(assembled(together(cut_into(events, cuts))), plain_interactions_of(events))


@settings(max_examples=150)
@given(told_histories(12, ORDERS, 2), st.lists(st.integers(0, 12), max_size=2))
def test_orders_told_in_every_way_come_to_what_the_facts_come_to(events: list[Event], cuts: list[int]) -> None:
    assert_equal(assembled(together(cut_into(events, cuts))), plain_interactions_of(events))


@settings(max_examples=80)
@given(told_histories(), st.lists(st.integers(0, 70), max_size=2), moments)
def test_what_was_known_at_a_moment_is_what_those_facts_come_to(
    events: list[Event], cuts: list[int], until: datetime
) -> None:
    columns = known_at(together(cut_into(events, cuts)), microseconds(until))
    assert_equal(assembled(columns), plain_interactions_of(event for event in events if event.known_at <= until))


@settings(max_examples=80)
@given(told_histories(), st.lists(st.integers(0, 70), max_size=4))
def test_stretches_put_together_are_the_bytes_of_the_whole(events: list[Event], cuts: list[int]) -> None:
    whole, parts = gathered(events), together(cut_into(events, cuts))
    assert list(whole) == list(parts) or set(whole) == set(parts) == set(array_types())
    for name, dtype in array_types().items():
        assert (parts[name].dtype, whole[name].dtype) == (np.dtype(dtype), np.dtype(dtype)), name
        assert np.array_equal(parts[name], whole[name]), name


@settings(max_examples=60)
@given(st.lists(told_histories(20), max_size=4), st.integers(1, 12), st.integers(1, 3), st.integers(1, 4), st.data())
def test_kept_columns_come_to_what_the_facts_of_any_cut_come_to(
    batches: list[list[Event]], facts_max: int, gap: int, at_once: int, data: st.DataObject
) -> None:
    facts = Facts(gap=gap, at_once=at_once)
    with temporary_folder() as folder:
        store = ColumnStore(folder / "columns", facts_max=facts_max)
        for batch in batches:
            facts.append(batch)
            cut = [data.draw(st.integers(-1, end)) for end in facts.ends()]
            if data.draw(st.booleans()):
                store.extend(facts, cut)
            assert_equal(assembled(store.read(facts, cut)), plain_interactions_of(facts.events(cut)))
        assert store.difference(facts) is None


@pytest.mark.parametrize("ranker", [False, True])
@settings(max_examples=8)
@given(told_histories(), st.lists(st.integers(0, 70), max_size=3))
def test_the_snapshot_is_that_of_the_facts_byte_for_byte(ranker: bool, events: list[Event], cuts: list[int]) -> None:
    configuration = TrainingConfiguration(ranker=ranker)
    columns = assembled(together(cut_into(events, cuts)))
    assert fit(columns, configuration).snapshot_id == fit(plain_interactions_of(events), configuration).snapshot_id
