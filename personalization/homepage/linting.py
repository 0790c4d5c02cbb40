"""What is wrong with a homepage's variants: what cannot be read, is never shown, or overlaps at one priority.

A variant is unreachable if the variants before it take all of its cases; that is decided exactly on boxes, taking
fields as independent of each other. Variants that are unreachable only because fields are not (a Monday on
1 December 2026) are not found. An overlap is told with a situation in which both fit. What takes too many steps is
named as undecided, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Literal, NamedTuple

from personalization.homepage.choosing import Homepage
from personalization.homepage.examples import example_in
from personalization.homepage.fields import FIELDS, MOMENT, Facts, shown
from personalization.homepage.regions import EVERYTHING, Box, meet, minus
from personalization.homepage.variants import DEFAULT_NAME, STANDARD, Rule, Variant, read_variant, read_variants

STEPS_MAX = 50_000  # of one variant: comparisons of boxes, about 3 µs each
OVERLAPS_MAX = 100  # that are told; whoever has more did not mean priorities
NAMED_MAX = 5  # variants before it that a finding names

Kind = Literal["invalid", "unreachable", "over", "overlap"]


class Finding(NamedTuple):
    """Something wrong with a variant, in words; `others` are the variants it has to do with, `example` a situation."""

    kind: Kind
    variant: str
    words: str
    others: tuple[str, ...] = ()
    example: Facts | None = None


class Report(NamedTuple):
    """What was found, and which questions were left open."""

    findings: tuple[Finding, ...]
    undecided: tuple[str, ...]


def lint_configuration(
    configured: Mapping[str, Mapping[str, object]], placements: Collection[str], now: datetime | None = None
) -> Report:
    """Everything wrong with a configuration's variants: those that cannot be read, then the others among themselves.

    Raises:
        ConfigurationError: there are more variants or cases than a homepage may have.
    """
    invalid: list[Finding] = []
    readable: dict[str, Mapping[str, object]] = {}
    for name, settings in sorted(configured.items()):
        rule, problems = read_variant(name, settings, placements)
        invalid += [Finding("invalid", name, problem) for problem in problems]
        if rule is not None:
            readable[name] = settings
    report = lint(Homepage(*read_variants(readable, placements)), now)
    return Report((*invalid, *report.findings), report.undecided)


def lint(homepage: Homepage, now: datetime | None = None) -> Report:
    """What is wrong with variants that could be read; at a moment, those that are over too.

    Cost: 500 variants of 10 conditions each take a few seconds.
    """
    findings: list[Finding] = []
    undecided: list[str] = []
    every = len(homepage.rules)
    for place, rule in enumerate(homepage.rules):
        name, ends = rule.variant.name, rule.variant.ends
        if now is not None and ends is not None and ends <= now:
            findings.append(Finding("over", name, f"its schedule ended at {ends.isoformat()}"))
        if not rule.boxes:
            findings.append(Finding("unreachable", name, f"its condition contradicts itself: {rule.words}"))
        else:
            _look_for_gap(name, rule.boxes, _before(homepage, rule.boxes, place), findings, undecided)
    if homepage.default is not STANDARD:
        taking = _before(homepage, (EVERYTHING,), every)
        _look_for_gap(DEFAULT_NAME, (EVERYTHING,), taking, findings, undecided)
    overlaps = _overlaps(homepage, {finding.variant for finding in findings})
    findings += islice(overlaps, OVERLAPS_MAX)
    if next(overlaps, None) is not None:
        undecided.append(f"more than {OVERLAPS_MAX} pairs of variants overlap at one priority; the rest is not told")
    return Report(tuple(findings), tuple(undecided))


def _before(homepage: Homepage, own: Sequence[Box], place: int) -> list[tuple[str, Box]]:
    """The boxes with something of `own` in them, of the variants before a place, with their names."""
    return [(homepage.rules[owner].variant.name, box) for owner, box in homepage.meeting(own) if owner < place]


def _look_for_gap(
    name: str, own: Sequence[Box], taking: Sequence[tuple[str, Box]], findings: list[Finding], undecided: list[str]
) -> None:
    """Adds a finding if the boxes of the variants before take every case of a variant."""
    others = _covering(own, taking)
    if others is None:
        undecided.append(f"whether {name!r} is ever shown would take too long to tell")
    elif others:
        words = f"whenever it fits, a variant before it does: {', '.join(others[:NAMED_MAX])}"
        findings.append(Finding("unreachable", name, words, others))


def _covering(own: Sequence[Box], taking: Sequence[tuple[str, Box]]) -> tuple[str, ...] | None:
    """Who takes all of some boxes, in order: nobody if some of it is left; None if that takes more than `STEPS_MAX`."""
    open_boxes = [(box, 0) for box in own]
    used: dict[str, None] = {}
    steps = 0
    while open_boxes:
        box, place = open_boxes.pop()
        while place < len(taking) and meet(box, taking[place][1]) is None:
            place, steps = place + 1, steps + 1
        steps += 1
        if place == len(taking):
            return ()
        if steps > STEPS_MAX:
            return None
        name, taken = taking[place]
        used[name] = None
        open_boxes += [(piece, place + 1) for piece in minus(box, taken)]
    return tuple(used)


def _overlaps(homepage: Homepage, hidden: Collection[str]) -> Iterator[Finding]:
    for place, one in enumerate(homepage.rules):
        if one.variant.name in hidden:
            continue
        for at in sorted({owner for owner, _ in homepage.meeting(one.boxes) if owner > place}):
            other = homepage.rules[at]
            alike = other.variant.priority == one.variant.priority and other.variant.name not in hidden
            example = _common(one, other) if alike else None
            if example is not None:
                yield _overlap(one.variant, other.variant, example)


def _overlap(first: Variant, second: Variant, example: Facts) -> Finding:
    words = (
        f"{first.name!r} has the same priority {first.priority} and comes before it by name, as with: {told(example)}"
    )
    return Finding("overlap", second.name, words, (first.name,), example)


def _common(one: Rule, other: Rule) -> Facts | None:
    for a in one.boxes:
        for b in other.boxes:
            met = meet(a, b)
            example = None if met is None else example_in(met)
            if example is not None:
                return example
    return None


def told(facts: Facts) -> str:
    """What is known of a situation, in words; the moment goes without saying."""
    known = [
        f"{field.name} {shown(place, facts[place])}"
        for place, field in enumerate(FIELDS)
        if facts[place] is not None and place != MOMENT
    ]
    return ", ".join(known) if known else "nothing is known"
