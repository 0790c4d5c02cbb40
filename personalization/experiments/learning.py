"""How a policy learns, as a person sets it; loads nothing that only learning needs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ingest.vocabulary.clock import DAY_S, HOUR_S
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Terms

Share = Annotated[float, Meta(ge=0.0, le=1.0)]

Goal = Literal["click", "cart", "order", "value"]

periods_max = 120  # 30 days of six hours; with the default half-life what is dropped weighs 1/8 or less
HALF_LIVES_KEPT_MIN = 3  # what is forgotten weighs an eighth by then


class Learning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a policy learns.

    Attributes:
        goal: what counts: a click, a cart, an order, or the order's value.
        floor: the least probability of every eligible arm.
        half_life_s: after this many seconds a decision counts half; 0 for never, as long as it is kept.
        period_s: how finely time is told apart; `periods_max` of them are kept.
        value_e4_max: the cap: the value of a decision counts up to this.
    """

    goal: Goal = "order"
    floor: float = 0.02
    half_life_s: float = 10 * 86_400.0
    period_s: int = 21_600
    value_e4_max: int = 5_000_000


def checked(learning: Learning) -> Learning:
    """The settings, if one can learn with them.

    Raises:
        ConfigurationError: says which one cannot be, and why.
    """
    if not 0 <= learning.floor <= 1:
        raise ConfigurationError(f"a minimum exploration is a probability, got {learning.floor}")
    if learning.period_s < 1 or learning.value_e4_max < 1:
        raise ConfigurationError("a period of at least a second and a cap above 0 are needed to learn")
    kept_s = periods_max * learning.period_s
    if not 0 <= learning.half_life_s * HALF_LIVES_KEPT_MIN <= kept_s:
        raise ConfigurationError(
            f"with periods of {learning.period_s} s, {kept_s} s are kept: the half-life must be from 0 to "
            f"{kept_s / HALF_LIVES_KEPT_MIN:g} s, got {learning.half_life_s:g}"
        )
    return learning


class LearningSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[homepage.learning]`, or that of a placement: which of the arms that fit is shown.

    Attributes:
        policy: `rule` goes by priority; `thompson` learns which works, `contextual` which works in which situation.
        name: under which it is learned; another name begins anew.
        goal: what counts: a click, a product in the cart, an order, or the value of orders.
        window_days: a decision earns what happens so many days after it.
        value_max: an order's value counts up to this.
        floor: the least probability of every arm that fits.
        holdout: the share of customers who always get what goes by priority.
    """

    policy: Literal["rule", "thompson", "contextual"] = "rule"
    name: Annotated[str, Meta(min_length=1, max_length=100)] = "homepage"
    goal: Goal = "click"
    window_days: Annotated[float, Meta(gt=0, le=90)] = 7.0
    value_max: Annotated[float, Meta(gt=0, le=1e9)] = 500.0
    floor: Share = 0.02
    holdout: Share = 0.0
    half_life_days: Annotated[float, Meta(ge=0, le=365)] = 10.0
    period_hours: Annotated[int, Meta(ge=1, le=24)] = 6

    @property
    def terms(self) -> Terms:
        """How it is counted what a decision earns; others begin anew."""
        return Terms(round(self.window_days * DAY_S), self.period_hours * HOUR_S, round(self.value_max * 10_000))

    @property
    def learning(self) -> Learning:
        """The same as the bandits understand it.

        Raises:
            ConfigurationError: one cannot learn with it.
        """
        return checked(
            Learning(
                goal=self.goal,
                floor=self.floor,
                half_life_s=self.half_life_days * DAY_S,
                period_s=self.period_hours * HOUR_S,
                value_e4_max=round(self.value_max * 10_000),
            )
        )
