"""The answer to a request for the homepage, as it goes over the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from ingest.vocabulary.events import Chosen
from ingest.vocabulary.ids import RequestId
from ingest.vocabulary.ranking import Answer, Arm, Degradation
from personalization.situation.parts import Origin, Part
from personalization.situation.resolve import Situation
from serving.home.choice import Policy


class ChosenBy(msgspec.Struct, frozen=True, gc=False):
    """Why the variant is shown, in words, and what decided."""

    rule: str
    policy: Policy


class Known(msgspec.Struct, frozen=True, gc=False):
    """A part of the situation: what it is (null for unknown), where that is from, how sure it is, in whose words."""

    value: Any
    source: Origin
    confidence: float
    basis: str


class OrderShown(msgspec.Struct, frozen=True, gc=False):
    """The order of a variant's rows where it has several: `rules` is as they are written; what chose it."""

    name: str
    policy: Policy
    propensity: float
    experiment: Arm | None


class HomeAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answered homepage.

    Attributes:
        content: that of the variant, in the visitor's language if it is translated.
        propensity: the probability with which the variant was chosen.
        context: the situation as resolved.
        order: in which the rows are, where the variant has several.
        impersonal: why nothing of a person was used, in words; empty where something was.
    """

    request_id: RequestId
    variant: str
    content: dict[str, Any]
    rows: tuple[Answer, ...]
    chosen_by: ChosenBy
    propensity: float
    context: dict[str, Known]
    impersonal: str
    experiment: Arm | None
    configuration: str
    degraded: tuple[Degradation, ...]
    order: OrderShown | None = None


_PARTS = tuple(name for name in Situation.__struct_fields__ if name not in ("personal", "impersonal"))


def order_shown(order: Chosen) -> OrderShown:
    """An order as it goes over the wire."""
    name, share = order.experiment, order.propensity
    policy: Policy = "bandit" if order.policy == "bandit" else "rule" if name is None else "experiment"
    return OrderShown(order.arm, policy, share, None if name is None else Arm(name, order.arm, share))


def context_of(situation: Situation) -> dict[str, Known]:
    """A situation as it goes over the wire."""
    return {name: _known(getattr(situation, name)) for name in _PARTS}


def _known(part: Part[Any]) -> Known:
    return Known(part.value, part.source, part.confidence, part.basis)
