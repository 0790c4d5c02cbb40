"""Homepage variants: what a person configures, and what of it can be used."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ingest.vocabulary.errors import ConfigurationError
from personalization.experiments.arms import ArmSet, read_arms
from personalization.experiments.learning import LearningSettings
from personalization.homepage.conditions import (
    ALWAYS,
    BOXES_MAX,
    AllOf,
    Condition,
    boxes,
    in_words,
    within_schedule,
)
from personalization.homepage.language import read_condition
from personalization.homepage.regions import Box
from personalization.page.boosts import Boost, boost_problems
from personalization.page.request import limit_max

variants_max = 1_000  # a merchandiser who has more generates them
rows_max = 20  # as many as one request may ask for
content_bytes_max = 64_000  # as JSON, all translations included: content belongs into the shop's own system
name_length_max = 100
priority_max = 1_000_000

DEFAULT_NAME = "default"


class VariantRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the page: a placement, how long it is (the placement's own length if not said), and its boosts."""

    placement: str
    limit: int | None = None
    boosts: tuple[Boost, ...] = ()


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a homepage may look like, and when.

    Attributes:
        when: the condition, as it was written; nothing is always.
        begins, ends: the schedule, aware moments; `ends` is the first that is too late.
        priority: the highest of those that fit is shown; of equal ones the first by name.
        content: any JSON, for the shop's own templates.
        translations: by language (BCP 47), what is different in it.
        orders: other orders of the rows, by name: the numbers of the rows from top to bottom, the first is 1.
        learning: which order works is learned; without it the rows stand as they are written.
        experiments: on orders, by name: arms with their weights, the control.
    """

    name: str
    when: dict[str, Any] = {}
    begins: datetime | None = msgspec.field(default=None, name="from")
    ends: datetime | None = msgspec.field(default=None, name="until")
    priority: int = 0
    content: dict[str, Any] = {}
    translations: dict[str, dict[str, Any]] = {}
    rows: tuple[VariantRow, ...] = ()
    orders: dict[str, tuple[int, ...]] = {}
    learning: LearningSettings | None = None
    experiments: dict[str, dict[str, Any]] = {}


STANDARD = Variant(
    name=DEFAULT_NAME,
    rows=tuple(VariantRow(placement=name) for name in ("home.for-you", "home.popular", "home.recently-viewed")),
)


def in_order(variant: Variant, order: str) -> tuple[VariantRow, ...]:
    """The rows in one of the orders of a variant; as they are written where there is no such order."""
    numbers = variant.orders.get(order)
    return variant.rows if numbers is None else tuple(variant.rows[number - 1] for number in numbers)


def orders_of(variant: Variant) -> ArmSet | None:
    """The orders a variant's rows may stand in; None where there is but one.

    Raises:
        ConfigurationError: says what cannot be.
    """
    return read_arms(f"order of {variant.name}", variant.orders, variant.learning, variant.experiments)


class Rule(msgspec.Struct, frozen=True):
    """A variant that can be decided: its condition with the schedule, in words, and the boxes it holds for."""

    variant: Variant
    condition: Condition
    words: str
    boxes: tuple[Box, ...]


def read_variants(
    configured: Mapping[str, Mapping[str, object]], placements: Collection[str]
) -> tuple[tuple[Rule, ...], Variant]:
    """The variants of a configuration with conditions, in the order of choice, and the default one.

    The variant called `default` is shown where no other fits; a configuration that has none gets the standard one.

    Args:
        placements: the placements that rows may name.

    Raises:
        ConfigurationError: with everything that is wrong, a line each.
    """
    read = [read_variant(name, settings, placements) for name, settings in sorted(configured.items())]
    problems = [problem for _, found in read for problem in found]
    if len(configured) > variants_max:
        problems.append(f"there may be {variants_max} variants, got {len(configured)}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    rules = [rule for rule, _ in read if rule is not None]
    default = next((rule.variant for rule in rules if rule.variant.name == DEFAULT_NAME), STANDARD)
    ordered = sorted((rule for rule in rules if rule.variant.name != DEFAULT_NAME), key=_order)
    return tuple(ordered), default


def read_variant(name: str, settings: object, placements: Collection[str]) -> tuple[Rule | None, list[str]]:
    """The variant that somebody wrote, or what is wrong with it."""
    where = f"variant {name!r}"
    if not isinstance(settings, Mapping):
        return None, [f"{where} must be a table, got {settings!r}"]
    try:
        variant = msgspec.convert({**settings, "name": name}, Variant)
    except msgspec.ValidationError as error:
        return None, [f"{where}: {error}"]
    problems = [f"{where}: {problem}" for problem in _problems(variant, placements)]
    asked = read_condition(variant.when, f"{where}: when", problems)
    schedule = within_schedule(_seconds(variant.begins), _seconds(variant.ends))
    condition = asked if schedule == ALWAYS else AllOf((schedule, asked))
    found = None if problems else boxes(condition)
    if found is None:
        return None, problems or [
            f"{where}: its condition has more than {BOXES_MAX} cases: make several variants of it"
        ]
    return Rule(variant, condition, in_words(asked), found), []


def content_in(variant: Variant, languages: Collection[str] = ()) -> dict[str, Any]:
    """The content in the first of some languages (BCP 47) that it is translated to, else as it is.

    A language that is not there is tried without its last part: `de-AT`, then `de`. What a translation does not name
    stays as it is, within tables too.
    """
    translations = {language.casefold(): content for language, content in variant.translations.items()}
    for language in languages:
        tag = language.casefold()
        while tag:
            if tag in translations:
                return _over(variant.content, translations[tag])
            tag = tag.rpartition("-")[0]
    return variant.content


def _order(rule: Rule) -> tuple[int, str]:
    return -rule.variant.priority, rule.variant.name


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A table with the entries of another over it."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None or moment.tzinfo is None else moment.timestamp()


def _problems(variant: Variant, placements: Collection[str]) -> list[str]:
    schedule = (variant.begins, variant.ends)
    naive = [each for each in schedule if each is not None and each.tzinfo is None]
    checks = (
        (not 1 <= len(variant.name) <= name_length_max, f"a name has 1 to {name_length_max} characters"),
        (abs(variant.priority) > priority_max, f"priority must be -{priority_max} to {priority_max}"),
        (bool(naive), "from and until need an offset, as in 2026-12-01T00:00:00+01:00"),
        (not naive and _backwards(*schedule), "until must be after from"),
        (
            variant.name == DEFAULT_NAME and bool(variant.when or any(schedule) or variant.priority),
            "it is shown where no other fits: it has no condition, schedule or priority",
        ),
        (len(variant.rows) > rows_max, f"it may have {rows_max} rows, got {len(variant.rows)}"),
        (_size(variant) > content_bytes_max, f"content and translations may have {content_bytes_max} bytes as JSON"),
    )
    found = [message for wrong, message in checks if wrong]
    found += _order_problems(variant)
    for number, row in enumerate(variant.rows):
        found += [f"rows[{number}]: {problem}" for problem in _row_problems(row, placements)]
    return found


def _order_problems(variant: Variant) -> list[str]:
    every = list(range(1, len(variant.rows) + 1))
    found = [
        f"orders.{name} must name each of the {len(every)} rows once, by its number from 1, got {list(numbers)}"
        for name, numbers in sorted(variant.orders.items())
        if sorted(numbers) != every
    ]
    told = [tuple(every), *(variant.orders[name] for name in sorted(variant.orders))]
    if not found and len(set(told)) < len(told):
        found.append("two of its orders are the same, or one is that of the rows as they are written")
    try:
        _ = orders_of(variant)
    except ConfigurationError as error:
        found.append(error.message)
    return found


def _row_problems(row: VariantRow, placements: Collection[str]) -> list[str]:
    checks = [
        (row.placement not in placements, f"no placement is called {row.placement!r}"),
        (row.limit is not None and not 1 <= row.limit <= limit_max, f"limit must be 1 to {limit_max}, got {row.limit}"),
    ]
    return [*(message for wrong, message in checks if wrong), *boost_problems(row.boosts)]


def _backwards(begins: datetime | None, ends: datetime | None) -> bool:
    return begins is not None and ends is not None and begins >= ends


def _size(variant: Variant) -> float:
    try:
        return len(msgspec.json.encode([variant.content, variant.translations]))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return math.inf
