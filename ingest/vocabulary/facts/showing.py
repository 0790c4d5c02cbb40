"""What Dangol showed a person, so that it can be learned from, and the click on it."""

from __future__ import annotations

import msgspec

from ingest.vocabulary.facts.envelope import CustomerEvent
from ingest.vocabulary.ids import ProductId, RequestId, SnapshotId


class RankingShown(CustomerEvent, frozen=True, kw_only=True):
    """A list was answered: what went in, what came out, and with which probability it was chosen."""

    request_id: RequestId
    placement: str
    product_ids: tuple[ProductId, ...]
    seeds: tuple[ProductId, ...] = ()
    category: tuple[str, ...] = ()
    snapshot: SnapshotId | None = None
    configuration: str | None = None
    seed: int = 0
    profile_offset: int | None = None
    catalogue_version: int | None = None
    propensity: float = 1.0
    degraded: tuple[str, ...] = ()


class HomepageShown(CustomerEvent, frozen=True, kw_only=True):
    """A homepage was answered: the situation it was chosen in, the variant, and with which probability.

    Attributes:
        variant: the name of what was shown.
        policy: what chose it: `rule`, `default`, `bandit` or `experiment`.
        rule: why, in words.
        learner: the name under which a bandit learns from this decision; None where nothing is to be learned.
        eligible: every variant there was to choose from, with its probability; they sum to 1.
        propensity: the probability of the variant that was shown, as drawn.
        held_out: the person always gets what the rules say, to compare with.
        features: the situation as numbers, as a contextual bandit saw it.
        facts: what is known of the situation, by the fields of conditions; no place finer than a city.
        rows: the request ids of the rows of the page.
    """

    request_id: RequestId
    variant: str
    policy: str = "rule"
    rule: str = ""
    learner: str | None = None
    eligible: dict[str, float] = msgspec.field(default_factory=dict)
    propensity: float = 1.0
    held_out: bool = False
    experiment: str | None = None
    arm: str | None = None
    features: tuple[float, ...] = ()
    facts: dict[str, str | float] = msgspec.field(default_factory=dict)
    rows: tuple[RequestId, ...] = ()
    configuration: str | None = None
    degraded: tuple[str, ...] = ()


Shown = RankingShown | HomepageShown  # what Dangol itself did: nobody sends it, and it says nothing about a person


class RankingClicked(CustomerEvent, frozen=True, kw_only=True):
    """A product of a shown list was clicked."""

    request_id: RequestId
    product_id: ProductId
    placement: str | None = None
    position: int | None = None
