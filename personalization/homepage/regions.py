"""Sets of what fields may be, and boxes of them: what a condition allows, exactly.

A box allows for each field a set and for every other field everything. Sets are of two kinds: of words, named ones or
all but named ones; of numbers, as intervals that begin with their lower bound and end before their upper one. Unknown
is one more thing a field may be, so that a set and what is outside it are everything.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from personalization.homepage.fields import FIELDS, Fact, Facts, Field


class Words(NamedTuple):
    """Exactly the named ones, or (`others`) all but them; None stands for unknown."""

    named: frozenset[str | None]
    others: bool = False

    def has(self, fact: Fact) -> bool:
        """Whether it is in the set."""
        return (fact in self.named) != self.others

    @property
    def empty(self) -> bool:
        """Whether nothing is."""
        return not self.others and not self.named


class Numbers(NamedTuple):
    """Intervals [cuts[0], cuts[1]), [cuts[2], cuts[3]) …, ascending and apart; and whether unknown is in."""

    cuts: tuple[float, ...]
    unknown: bool = False

    def has(self, fact: Fact) -> bool:
        """Whether it is in the set."""
        if fact is None:
            return self.unknown
        return isinstance(fact, int | float) and bisect_right(self.cuts, fact) % 2 == 1

    @property
    def empty(self) -> bool:
        """Whether nothing is."""
        return not self.cuts and not self.unknown


Set = Words | Numbers
Box = Mapping[int, Set]
Combination = Callable[[bool, bool], bool]

EVERYTHING: Box = {}


def between(field: Field, low: float, high: float) -> Numbers:
    """The numbers from `low` to `high`, both included, that the field may be."""
    low, high = max(low, field.low), min(high, field.high)
    if field.whole:
        low, high = math.ceil(low), math.floor(high)
    return Numbers((low, after(field, high))) if low <= high else Numbers(())


def after(field: Field, value: float) -> float:
    """The least number beyond a value that the field might be."""
    return value + 1 if field.whole else math.nextafter(value, math.inf)


def before(field: Field, value: float) -> float:
    """The greatest number short of a value that the field might be."""
    return value - 1 if field.whole else math.nextafter(value, -math.inf)


def outside(field: Field, held: Set) -> Set:
    """All that the field may be and that is not in the set."""
    if isinstance(held, Numbers):
        everything = (field.low, after(field, field.high))
        return Numbers(_combined(everything, held.cuts, lambda one, other: one and not other), not held.unknown)
    if field.kind == "choice":
        every = frozenset((*field.values, None))
        return Words(held.named if held.others else every - held.named)
    return Words(held.named, not held.others)


def both(one: Set, other: Set) -> Set:
    """What is in two sets of one field."""
    if isinstance(one, Numbers) and isinstance(other, Numbers):
        return Numbers(_combined(one.cuts, other.cuts, lambda a, b: a and b), one.unknown and other.unknown)
    assert isinstance(one, Words)
    assert isinstance(other, Words)
    if one.others and other.others:
        return Words(one.named | other.named, others=True)
    if one.others:
        return Words(other.named - one.named)
    return Words(one.named - other.named if other.others else one.named & other.named)


def apart(one: Set, other: Set) -> bool:
    """Whether two sets of one field have nothing in common; most have not, and this is the quick way to tell."""
    if isinstance(one, Words) and isinstance(other, Words):
        if not one.others and not other.others:
            return one.named.isdisjoint(other.named)
    elif isinstance(one, Numbers) and isinstance(other, Numbers):
        if one.unknown and other.unknown:
            return False
        if not one.cuts or not other.cuts or one.cuts[-1] <= other.cuts[0] or other.cuts[-1] <= one.cuts[0]:
            return True
    return both(one, other).empty


def either(field: Field, one: Set, other: Set) -> Set:
    """What is in one of two sets of a field."""
    return outside(field, both(outside(field, one), outside(field, other)))


def meet(one: Box, other: Box) -> Box | None:
    """The box that two boxes have in common, if any."""
    if any(place in one and apart(one[place], held) for place, held in other.items()):
        return None
    return {**one, **{place: both(one[place], held) if place in one else held for place, held in other.items()}}


def minus(box: Box, taken: Box) -> Iterator[Box]:
    """Boxes apart from each other that together are all of `box` outside `taken`."""
    if meet(box, taken) is None:
        yield box
        return
    rest = dict(box)
    for place, held in taken.items():
        free = outside(FIELDS[place], held)
        left = both(rest[place], free) if place in rest else free
        if not left.empty:
            yield {**rest, place: left}
        rest[place] = both(rest[place], held) if place in rest else held


def contains(box: Box, facts: Facts) -> bool:
    """Whether facts are in a box."""
    return all(held.has(facts[place]) for place, held in box.items())


def _combined(one: tuple[float, ...], other: tuple[float, ...], wanted: Combination) -> tuple[float, ...]:
    """The cuts where what is wanted of two sides changes."""
    cuts: list[float] = []
    inside = False
    for cut in sorted({*one, *other}):
        now = wanted(bisect_right(one, cut) % 2 == 1, bisect_right(other, cut) % 2 == 1)
        if now != inside:
            cuts.append(cut)
            inside = now
    return tuple(cuts)
