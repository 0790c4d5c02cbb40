"""An arm is drawn from a table of exact probabilities by a hash, so that every draw can be recomputed.

Probabilities are whole numbers of `SHARES`-ths. They therefore sum to exactly one, as integers and as floats in any
order, and the probability that is recorded for an arm is the one it was drawn with, to the last bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

from ingest.vocabulary.errors import ConfigurationError

SHARES = 2**30  # a float holds every multiple of 1/2³⁰ in [0, 1] exactly
arms_max = 50  # variants of a homepage are a few; more arms than that are a recommender's business
_BITS = 53  # of a float's mantissa


class Propensities(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The probability of every eligible arm, in `SHARES`-ths that sum to `SHARES`.

    Attributes:
        arms: the names of the arms, sorted.
        shares: for each arm, at least the floor it was made with.
    """

    arms: tuple[str, ...]
    shares: tuple[int, ...]

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The table as floats; they sum to exactly 1.0 in any order."""
        return tuple(share / SHARES for share in self.shares)

    def of(self, arm: str) -> float:
        """The probability of an arm; 0 for one that was not eligible."""
        return self.shares[self.arms.index(arm)] / SHARES if arm in self.arms else 0.0


class Drawn(msgspec.Struct, frozen=True, gc=False):
    """The arm that was drawn, and the probability that it was.

    Attributes:
        held_out: whether this person always gets the default arm. Then the propensity is 1, nothing is learned from
            the decision, and it is no evidence about other policies.
    """

    arm: str
    propensity: float
    held_out: bool = False


def uniform(*parts: str) -> float:
    """A number in [0, 1) that only the parts decide: 53 bits of BLAKE2b, alike everywhere and for ever.

    Parts are told apart by their lengths, so that ("ab", "c") and ("a", "bc") are unrelated. Cost: some 3 µs.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return (int.from_bytes(digest.digest(), "big") >> (64 - _BITS)) * 2.0**-_BITS


def table_of(weights: Mapping[str, float], *, floor: float = 0.0) -> Propensities:
    """Each arm gets the floor, and of the rest its share of the weights; all weights 0 are all alike.

    Args:
        weights: for each eligible arm, finite and not negative.
        floor: the least probability of every arm, in [0, 1 / number of arms].

    Raises:
        ConfigurationError: no arm, more than `arms_max`, a weight that is no weight, or a floor with no room for it.
    """
    arms = tuple(sorted(weights))
    if not 1 <= len(arms) <= arms_max:
        raise ConfigurationError(f"a decision needs 1 to {arms_max} eligible arms, got {len(arms)}")
    values = [weights[arm] for arm in arms]
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ConfigurationError(f"the weight of an arm must be a number from 0 on, got {dict(weights)}")
    if not 0 <= floor * len(arms) <= 1:
        raise ConfigurationError(f"a minimum exploration of {floor} has no room for {len(arms)} arms")
    least = min(math.ceil(floor * SHARES), SHARES // len(arms))  # a third thrice is one, less a share
    rest = _apportioned(values, SHARES - least * len(arms))
    return Propensities(arms, tuple(least + share for share in rest))


def draw(table: Propensities, *parts: str) -> Drawn:
    """The arm that a hash of the parts falls on, for instance of the policy's name and the request id."""
    point = int(uniform(*parts) * SHARES)
    for arm, share, end in zip(table.arms, table.shares, accumulate(table.shares), strict=True):
        if point < end:
            return Drawn(arm, share / SHARES)
    raise AssertionError(f"the shares of {table} do not sum to {SHARES}")


def draw_or_hold(
    table: Propensities, policy: str, customer: str, request: str, *, default: str, holdout: float
) -> Drawn:
    """A draw for a request, unless the customer is one of the `holdout` share that always gets the default arm.

    Who is held out is decided by the hash of policy and customer: it stays, and grows only when the share does.
    """
    if uniform("holdout", policy, customer) < holdout:
        return Drawn(default, 1.0, held_out=True)
    return draw(table, "draw", policy, request)


def _apportioned(weights: Sequence[float], total: int) -> list[int]:
    """The total in proportion to the weights, by largest remainders; ties go to the arm named first."""
    largest = max(weights)
    scaled = [weight / largest for weight in weights] if largest > 0 else [1.0] * len(weights)
    whole = math.fsum(scaled)
    exact = [total * weight / whole for weight in scaled]
    shares = [min(int(value), total) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: (shares[at] - exact[at], at))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    assert sum(shares) == total, (weights, total)
    return shares
