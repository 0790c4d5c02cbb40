"""Conditions: sets of fields joined by and, or, not; whether they hold, in words, and as boxes."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from personalization.homepage.fields import FIELDS, MOMENT, Facts
from personalization.homepage.regions import EVERYTHING, Box, Set, before, between, either, meet, outside

BOXES_MAX = 256  # of one variant: eight questions of two alternatives each


class Is(NamedTuple):
    """The field at a place is in a set; `words` says so as it was written."""

    place: int
    held: Set
    words: str


class AllOf(NamedTuple):
    """Every part holds; without parts, always."""

    parts: tuple[Condition, ...]


class AnyOf(NamedTuple):
    """At least one part holds; without parts, never."""

    parts: tuple[Condition, ...]


class Not(NamedTuple):
    """The part does not hold."""

    part: Condition


Condition = Is | AllOf | AnyOf | Not
ALWAYS = AllOf(())
NEVER = AnyOf(())


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether a condition holds. Total: for any facts and any condition that could be read."""
    match condition:
        case Is(place, held, _):
            return held.has(facts[place])
        case AllOf(parts):
            return all(holds(part, facts) for part in parts)
        case AnyOf(parts):
            return any(holds(part, facts) for part in parts)
        case Not(part):
            return not holds(part, facts)


def in_words(condition: Condition) -> str:
    """A condition as a merchandiser says it."""
    match condition:
        case Is(_, _, words):
            return words
        case AllOf(parts):
            return " and ".join(_bracketed(part) for part in parts) if parts else "always"
        case AnyOf(parts):
            return " or ".join(_bracketed(part) for part in parts) if parts else "never"
        case Not(part):
            return f"not ({in_words(part)})"


def boxes(condition: Condition) -> tuple[Box, ...] | None:
    """The boxes that together are all facts a condition holds for; None if there are more than `BOXES_MAX`."""
    try:
        return tuple(_boxes(condition, negated=False))
    except OverflowError:
        return None


def _boxes(condition: Condition, *, negated: bool) -> list[Box]:
    match condition:
        case Is(place, held, _):
            allowed = outside(FIELDS[place], held) if negated else held
            return [] if allowed.empty else [{place: allowed}]
        case Not(part):
            return _boxes(part, negated=not negated)
        case AllOf(parts) | AnyOf(parts):
            every = [_boxes(part, negated=negated) for part in parts]
    if isinstance(condition, AllOf) != negated:
        return reduce(_crossed, every, [EVERYTHING])
    return _bounded([box for alternatives in every for box in alternatives])


def _crossed(one: list[Box], other: list[Box]) -> list[Box]:
    found = (meet(a, b) for a in one for b in other)
    return _bounded([box for box in found if box is not None])


def _bounded(found: list[Box]) -> list[Box]:
    """Without repetitions; boxes that differ in one field become one.

    Raises:
        OverflowError: there are too many.
    """
    kept: list[Box] = []
    for box in found:
        if box not in kept:
            _join(kept, box)
        if len(kept) > BOXES_MAX:
            raise OverflowError
    return kept


def _join(kept: list[Box], box: Box) -> None:
    """Adds a box, as part of one that differs from it in a single field if there is such."""
    for place, each in enumerate(kept):
        if each.keys() == box.keys():
            different = [field for field in box if box[field] != each[field]]
            if len(different) == 1:
                field = different[0]
                kept[place] = {**each, field: either(FIELDS[field], each[field], box[field])}
                return
    kept.append(box)


def within_schedule(begins: float | None, ends: float | None) -> Condition:
    """From a moment until before another, in Unix seconds; either may be missing."""
    if begins is None and ends is None:
        return ALWAYS
    field = FIELDS[MOMENT]
    low = field.low if begins is None else begins
    high = field.high if ends is None else before(field, ends)
    return Is(MOMENT, between(field, low, high), "it is the time for it")


def _bracketed(part: Condition) -> str:
    many = isinstance(part, AllOf | AnyOf) and len(part.parts) > 1
    return f"({in_words(part)})" if many else in_words(part)
