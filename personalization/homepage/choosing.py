"""The choice: which variants fit a situation, the first of them, and why, in words.

Every box of every variant has a bit, the variants in the order of choice from the lowest bit up. For each field there
is a table from what it may be to the boxes that allow it, so that a choice is one look-up and one AND for each field
that any condition asks for, whatever the number of variants; the lowest bit left is the answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Literal, NamedTuple

from ingest.vocabulary.errors import ConfigurationError
from personalization.homepage.conditions import AllOf, Condition, Is, holds, in_words
from personalization.homepage.fields import FIELDS, Fact, Facts, shown
from personalization.homepage.regions import Box, Numbers, Words
from personalization.homepage.variants import Rule, Variant, read_variants

all_boxes_max = 5_000  # of all variants: 625 bytes for each thing a field may be

Policy = Literal["rule", "default"]


class Choice(NamedTuple):
    """The variant of a situation; `rule` says why in words. A rule and the default choose it with certainty."""

    variant: Variant
    policy: Policy
    rule: str


class _WordTable(NamedTuple):
    """The boxes that allow each word; `others` those that allow a word nobody names."""

    place: int
    named: Mapping[Fact, int]
    others: int

    def meeting(self, held: Words) -> int:
        if not held.others:
            return reduce(or_, (self.named.get(word, self.others) for word in held.named), 0)
        return reduce(or_, (mask for word, mask in self.named.items() if word not in held.named), self.others)


class _NumberTable(NamedTuple):
    """The boxes that allow the numbers before the first cut, between it and the next, …; and those that allow none."""

    place: int
    cuts: Sequence[float]
    between: Sequence[int]
    unknown: int

    def meeting(self, held: Numbers) -> int:
        found = self.unknown if held.unknown else 0
        for low, beyond in zip(held.cuts[::2], held.cuts[1::2], strict=True):
            pieces = self.between[bisect_right(self.cuts, low) : bisect_left(self.cuts, beyond) + 1]
            found |= reduce(or_, pieces, 0)
        return found


class Homepage:
    """The variants of a configuration, ready to choose from. Any thread may ask.

    Guarantees: equal facts give equal answers, whatever order the configuration names its variants in; there is always
    an answer, and never an exception.
    """

    def __init__(self, rules: tuple[Rule, ...], default: Variant) -> None:
        self.rules, self.default = rules, default
        every = [(owner, box) for owner, rule in enumerate(rules) for box in rule.boxes]
        if len(every) > all_boxes_max:
            raise ConfigurationError(f"all conditions together may have {all_boxes_max} cases, got {len(every)}")
        self._every, self._owners = every, [owner for owner, _ in every]
        self._all = (1 << len(every)) - 1
        found = [box for _, box in every]
        asked = sorted({place for box in found for place in box})
        self._words = [_word_table(place, found) for place in asked if not FIELDS[place].numeric]
        self._numbers = [_number_table(place, found) for place in asked if FIELDS[place].numeric]

    def choose(self, facts: Facts) -> Choice:
        """The variant for a situation: of those that fit the one of highest priority, of equal ones the first by name.

        Cost: about 15 µs with 500 variants of 10 conditions each.
        """
        left = self._left(facts)
        if not left:
            return Choice(self.default, "default", "no other variant fits")
        rule = self.rules[self._owners[(left & -left).bit_length() - 1]]
        return Choice(rule.variant, "rule", rule.words)

    def eligible(self, facts: Facts) -> tuple[Variant, ...]:
        """All variants that fit a situation in the order of choice, the default last: what there is to choose from."""
        found = dict.fromkeys(self._owners[bit] for bit in _bits(self._left(facts)))
        return (*(self.rules[owner].variant for owner in found), self.default)

    def meeting(self, boxes: Sequence[Box]) -> list[tuple[int, Box]]:
        """The boxes of all variants that have something in common with one of these, with the place of their rule.

        Cost: about 0.2 ms a box with 500 variants of 10 conditions each.
        """
        left = 0
        for box in boxes:
            met = self._all
            for words in self._words:
                if isinstance(held := box.get(words.place), Words):
                    met &= words.meeting(held)
            for numbers in self._numbers:
                if isinstance(held := box.get(numbers.place), Numbers):
                    met &= numbers.meeting(held)
            left |= met
        return [self._every[bit] for bit in _bits(left)]

    def _left(self, facts: Facts) -> int:
        left = self._all
        for place, named, others in self._words:
            left &= named.get(facts[place], others)
        for place, cuts, between, unknown in self._numbers:
            fact = facts[place]
            left &= unknown if fact is None else between[bisect_right(cuts, fact)]
        return left


def _bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def read_homepage(configured: Mapping[str, Mapping[str, object]], placements: Collection[str]) -> Homepage:
    """The homepage of a configuration's variants.

    Raises:
        ConfigurationError: with everything that is wrong, a line each.
    """
    return Homepage(*read_variants(configured, placements))


def why_not(rule: Rule, facts: Facts) -> tuple[str, ...]:
    """What keeps a variant from fitting, a sentence for each part of its condition that does not hold."""
    return tuple(
        f"{in_words(part)}: it is {shown(part.place, facts[part.place])}"
        if isinstance(part, Is)
        else f"{in_words(part)}: it is not so"
        for part in _parts(rule.condition)
        if not holds(part, facts)
    )


def _parts(condition: Condition) -> list[Condition]:
    if isinstance(condition, AllOf):
        return [each for part in condition.parts for each in _parts(part)]
    return [condition]


def _word_table(place: int, found: Sequence[Box]) -> _WordTable:
    """Boxes by the words they allow; whoever names no word of a field gets those that allow others."""
    others, named = 0, dict[Fact, int]()
    for bit, box in enumerate(found):
        held = box.get(place)
        if held is None:
            others |= 1 << bit
        elif isinstance(held, Words):
            others |= held.others << bit
            for word in held.named:
                named[word] = named.get(word, 0) | 1 << bit
    return _WordTable(place, {word: others ^ toggled for word, toggled in named.items()}, others)


def _number_table(place: int, found: Sequence[Box]) -> _NumberTable:
    """Boxes by the interval between two cuts of any of them."""
    anywhere, unknown, toggled = 0, 0, dict[float, int]()
    for bit, box in enumerate(found):
        held = box.get(place)
        if held is None:
            anywhere |= 1 << bit
            unknown |= 1 << bit
        elif isinstance(held, Numbers):
            unknown |= held.unknown << bit
            for cut in held.cuts:
                toggled[cut] = toggled.get(cut, 0) ^ 1 << bit
    cuts, between = sorted(toggled), [anywhere]
    for cut in cuts:
        between.append(between[-1] ^ toggled[cut])
    return _NumberTable(place, cuts, between, unknown)
