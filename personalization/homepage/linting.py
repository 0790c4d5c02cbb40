"""What is wrong with a homepage's variants: what cannot be read, is never shown, or overlaps at one priority.

A variant is unreachable if the variants before it take all of its cases; that is decided exactly on boxes, taking
fields as independent of each other. Variants that are unreachable only because fields are not (a Monday on
1 December 2026) are not found. An overlap is told with a situation in which both fit. What takes too many steps is
named as undecided, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations, groupby, islice
from typing import Literal, NamedTuple

from personalization.homepage.choosing import Homepage
from personalization.homepage.examples import example_in
from personalization.homepage.fields import FIELDS, MOMENT, Facts, shown
from personalization.homepage.regions import EVERYTHING, Box, meet, minus
from personalization.homepage.variants import DEFAULT_NAME, STANDARD, Rule, read_variant, read_variants

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
    """Everything wrong with a configuration's variants: those that cannot be read, then the others among themselves."""
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

    Cost: 500 variants of 10 conditions each take about a second.
    """
    findings: list[Finding] = []
    undecided: list[str] = []
    for place, rule in enumerate(homepage.rules):
        _look_at(rule, homepage.rules[:place], now, findings, undecided)
    if homepage.default is not STANDARD:
        _look_for_gap(DEFAULT_NAME, (EVERYTHING,), homepage.rules, findings, undecided)
    hidden = {finding.variant for finding in findings}
    visible = [rule for rule in homepage.rules if rule.variant.name not in hidden]
    overlaps = _overlaps(visible)
    findings += islice(overlaps, OVERLAPS_MAX)
    if next(overlaps, None) is not None:
        undecided.append(f"more than {OVERLAPS_MAX} pairs of variants overlap at one priority; the rest is not told")
    return Report(tuple(findings), tuple(undecided))


def _look_at(
    rule: Rule, before: Sequence[Rule], now: datetime | None, findings: list[Finding], undecided: list[str]
) -> None:
    name, ends = rule.variant.name, rule.variant.ends
    if now is not None and ends is not None and ends <= now:
        findings.append(Finding("over", name, f"its schedule ended at {ends.isoformat()}"))
    if not rule.boxes:
        findings.append(Finding("unreachable", name, f"its condition contradicts itself: {rule.words}"))
    else:
        _look_for_gap(name, rule.boxes, before, findings, undecided)


def _look_for_gap(
    name: str, own: Sequence[Box], before: Sequence[Rule], findings: list[Finding], undecided: list[str]
) -> None:
    """Adds a finding if the variants before take every case of a variant."""
    taking = [
        (rule.variant.name, box)
        for rule in before
        for box in rule.boxes
        if any(meet(each, box) is not None for each in own)
    ]
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


def _overlaps(rules: Sequence[Rule]) -> Iterator[Finding]:
    for priority, group in groupby(rules, key=lambda rule: rule.variant.priority):
        for one, other in combinations(group, 2):
            example = _common(one, other)
            if example is not None:
                first, second = one.variant.name, other.variant.name
                words = (
                    f"{first!r} fits too, at the same priority {priority}, and is shown by its name: {told(example)}"
                )
                yield Finding("overlap", second, words, (first,), example)


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
