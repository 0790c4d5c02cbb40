"""What the log says of experiments beside what the configuration says, and how the log hears of the configuration."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import structlog

from ingest.vocabulary.errors import NotFound
from ingest.vocabulary.events import ExperimentConfigured, ExperimentEvent
from personalization.experiments.assignment import Experiment
from personalization.experiments.lifecycle import PROJECTION, ExperimentProjection, Lifecycle, differences

if TYPE_CHECKING:
    from serving.engine import Engine

State = Literal["running", "stopped", "unserved"]

_log = structlog.get_logger(__name__)


class Listed(msgspec.Struct, frozen=True):
    """An experiment in the list of all.

    Attributes:
        state: `unserved` is configured, and no server has opened with it yet.
        since: from when on the state holds.
        admitted: the share of its span that takes part, or took part.
        moved_at: when people were last moved between arms; results mix both.
    """

    name: str
    state: State
    since: datetime | None
    arms: dict[str, float]
    control: str
    admitted: float
    moved_at: datetime | None


class Known(NamedTuple):
    """An experiment as it is configured, or was before it was stopped, and what the log says of it."""

    experiment: Experiment
    lifecycle: Lifecycle | None
    state: State


def lifecycles(engine: Engine) -> dict[str, Lifecycle]:
    """What the log says of every experiment it ever heard of. Cost: reads all of them, 1 KB each."""
    decode = ExperimentProjection().decode
    return {name: decode(stored) for name, stored in engine.store.scan(PROJECTION)}


def list_experiments(engine: Engine) -> tuple[Listed, ...]:
    """Every experiment that is configured or ever ran, by name."""
    said = lifecycles(engine)
    configured = {each.name: each for each in engine.configuration.experiments}
    return tuple(_listed(_known(configured.get(name), said.get(name))) for name in sorted({*said, *configured}))


def find_experiment(engine: Engine, name: str) -> Known:
    """An experiment by its name: as configured, else as it was when it was stopped.

    Raises:
        NotFound: neither the configuration nor the log knows it.
    """
    configured = {each.name: each for each in engine.configuration.experiments}
    stored = engine.store.load(PROJECTION, (name,)).get(name)
    said = None if stored is None else ExperimentProjection().decode(stored)
    if said is None and name not in configured:
        known = ", ".join(sorted({*configured, *lifecycles(engine)})) or "none"
        raise NotFound(f"neither the configuration nor the log has an experiment {name!r}; there are: {known}")
    return _known(configured.get(name), said)


class Announcer:
    """Says in the log, once after opening, which experiments the configuration runs.

    A server says it when it opens and not again: while two are being replaced one after the other, the last to open
    has the last word.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._is_done = engine, False

    def tell(self) -> None:
        """Append what the log does not know yet; does nothing once that was done, and waits for lost states.

        Raises:
            Unavailable: the store or the log did not answer; call again, nothing is said twice.
        """
        if self._is_done or not self._engine.is_complete:
            return
        experiments = self._engine.configuration.experiments
        facts = list(differences(experiments, lifecycles(self._engine), self._engine.clock.now()))
        for fact, position in zip(facts, self._engine.log.append(facts), strict=True):
            if position is not None:
                _tell_operator(fact)
        self._is_done = True


def _tell_operator(fact: ExperimentEvent) -> None:
    what = str(fact.__struct_config__.tag).removeprefix("experiment_")
    if isinstance(fact, ExperimentConfigured) and not fact.grew_only:
        _log.warning(
            "people of an experiment are no longer in the arm they were in: its results mix both; "
            "give it another name to start anew",
            experiment=fact.experiment,
            what=what,
        )
    else:
        _log.info("an experiment is in force as configured", experiment=fact.experiment, what=what)


def _known(configured: Experiment | None, said: Lifecycle | None) -> Known:
    if configured is None:
        assert said is not None
        return Known(said.experiment, said, "running" if said.is_running else "stopped")
    return Known(configured, said, "running" if said is not None and said.is_running else "unserved")


def _listed(known: Known) -> Listed:
    experiment, said = known.experiment, known.lifecycle
    return Listed(
        name=experiment.name,
        state=known.state,
        since=None if said is None else _since(said, known.state),
        arms=dict(experiment.arms),
        control=experiment.control,
        admitted=experiment.admitted,
        moved_at=None if said is None else said.moved_at,
    )


def _since(said: Lifecycle, state: State) -> datetime | None:
    """When the state began: a change of a running experiment does not begin it again."""
    wanted = {"running": "started", "stopped": "stopped"}.get(state)
    return next((step.at for step in reversed(said.steps) if step.what == wanted), None)
