"""Boosts: products of a category, or with a value of an attribute, weigh more or less than their score says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

boosts_max = 20  # each costs a pass over the candidates of a row
boost_values_max = 100
lift_min, lift_max = 0.01, 100.0  # beyond is a filter


class Boost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Products of any of the categories, or with any of an attribute's values, score `lift` times as much in the row;
    below 1 they are held back. Exactly one of `category` and `attribute` is given.
    """

    lift: float
    category: tuple[str, ...] = ()
    attribute: str | None = None
    values: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The boost as a merchandiser says it."""
        about = " or ".join(self.category) if self.attribute is None else f"{self.attribute} {' or '.join(self.values)}"
        return f"{about} × {self.lift:g}"


def boost_problems(boosts: Sequence[Boost]) -> Iterator[str]:
    """What is wrong with some boosts, a sentence each."""
    if len(boosts) > boosts_max:
        yield f"it may have {boosts_max} boosts, got {len(boosts)}"
    for boost in boosts:
        by_attribute = boost.attribute is not None
        if not lift_min <= boost.lift <= lift_max:
            yield f"lift must be {lift_min} to {lift_max:g}, got {boost.lift}"
        if by_attribute == bool(boost.category):
            yield "a boost is for a category or for an attribute"
        if by_attribute != bool(boost.values):
            yield "an attribute goes with its values, and values with an attribute"
        if max(len(boost.values), len(boost.category)) > boost_values_max:
            yield f"{boost_values_max} values are enough"
