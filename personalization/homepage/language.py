"""The language of conditions: tables, as a person writes them, become sets of fields joined by and, or, not.

    when = { weather = ["rain", "storm"], temperature_c = { below = 15 }, not = { device = "tv" } }

A table holds if all its entries do. An entry is a field with what it may be: a value, a range, or a list of these, of
which one is enough. Ranges have any of `from`, `to` (included), `above`, `below` (not included); a range of times may
go past midnight. `any` and `all` take lists of tables, `not` a table. Every field may also be "unknown"; a field that
is unknown is nothing else, so that `not` of a value holds for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import reduce

from personalization.homepage.conditions import NEVER, AllOf, AnyOf, Condition, Is, Not
from personalization.homepage.fields import FIELDS, MOMENT, PLACE_OF, UNKNOWN, Field, number_of, plain
from personalization.homepage.regions import Numbers, Set, Words, after, before, between, either
from personalization.situation.parts import within

DEPTH_MAX = 10  # nobody can read a deeper condition
ALTERNATIVES_MAX = 200  # in one list
WORD_LENGTH_MAX = 200

_BOUNDS = ("from", "to", "above", "below")
_JOINTS = ("any", "all", "not")
_COUNTRY_LETTERS = 2


def read_condition(raw: object, where: str, problems: list[str], depth: int = 0) -> Condition:
    """The condition that somebody wrote. What is wrong is added to `problems`, with where it is and what it may be."""
    if depth > DEPTH_MAX:
        problems.append(f"{where} is nested deeper than {DEPTH_MAX}")
        return NEVER
    if not isinstance(raw, Mapping):
        problems.append(f"{where} must be a table of fields, got {raw!r}")
        return NEVER
    return _one_or_all([_entry(str(name), value, where, problems, depth) for name, value in raw.items()])


def _one_or_all(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _entry(name: str, value: object, where: str, problems: list[str], depth: int) -> Condition:
    inner = f"{where}.{name}"
    if name == "not":
        return Not(read_condition(value, inner, problems, depth + 1))
    if name in ("any", "all"):
        if not isinstance(value, list | tuple) or not value:
            problems.append(f"{inner} must be a list of tables, with one at least")
            return NEVER
        parts = tuple(read_condition(each, f"{inner}[{n}]", problems, depth + 1) for n, each in enumerate(value))
        return AnyOf(parts) if name == "any" else AllOf(parts)
    place = PLACE_OF.get(name)
    if place is None or place == MOMENT:
        known = [*(field.name for field in FIELDS if field.kind != "moment"), *_JOINTS]
        problems.append(f"{where} asks for {name!r}, which is no field{_hint(name, known)}")
        return NEVER
    return _alternatives(place, value, inner, problems)


def _alternatives(place: int, value: object, where: str, problems: list[str]) -> Condition:
    field = FIELDS[place]
    written = list(value) if isinstance(value, list | tuple) else [value]
    if not 1 <= len(written) <= ALTERNATIVES_MAX:
        problems.append(f"{where} may list 1 to {ALTERNATIVES_MAX} alternatives, got {len(written)}")
        return NEVER
    found = [_alternative(field, each, where, problems) for each in written]
    held = reduce(
        lambda one, other: either(field, one, other), (each for each in found if each is not None), _none(field)
    )
    return Is(place, held, f"{field.name} is {' or '.join(_said(each) for each in written)}")


def _none(field: Field) -> Set:
    return Numbers(()) if field.numeric else Words(frozenset())


def _alternative(field: Field, value: object, where: str, problems: list[str]) -> Set | None:
    if isinstance(value, str) and plain(value) == UNKNOWN:
        return Numbers((), unknown=True) if field.numeric else Words(frozenset({None}))
    if field.numeric:
        return _range(field, value, where, problems)
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= WORD_LENGTH_MAX:
        problems.append(f"{where} must be a word of at most {WORD_LENGTH_MAX} characters, got {value!r}")
        return None
    word = plain(value)
    if field.kind == "choice" and word not in field.values:
        problems.append(f"{where} cannot be {value!r}{_hint(word, field.values)}")
        return None
    if field.name == "country" and not (len(word) == _COUNTRY_LETTERS and word.isascii() and word.isalpha()):
        problems.append(f"{where} must be a country's code of two letters, got {value!r}")
        return None
    return Words(frozenset({word}))


def _range(field: Field, value: object, where: str, problems: list[str]) -> Numbers | None:
    bounds = value if isinstance(value, Mapping) else {"from": value, "to": value}
    strange = [str(name) for name in bounds if name not in _BOUNDS]
    if strange or not bounds:
        problems.append(f"{where} has {', '.join(strange) or 'no bound'}; a range has {', '.join(_BOUNDS)}")
        return None
    found = {name: within(number_of(field, bound), field.low, field.high) for name, bound in bounds.items()}
    for name, bound in found.items():
        if bound is None or (field.whole and not bound.is_integer()):
            problems.append(f"{where} cannot be {bounds[name]!r}: {_range_of(field)}")
            return None
    low, high = _bounds(field, found)
    if low <= high:
        return between(field, low, high)
    if field.kind == "time":
        return _either_end(field, low, high)
    problems.append(f"{where} is a range with nothing in it: {_said(value)}")
    return None


def _bounds(field: Field, found: Mapping[str, float | None]) -> tuple[float, float]:
    """The smallest and the largest number of a range."""
    lows = [found.get("from"), None if found.get("above") is None else after(field, found["above"] or 0.0)]
    highs = [found.get("to"), None if found.get("below") is None else before(field, found["below"] or 0.0)]
    return (
        max((low for low in lows if low is not None), default=field.low),
        min((high for high in highs if high is not None), default=field.high),
    )


def _either_end(field: Field, low: float, high: float) -> Numbers:
    """From a time past midnight to another."""
    joined = either(field, between(field, low, field.high), between(field, field.low, high))
    assert isinstance(joined, Numbers)
    return joined


def _range_of(field: Field) -> str:
    if field.kind == "date":
        return "it is a day, as in 2026-12-24"
    if field.kind == "time":
        return "it is a time, as in 17:30"
    return f"it is a {'whole ' if field.whole else ''}number from {field.low:g} to {field.high:g}"


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_said(bound)}" for name, bound in value.items())
    return str(value)


def _hint(name: str, known: Iterable[str]) -> str:
    every = list(known)
    close = get_close_matches(name, every, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(every)}"
