"""What the log is told of experiments: each difference to the configuration once, and nothing where they agree."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.events import ExperimentChanged, ExperimentEvent, ExperimentStarted, ExperimentStopped
from ingest.vocabulary.ids import partition_of
from personalization.experiments.assignment import Experiment
from personalization.experiments.lifecycle import (
    ExperimentProjection,
    Lifecycle,
    differences,
    evolve_lifecycle,
    steps_max,
)
from tests.support.build import NOON, fact

HEADLINE = Experiment(name="headline", arms={"rules": 1.0, "bold": 1.0}, control="rules", ends=0.5, admitted=0.1)
OTHER = replace(HEADLINE, name="other", begins=0.5, ends=1.0)


def say(known: dict[str, Lifecycle], configured: Iterable[Experiment], minute: int = 0) -> list[ExperimentEvent]:
    """The facts that are due, folded as they are stored; `known` is brought up to date."""
    told = list(differences(configured, known, NOON + timedelta(minutes=minute)))
    for event in told:
        lifecycle = evolve_lifecycle(known.get(event.experiment), decode_event(encode_event(event)))
        assert lifecycle is not None
        known[event.experiment] = lifecycle
    return told


def test_an_experiment_starts_grows_and_stops_and_each_is_said_once() -> None:
    known: dict[str, Lifecycle] = {}
    grown = replace(HEADLINE, admitted=1.0)
    story = [(HEADLINE, OTHER), (HEADLINE, OTHER), (grown, OTHER), (grown, OTHER), (OTHER,), (OTHER,)]
    told = [[(type(event), event.experiment) for event in say(known, each, at)] for at, each in enumerate(story)]
    assert told == [
        [(ExperimentStarted, "headline"), (ExperimentStarted, "other")],
        [],
        [(ExperimentChanged, "headline")],
        [],
        [(ExperimentStopped, "headline")],
        [],
    ]
    headline = known["headline"]
    assert not headline.is_running
    assert headline.experiment == grown, "its arms are known after it was stopped"
    assert headline.moved_at is None
    steps = [(step.what, step.at) for step in headline.steps]
    assert steps == [
        (what, NOON + timedelta(minutes=at)) for what, at in (("started", 0), ("changed", 2), ("stopped", 4))
    ]


def test_a_change_that_moves_people_says_so_and_so_does_coming_back_with_other_arms() -> None:
    known: dict[str, Lifecycle] = {}
    say(known, [HEADLINE])
    (shrunk,) = say(known, [replace(HEADLINE, ends=0.4)], 1)
    assert isinstance(shrunk, ExperimentChanged)
    assert not shrunk.grew_only
    say(known, [], 2)
    (again,) = say(known, [replace(HEADLINE, ends=0.4)], 3)
    assert isinstance(again, ExperimentStarted)
    assert again.grew_only, "everybody is in the arm they had"
    say(known, [], 4)
    (revived,) = say(known, [replace(HEADLINE, arms={"rules": 1.0, "bold": 3.0})], 5)
    assert isinstance(revived, ExperimentStarted)
    assert not revived.grew_only
    assert known["headline"].moved_at == NOON + timedelta(minutes=5)


def test_whoever_says_the_same_says_it_with_the_same_id_and_later_repetitions_have_another() -> None:
    known: dict[str, Lifecycle] = {}
    turned = replace(HEADLINE, arms={"bold": 1.0, "rules": 1.0})
    (one,) = differences([HEADLINE], known, NOON)
    (two,) = differences([turned], known, NOON + timedelta(seconds=3))
    assert one.event_id == two.event_id, "another worker, a little later"
    ids = [event.event_id for at in range(6) for event in say(known, [HEADLINE] if at % 2 == 0 else [], at)]
    assert len(set(ids)) == 6, "started and stopped three times"
    same = known["headline"]
    assert evolve_lifecycle(same, fact(ExperimentStopped, event_id=same.last)) == same
    assert evolve_lifecycle(None, fact(ExperimentStopped)) is None


def test_a_lifecycle_is_bounded_and_keeps_its_beginning() -> None:
    known: dict[str, Lifecycle] = {}
    for at in range(3 * steps_max):
        say(known, [replace(HEADLINE, admitted=0.1 if at % 2 else 0.2)], at)
    steps = known["headline"].steps
    assert len(steps) == steps_max
    assert (steps[0].what, steps[0].at) == ("started", NOON)
    assert steps[-1].at == NOON + timedelta(minutes=3 * steps_max - 1)


shares = st.floats(0, 1)
experiments = st.builds(
    Experiment,
    name=st.sampled_from(["a", "b", "c"]),
    arms=st.dictionaries(st.sampled_from("xyz"), st.floats(0.1, 10), min_size=2),
    control=st.sampled_from("xyz"),
    begins=shares,
    ends=shares,
    admitted=shares,
)


@given(st.lists(st.lists(experiments, max_size=3, unique_by=lambda each: each.name), max_size=6))
def test_whatever_was_configured_the_log_says_what_is_in_force(story: list[list[Experiment]]) -> None:
    known: dict[str, Lifecycle] = {}
    projection = ExperimentProjection()
    for at, configured in enumerate(story):
        for event in say(known, configured, at):
            assert partition_of(event.key) == projection.partition_of_key(event.experiment)
        assert {name: each.experiment for name, each in known.items() if each.is_running} == {
            each.name: each for each in configured
        }
        assert say(known, configured) == []
        for each in known.values():
            assert projection.decode(projection.encode(each)) == each
