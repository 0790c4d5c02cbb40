"""A part of a situation: a value, where it is known from, and how far it can be trusted.

The caller knows best, then the request's own headers, then what follows from something else, then the shop's default.
Confidences are judgements, written down in one place so that they can be argued with; none of them is measured.
"""

from __future__ import annotations

import math
from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

Origin = Literal["given", "header", "derived", "default"]

GIVEN = 1.0  # the caller states it
FORM_FACTOR = 0.95  # a browser names its device class
HINTED = 0.9  # a browser hints at it: most phones, but some tablets too, call themselves mobile
TAGGED = 0.9  # the shop's own campaign tags, which anybody may copy
CLICKED = 0.8  # a network's click id: the network is sure, paid or not is the usual case
REFERRED = 0.7  # browsers cut referrers, and leave them away
SNIFFED = 0.7  # a user agent says many things that are not so
MEASURED = 0.9  # a weather provider's reading for a coarse place
COUNTED = 0.9  # a profile: somebody on a new device looks new
REGION_GUESSED = 0.6  # the shop's own region stands for the visitor's of the same country
ESTIMATED = 0.6  # a feast that begins when the moon is seen may be a day off
GUESSED = 0.3  # the shop's default

HEADER_LENGTH_MAX = 1_000  # browsers send 150 to 400 characters


class Part(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One part. `value` None is unknown; `basis` names what it was read from, in the sender's words."""

    value: T | None
    source: Origin
    confidence: float
    basis: str = ""


def given(value: T | None, basis: str) -> Part[T]:
    """What the caller states."""
    return Part(value, "given", GIVEN, basis) if value is not None else unknown()


def derived(value: T | None, confidence: float, basis: str) -> Part[T]:
    """What follows from something else."""
    return Part(value, "derived", confidence, basis) if value is not None else unknown()


def unknown() -> Part[T]:
    """Nothing is known, and nobody said so."""
    return Part(None, "default", 0.0)


def best(*parts: Part[T]) -> Part[T]:
    """The first that is known, from the most trusted to the least."""
    return next((part for part in parts if part.value is not None), parts[-1])


def within(value: object, low: float, high: float) -> float | None:
    """A number in a range, both ends included; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and low <= number <= high else None
