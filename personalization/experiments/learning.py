"""How a policy learns, as a person sets it; loads nothing that only learning needs."""

from __future__ import annotations

from typing import Literal

import msgspec

from ingest.vocabulary.errors import ConfigurationError

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
