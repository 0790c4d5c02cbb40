"""Laws of folding: batches do not matter, and the log replayed gives the states that are in the store."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.catalog import CatalogueProjection
from ingest.folding.fold import encode_states, fold
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ports import AnyProjection
from personalization.customer.projection import ProfileProjection
from personalization.experiments.attributing import AttributionProjection
from personalization.experiments.counting import LearnedProjection
from personalization.experiments.lifecycle import ExperimentProjection
from recommender.segments import TailProjection
from tests.support.embedded import embedded, read_all, states_of, temporary_folder
from tests.support.projections import TrailProjection
from tests.support.strategies import histories, recorded

PROJECTIONS: tuple[AnyProjection, ...] = (
    TrailProjection(),
    CatalogueProjection(),
    ExperimentProjection(),
    AttributionProjection(),
    LearnedProjection(),
)
cuts = st.lists(st.integers(0, 40), max_size=6)


def fold_in_batches(history: Sequence[Recorded], ends: Collection[int]) -> dict[tuple[str, str], bytes]:
    """The states after folding batch by batch, each from the bytes the last one left."""
    return folded_in_batches(history, ends)[0]


def folded_in_batches(
    history: Sequence[Recorded], ends: Collection[int]
) -> tuple[dict[tuple[str, str], bytes], list[Event]]:
    """The states after folding batch by batch, and what follows."""
    states: dict[tuple[str, str], bytes] = {}
    follows: list[Event] = []

    def load(projection: str, keys: Collection[str]) -> dict[str, bytes]:
        return {key: states[(projection, key)] for key in keys if (projection, key) in states}

    for start, end in itertools.pairwise(sorted({0, len(history), *(end for end in ends if end < len(history))})):
        result = fold(PROJECTIONS, history[start:end], load)
        follows += result.consequences
        for place, stored in encode_states(PROJECTIONS, result.states).items():
            if stored is None:
                states.pop(place, None)
            else:
                states[place] = stored
    return states, follows


@given(histories(), cuts)
def test_folding_in_any_batches_equals_folding_one_by_one(history: list[Event], ends: list[int]) -> None:
    places = recorded(history)
    assert fold_in_batches(places, ends) == fold_in_batches(places, range(len(places)))


@given(histories(), cuts)
def test_what_follows_does_not_depend_on_batches(history: list[Event], ends: list[int]) -> None:
    places = recorded(history)
    whole, parts = (folded_in_batches(places, cut)[1] for cut in ((), ends))
    assert sorted(event.event_id for event in whole) == sorted(event.event_id for event in parts)
    assert {event.event_id: event for event in whole} == {event.event_id: event for event in parts}


@given(histories())
def test_a_key_tells_the_partition_of_the_facts_it_is_folded_from(history: list[Event]) -> None:
    for each in recorded(history):
        for projection in (*PROJECTIONS, ProfileProjection(), TailProjection()):
            for key in projection.keys(each):
                assert projection.partition_of_key(key) == each.position.partition


@settings(max_examples=25)
@given(histories(), cuts)
def test_a_replay_of_the_log_gives_the_states_in_the_store(history: list[Event], ends: list[int]) -> None:
    with temporary_folder() as folder, embedded(folder, PROJECTIONS) as dangol:
        for start, end in itertools.pairwise(sorted({0, len(history), *(end for end in ends if end < len(history))})):
            dangol.log.append(history[start:end])
        kept = states_of(dangol.store, PROJECTIONS)
        assert kept == fold_in_batches(read_all(dangol.log), ())
        assert dangol.store.positions() == dangol.log.ends()


@settings(max_examples=20)
@given(histories(), st.integers(0, 40))
def test_states_continue_where_an_earlier_process_stopped(history: list[Event], cut: int) -> None:
    with temporary_folder() as folder:
        for part in (history[:cut], history[cut:]):
            with embedded(folder, PROJECTIONS) as dangol:
                dangol.log.append(part)
        with embedded(folder, PROJECTIONS) as dangol:
            assert states_of(dangol.store, PROJECTIONS) == fold_in_batches(read_all(dangol.log), ())


@settings(max_examples=20)
@given(histories(), st.integers(0, 40))
def test_facts_that_were_never_folded_are_folded_with_the_next_append(history: list[Event], cut: int) -> None:
    with temporary_folder() as folder:
        with embedded(folder, ()) as blind:
            blind.log.append(history[:cut])
            blind.store.clear()
        with embedded(folder, PROJECTIONS) as dangol:
            dangol.log.append(history[cut:])
            touched = {partition for partition, folded in enumerate(dangol.store.positions()) if folded >= 0}
            told = [each for each in read_all(dangol.log) if each.position.partition in touched]
            assert states_of(dangol.store, PROJECTIONS) == fold_in_batches(told, ())
