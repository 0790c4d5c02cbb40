"""What Dangol showed a person, so that it can be learned from, and the click on it."""

from __future__ import annotations

import msgspec

from ingest.vocabulary.facts.envelope import CustomerEvent
from ingest.vocabulary.ids import ProductId, RequestId, SnapshotId


class Terms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How it is counted what a decision earns, as a fact says it of itself, so that counting needs no configuration.

    Attributes:
        window_s: what happens so long after the decision counts.
        period_s: decisions are told apart by periods of this length.
        value_e4_max: the value of orders counts up to this.
    """

    window_s: int = 604_800
    period_s: int = 21_600
    value_e4_max: int = 5_000_000


class Chosen(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was chosen of several arms, how, and with which probability.

    Attributes:
        arm: the name of what was shown.
        policy: what chose it: `rule`, `bandit` or `experiment`.
        learner, terms: the name under which a bandit learns from it, and how it is counted; None where nothing is.
        eligible: every arm there was to choose from, with its probability; they sum to 1.
        propensity: the probability of the arm, as drawn.
        held_out: the person always gets what is configured, to compare with.
        features: the situation as numbers, as a contextual bandit saw it.
    """

    arm: str
    policy: str = "rule"
    learner: str | None = None
    terms: Terms | None = None
    eligible: dict[str, float] = msgspec.field(default_factory=dict)
    propensity: float = 1.0
    held_out: bool = False
    experiment: str | None = None
    features: tuple[float, ...] = ()


class Asked(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What else a list was asked for, as far as there is room.

    Attributes:
        limit: how long it was to be, where the request said so.
        exclude: what was not to be shown; where these ids are too long, `marks` of them instead, three bytes each.
        filter: the filter, as MessagePack.
        left_out: `exclude` and `filter` where they are not recorded, or not wholly.
    """

    limit: int | None = None
    exclude: tuple[ProductId, ...] = ()
    marks: bytes = b""
    filter: bytes = b""
    left_out: tuple[str, ...] = ()


class RankingShown(CustomerEvent, frozen=True, kw_only=True):
    """A list was answered: what went in, what came out, and with which probability it was chosen.

    Attributes:
        product_ids: in the order shown, which is their position.
        choice: which way of ranking it was, where the placement has several.
        asked: what else the request asked for; None where it was nothing.
        impersonal: whoever had asked the same would have been answered so; positions of such lists can be compared.
    """

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
    choice: Chosen | None = None
    asked: Asked | None = None
    impersonal: bool = False


class HomepageShown(CustomerEvent, frozen=True, kw_only=True):
    """A homepage was answered: the situation it was chosen in, the variant, and with which probability.

    Attributes:
        variant: the name of what was shown.
        policy: what chose it: `rule`, `default`, `bandit` or `experiment`.
        rule: why, in words.
        learner: the name under which a bandit learns from this decision; None where nothing is to be learned.
        eligible: every variant there was to choose from, with its probability; they sum to 1.
        propensity: the probability of the variant that was shown, as drawn.
        terms: on which it is learned; None is how every decision was counted before there was a choice.
        held_out: the person always gets what the rules say, to compare with.
        features: the situation as numbers, as a contextual bandit saw it.
        facts: what is known of the situation, by the fields of conditions; no place finer than a city.
        rows: the request ids of the rows of the page.
        order: which order the variant's rows were in, where it has several.
    """

    request_id: RequestId
    variant: str
    policy: str = "rule"
    rule: str = ""
    learner: str | None = None
    terms: Terms | None = None
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
    order: Chosen | None = None


Shown = RankingShown | HomepageShown  # what Dangol itself did: nobody sends it, and it says nothing about a person


class RankingClicked(CustomerEvent, frozen=True, kw_only=True):
    """A product of a shown list was clicked."""

    request_id: RequestId
    product_id: ProductId
    placement: str | None = None
    position: int | None = None
