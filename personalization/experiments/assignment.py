"""Who is in which experiment, and in which arm: by hashes of the customer alone, so it holds on every device.

A customer has one place in each layer, and each experiment of a layer owns a span of places: experiments of one layer
exclude each other, those of different layers are independent. Within its span an experiment admits a share of people,
which may grow while it runs: whoever was in stays, in the same arm.

Source: Tang, Agarwal, O'Brien, Meyer, "Overlapping Experiment Infrastructure" (KDD 2010), layers and diversion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

import msgspec

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.draws import Propensities, arms_max, draw, table_of, uniform

experiments_max = 200  # that run at once; each costs three hashes at most on a request
NAME_LENGTH_MAX = 100


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment as configured.

    Attributes:
        name: also what the hashes are of: another name is another, independent assignment.
        arms: the weight of each arm. Fixed while it runs: other weights move people.
        control: the arm that the others are compared with.
        layer: experiments of one layer share no customer.
        begins, ends: the span of the layer it owns, [begins, ends) within [0, 1).
        admitted: the share of its span that takes part; may grow, and then nobody changes arm.
    """

    name: str
    arms: Mapping[str, float]
    control: str
    layer: str = "default"
    begins: float = 0.0
    ends: float = 1.0
    admitted: float = 1.0


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """The arm a customer is in, and the share of the experiment's people who are in it."""

    experiment: str
    arm: str
    propensity: float


def assign(experiment: Experiment, customer: str) -> Assignment | None:
    """The customer's arm; None for who is not in the experiment. Cost: three hashes.

    Args:
        customer: the subject, the known one once the visitor is identified. Somebody who was anonymous until then may
            have seen another arm before; results count people by the known subject.
    """
    place = uniform("layer", experiment.layer, customer)
    if not experiment.begins <= place < experiment.ends:
        return None
    if uniform("admitted", experiment.name, customer) >= experiment.admitted:
        return None
    drawn = draw(_table(tuple(experiment.arms.items())), "arm", experiment.name, customer)
    return Assignment(experiment.name, drawn.arm, drawn.propensity)


def assign_all(experiments: Iterable[Experiment], customer: str, *, holdout: float = 0.0) -> tuple[Assignment, ...]:
    """The customer's arms in all experiments; none at all for the share that is held out of every one."""
    if uniform("holdout of all", customer) < holdout:
        return ()
    found = (assign(experiment, customer) for experiment in experiments)
    return tuple(assignment for assignment in found if assignment is not None)


def check(experiments: Iterable[Experiment]) -> tuple[Experiment, ...]:
    """The experiments, if they can run beside each other.

    Raises:
        ConfigurationError: says which experiment is at fault, and why.
    """
    checked = tuple(experiments)
    if len(checked) > experiments_max:
        raise ConfigurationError(f"at most {experiments_max} experiments run at once, got {len(checked)}")
    for experiment in checked:
        _check_one(experiment)
    names = sorted(experiment.name for experiment in checked)
    for one, two in pairwise(names):
        if one == two:
            raise ConfigurationError(f"two experiments have the name {one!r}")
    spans = sorted((each.layer, each.begins, each.ends, each.name) for each in checked)
    for (layer, _, ends, first), (other_layer, begins, _, second) in pairwise(spans):
        if layer == other_layer and begins < ends:
            raise ConfigurationError(f"experiments {first!r} and {second!r} overlap in layer {layer!r}")
    return checked


def grew_only(before: Experiment, after: Experiment) -> bool:
    """Whether the change leaves everybody who was in the experiment in the same arm."""
    return (
        (before.name, before.layer, dict(before.arms)) == (after.name, after.layer, dict(after.arms))
        and after.begins <= before.begins
        and after.ends >= before.ends
        and after.admitted >= before.admitted
    )


@lru_cache(experiments_max)
def _table(arms: tuple[tuple[str, float], ...]) -> Propensities:
    return table_of(dict(arms))


def _check_one(experiment: Experiment) -> None:
    called = f"experiment {experiment.name!r}"
    if not 1 <= len(experiment.name) <= NAME_LENGTH_MAX:
        raise ConfigurationError(f"an experiment's name has 1 to {NAME_LENGTH_MAX} characters, got {experiment.name!r}")
    if not 2 <= len(experiment.arms) <= arms_max:
        raise ConfigurationError(f"{called} needs 2 to {arms_max} arms, got {len(experiment.arms)}")
    if not all(math.isfinite(weight) and weight > 0 for weight in experiment.arms.values()):
        raise ConfigurationError(f"every arm of {called} needs a weight above 0, got {dict(experiment.arms)}")
    if experiment.control not in experiment.arms:
        raise ConfigurationError(f"the control {experiment.control!r} of {called} is none of its arms")
    if not 0 <= experiment.begins < experiment.ends <= 1:
        raise ConfigurationError(
            f"{called} must own a span within 0 and 1, got {experiment.begins} to {experiment.ends}"
        )
    if not 0 <= experiment.admitted <= 1:
        raise ConfigurationError(f"{called} admits a share from 0 to 1, got {experiment.admitted}")
