"""When experiments started, changed and stopped: what the log last said of each, and what has to be said now.

What is in force is the configuration. A server that opens with one compares it with the log and appends what differs.
The event id of such a fact is a hash of what it says and of the fact before it, so it is appended once, however many
say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from ingest.vocabulary.events import (
    Event,
    ExperimentChanged,
    ExperimentConfigured,
    ExperimentEvent,
    ExperimentStarted,
    ExperimentStopped,
    Recorded,
)
from ingest.vocabulary.ids import EventId, content_id, experiment_key, partition_of
from personalization.experiments.assignment import Experiment, grew_only

PROJECTION = "experiment"
SOURCE = "dangol"
steps_max = 50  # of an experiment that are kept: the first and the newest; a ramp-up has some ten

What = Literal["started", "changed", "stopped"]


class Step(msgspec.Struct, frozen=True, gc=False):
    """A moment in the life of an experiment.

    Attributes:
        at: when it was said, which is when a server with the new configuration opened.
        grew_only: whether everybody who was in the experiment stayed in the same arm.
    """

    at: datetime
    what: What
    grew_only: bool = True


class Lifecycle(msgspec.Struct, frozen=True):
    """What the log says of an experiment.

    Attributes:
        experiment: as last configured; of a stopped one, as it was.
        last: the newest fact about it.
        steps: oldest first, `steps_max` at most.
    """

    experiment: Experiment
    is_running: bool
    last: EventId
    steps: tuple[Step, ...]

    @property
    def moved_at(self) -> datetime | None:
        """When people were last moved between arms, or out of them; None if they never were."""
        return next((step.at for step in reversed(self.steps) if not step.grew_only), None)


class ExperimentProjection:
    """Folds facts about experiments into one `Lifecycle` an experiment; a `Projection`."""

    name = PROJECTION

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(order="deterministic")
        self._decoder = msgspec.msgpack.Decoder(Lifecycle)

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The experiment's name."""
        event = recorded.event
        if isinstance(event, ExperimentEvent):
            return (event.experiment,)
        return ()

    def partition_of_key(self, key: str) -> int:
        """The partition of the facts about the experiment."""
        return partition_of(experiment_key(key))

    def evolve(self, state: Lifecycle | None, recorded: Recorded) -> Lifecycle | None:
        """The lifecycle after the fact."""
        return evolve_lifecycle(state, recorded.event)

    def derived(self, _: Lifecycle | None, __: Recorded) -> tuple[Event, ...]:
        """Nothing."""
        return ()

    def consequences(self, _: Lifecycle | None, __: Recorded) -> tuple[Event, ...]:
        """None."""
        return ()

    def encode(self, state: Lifecycle) -> bytes:
        """The lifecycle as MessagePack."""
        return self._encoder.encode(state)

    def decode(self, stored: bytes) -> Lifecycle:
        """The inverse of `encode`."""
        return self._decoder.decode(stored)


def evolve_lifecycle(state: Lifecycle | None, event: Event) -> Lifecycle | None:
    """The lifecycle after a fact about its experiment; the newest fact said again changes nothing."""
    if state is not None and event.event_id == state.last:
        return state
    steps = () if state is None else state.steps
    match event:
        case ExperimentStarted() | ExperimentChanged():
            what: What = "started" if isinstance(event, ExperimentStarted) else "changed"
            step = Step(event.occurred_at, what, event.grew_only)
            return Lifecycle(_experiment_of(event), True, event.event_id, _with(steps, step))
        case ExperimentStopped() if state is not None:
            step = Step(event.occurred_at, "stopped")
            return Lifecycle(state.experiment, False, event.event_id, _with(steps, step))
    return state


def differences(
    configured: Iterable[Experiment], known: Mapping[str, Lifecycle], now: datetime
) -> Iterator[ExperimentEvent]:
    """The facts that lead from what the log last said to the configuration; none where they agree.

    Args:
        configured: the experiments in force, checked.
        known: what the log said, by name.
        now: when it is said.
    """
    running = set()
    for experiment in configured:
        running.add(experiment.name)
        before = known.get(experiment.name)
        if before is None or not before.is_running:
            yield _configured(ExperimentStarted, experiment, before, now)
        elif before.experiment != experiment:
            yield _configured(ExperimentChanged, experiment, before, now)
    for name, before in known.items():
        if before.is_running and name not in running:
            event_id = content_id(PROJECTION, name, "stopped", before.last)
            yield ExperimentStopped(event_id=event_id, occurred_at=now, received_at=now, source=SOURCE, experiment=name)


def _configured(
    kind: type[ExperimentConfigured], experiment: Experiment, before: Lifecycle | None, now: datetime
) -> ExperimentConfigured:
    settings: dict[str, Any] = msgspec.structs.asdict(experiment)
    name, settings["arms"] = settings.pop("name"), dict(sorted(experiment.arms.items()))
    said = msgspec.json.encode(settings, order="sorted").decode()
    return kind(
        event_id=content_id(PROJECTION, name, said, "" if before is None else before.last),
        occurred_at=now,
        received_at=now,
        source=SOURCE,
        experiment=name,
        grew_only=before is None or grew_only(before.experiment, experiment),
        **settings,
    )


def _experiment_of(event: ExperimentConfigured) -> Experiment:
    return Experiment(
        name=event.experiment,
        arms=event.arms,
        control=event.control,
        layer=event.layer,
        begins=event.begins,
        ends=event.ends,
        admitted=event.admitted,
    )


def _with(steps: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    """One more step; the first is kept, and those in the middle make room."""
    every = (*steps, step)
    return every if len(every) <= steps_max else (every[0], *every[-steps_max + 1 :])
