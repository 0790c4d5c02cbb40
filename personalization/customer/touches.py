"""Which traffic source brought somebody: the first touch ever, and the one the newest visit began with.

Unlike GA4 a direct visit is direct: no earlier source is looked up for it. Nothing is taken to be direct that nobody
called so: many shops tell of orders and carts without saying where a visit came from.
"""

from __future__ import annotations

import msgspec

from ingest.vocabulary.context import TEXT_LENGTH_MAX, Context, TrafficSource

session_gap_ms = 30 * 60_000  # half an hour of silence ends a visit, as web analytics count

DIRECT = TrafficSource("(direct)", "(none)")


class Touch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A source, and when it brought somebody: epoch milliseconds by the shopper's clock."""

    source: TrafficSource
    at_ms: int


class Touches(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The earliest touch there is, the one the newest visit began with, and the newest moment; a few hundred bytes."""

    first: Touch | None = None
    session: Touch | None = None
    last_ms: int | None = None


NO_TOUCHES = Touches()


def evolve_touches(touches: Touches, source: TrafficSource | None, at_ms: int) -> Touches:
    """The touches after something done at a moment, which told a source or none; who came directly tells `DIRECT`.

    A visit's touch is what it began with: another campaign in the middle of a visit changes nothing, as in GA4. What is
    told late may be the first touch, never the visit's. A visit of which nobody told a source has no touch.
    """
    told = tidy(source)
    touch = None if told is None else Touch(told, at_ms)
    first = touches.first
    if touch is not None and (first is None or at_ms < first.at_ms):
        first = touch
    if touches.last_ms is None or at_ms - touches.last_ms > session_gap_ms:
        return Touches(first, touch, at_ms)
    begun = touches.session
    if begun is None and at_ms >= touches.last_ms:
        begun = touch
    return Touches(first, begun, max(at_ms, touches.last_ms))


def after_visit(touches: Touches, context: Context | None, at_ms: int) -> Touches:
    """The touches after something the shopper did; what came without a context, as from a till, says nothing."""
    return touches if context is None else evolve_touches(touches, context.traffic_source, at_ms)


def merged_touches(one: Touches, other: Touches) -> Touches:
    """The earliest first touch and the newest visit of two histories of one person, whichever comes first."""
    firsts = sorted((each.first for each in (one, other) if each.first is not None), key=_place)
    newest = max((one, other), key=lambda each: (-1 if each.last_ms is None else each.last_ms, *_place(each.session)))
    return Touches(firsts[0] if firsts else None, newest.session, newest.last_ms)


def _place(touch: Touch | None) -> tuple[int, str, str, str]:
    """An order that equal touches alone share."""
    if touch is None:
        return (-1, "", "", "")
    source = touch.source
    return touch.at_ms, source.source or "", source.medium or "", source.campaign or ""


def tidy(source: TrafficSource | None) -> TrafficSource | None:
    """A source as far as it says anything: blanks and the word unknown say nothing, texts have a length."""
    if source is None:
        return None
    tidied = TrafficSource(*(tidy_text(text) for text in (source.source, source.medium, source.campaign)))
    return tidied if tidied != TrafficSource() else None


def tidy_text(text: str | None) -> str | None:
    """A text as far as it says anything."""
    cut = (text or "").strip()[:TEXT_LENGTH_MAX].strip()
    return cut if cut and cut.casefold() != "unknown" else None
