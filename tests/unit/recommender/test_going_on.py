"""Going on from a snapshot: what was searched for is kept, what is counted is counted anew, and nothing gets worse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.vocabulary.events import CustomerEvent, Event
from ingest.vocabulary.ids import EventId
from recommender.configuration import TrainingConfiguration
from recommender.guard import card_of
from recommender.interactions import interactions_of
from recommender.ranker import compare
from recommender.ranker.keeping import SearchBounds
from recommender.ranker.training import ModelCard
from recommender.snapshot import Snapshot, SnapshotStore, snapshot_id_of
from recommender.training import GoingOn, fit_in_memory, train
from tests.support.histories import order, view
from tests.support.ranked_shops import shop

RANKED = TrainingConfiguration(ranker=True)
BOUNDS = SearchBounds(every_days=7, after_share=0.2)
NEWER = 12  # facts: more of a shop this small change how well it is ranked


@cache
def before() -> tuple[Event, ...]:
    return tuple(shop(1))


@cache
def searched() -> Snapshot:
    """The snapshot of a full training."""
    return fit_in_memory(before(), RANKED)


def gone_on(
    folder: Path,
    events: Sequence[Event],
    base: Snapshot | None = None,
    bounds: SearchBounds = BOUNDS,
    configuration: TrainingConfiguration = RANKED,
) -> Snapshot:
    """The snapshot of a training that goes on from another one."""
    store, going_on = SnapshotStore(folder / "snapshots"), GoingOn(base or searched(), bounds)
    return store.open(train(lambda: interactions_of(events), configuration, store, going_on=going_on).snapshot_id)


def card(snapshot: Snapshot) -> ModelCard:
    found = card_of(snapshot)
    assert found is not None
    return found


def different(one: Snapshot, other: Snapshot) -> set[str]:
    """The arrays that differ."""
    names = one._arrays.keys() | other._arrays.keys()
    return {
        name for name in names if name not in one or name not in other or not np.array_equal(one[name], other[name])
    }


def newer(events: Sequence[Event], days: float) -> list[Event]:
    """Some of the facts once more, so much later."""
    last = max(event.occurred_at for event in events)
    then = last + timedelta(days=days)
    told = [event for event in events if isinstance(event, CustomerEvent)][:NEWER]
    return [
        msgspec.structs.replace(event, event_id=EventId(f"{event.event_id}+"), occurred_at=then, received_at=then)
        for event in told
    ]


def test_going_on_with_the_same_log_gives_the_same_but_for_what_the_card_says(tmp_path: Path) -> None:
    found = gone_on(tmp_path, before())
    assert different(found, searched()) == {"ranking.card"}
    told, full = card(found), card(searched())
    assert told.kept is not None
    assert (told.kept.base, told.kept.searched) == (searched().snapshot_id,) * 2
    assert (told.plan, told.questions, told.trials) == (full.plan, full.questions, ())
    assert len(full.trials) > 50
    for purpose, comparison in full.comparisons.items():
        again = told.comparisons[purpose]
        figures = {figure.name: figure.mean for figure in comparison.figures}
        assert [(figure.name, figure.mean) for figure in again.figures] == [(again.chosen, figures[again.chosen])]
        assert (again.chosen, again.queries) == (comparison.chosen, comparison.queries)


def test_everything_that_is_counted_is_counted_anew(tmp_path: Path) -> None:
    events = [*before(), *newer(before(), 2)]
    found, full = gone_on(tmp_path, events), fit_in_memory(events, RANKED)
    assert card(found).kept is not None
    assert {name for name in different(found, full) if not name.startswith(("ranking.", "relating."))} <= {
        name for name in full._arrays if name.startswith("related")
    }
    assert np.array_equal(found["ranking.popular"], full["ranking.popular"])
    assert not np.array_equal(found["ranking.popular"], searched()["ranking.popular"])
    assert np.array_equal(found["ranking.plan"], searched()["ranking.plan"])
    assert not np.array_equal(found["ranking.for_you.weights"], searched()["ranking.for_you.weights"])


def test_the_same_base_and_log_give_the_same_snapshot_on_two_threads(tmp_path: Path) -> None:
    events = [*before(), *newer(before(), 2)]
    threads = msgspec.structs.replace(RANKED, threads=2)
    one, two = (gone_on(tmp_path / str(each.threads), events, configuration=each) for each in (RANKED, threads))
    assert one.snapshot_id == two.snapshot_id


def test_the_search_that_is_kept_is_known_however_many_trainings_went_on_from_it(tmp_path: Path) -> None:
    first = gone_on(tmp_path, [*before(), *newer(before(), 2)])
    second = gone_on(tmp_path, [*before(), *newer(before(), 5)], first)
    kept = card(second).kept
    assert kept is not None
    assert (kept.base, kept.searched) == (first.snapshot_id, searched().snapshot_id)
    third = [*before(), *newer(before(), 7)]
    assert gone_on(tmp_path, third, second).snapshot_id == fit_in_memory(third, RANKED).snapshot_id


@pytest.mark.parametrize("changed", ["days", "share", "configuration", "age"])
def test_beyond_its_bounds_everything_is_searched_as_if_there_were_nothing_to_go_on_from(
    tmp_path: Path, changed: str
) -> None:
    events, bounds, configuration = list(before()), BOUNDS, RANKED
    match changed:
        case "days":
            events += newer(before(), 7)
        case "share":
            bounds = SearchBounds(every_days=7, after_share=0.0)
            events += newer(before(), 1)
        case "configuration":
            configuration = msgspec.structs.replace(RANKED, model="logit")
        case "age":
            last = max(event.occurred_at for event in events)
            events = [event for event in events if event.occurred_at < last - timedelta(days=1)]
    found = gone_on(tmp_path, events, bounds=bounds, configuration=configuration)
    assert found.snapshot_id == fit_in_memory(events, configuration).snapshot_id


def spoiled(**arrays: NDArray[Any]) -> Snapshot:
    """The full snapshot with other arrays."""
    changed = {**searched()._arrays, **{name.replace("__", "."): array for name, array in arrays.items()}}
    return Snapshot(snapshot_id_of(changed), changed)


def packed(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.msgpack.encode(value), np.uint8)


@pytest.mark.parametrize("purpose", ["for_you", "next_item"])
def test_what_does_worse_than_it_did_is_searched_for_anew(
    tmp_path: Path, purpose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once every question was answered well; now it is as it is, and a few questions are taken for many."""
    monkeypatch.setattr(compare, "STANDARD_ERRORS", 0.1)
    told = card(searched())
    once = told.comparisons[purpose]
    figures = tuple(msgspec.structs.replace(figure, mean=1.0) for figure in once.figures)
    perfect = {**told.comparisons, purpose: msgspec.structs.replace(once, figures=figures, queries=10_000)}
    base = spoiled(ranking__card=packed(msgspec.structs.replace(told, comparisons=perfect)))
    assert gone_on(tmp_path, before(), base).snapshot_id == searched().snapshot_id


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("ranking.plan", np.frombuffer(b"\xc1", np.uint8)),
        ("ranking.card", np.frombuffer(b"\xc1", np.uint8)),
    ],
)
def test_a_snapshot_of_another_version_is_not_gone_on_from(tmp_path: Path, name: str, array: NDArray[Any]) -> None:
    assert gone_on(tmp_path, before(), spoiled(**{name: array})).snapshot_id == searched().snapshot_id


def test_a_snapshot_without_rankers_is_not_gone_on_from(tmp_path: Path) -> None:
    base = fit_in_memory([order("1", "ab"), view("a", 1)], TrainingConfiguration(ranker=False))
    assert gone_on(tmp_path, before(), base).snapshot_id == searched().snapshot_id
