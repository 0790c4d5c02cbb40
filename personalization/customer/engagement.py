"""Engagement: how busy somebody is in the shop right now, in product views that fade.

What a shopper does counts as so many views (`reducer` has the table), and half of that ten minutes later. Half an hour
of silence ends the visit, and with it the engagement.
"""

from __future__ import annotations

import msgspec

from personalization.customer.touches import session_gap_ms

HALF_LIFE_MS = 10 * 60_000  # a few pages' reading: who has been silent so long is half gone
POINTS_A_VIEW = 1_000
points_max = 1_000 * POINTS_A_VIEW  # a thousand views in ten minutes are no person's


class Engagement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Points at a moment, a thousand to a view; whole numbers, so that profiles are equal to the byte."""

    points: int = 0
    at_ms: int = 0


NONE_YET = Engagement()


def after_action(engagement: Engagement, points: int, at_ms: int) -> Engagement:
    """The engagement after something done at a moment; what is told late has faded already."""
    since_ms = at_ms - engagement.at_ms
    if since_ms > session_gap_ms:
        return Engagement(points, at_ms)
    if since_ms < 0:
        return Engagement(min(engagement.points + _faded(points, -since_ms), points_max), engagement.at_ms)
    return Engagement(min(_faded(engagement.points, since_ms) + points, points_max), at_ms)


def merged_engagement(one: Engagement, other: Engagement) -> Engagement:
    """That of two histories of one person, whichever comes first."""
    earlier, later = (one, other) if one.at_ms <= other.at_ms else (other, one)
    kept = _faded(earlier.points, later.at_ms - earlier.at_ms)
    return Engagement(min(kept + later.points, points_max), later.at_ms)


def views_at(engagement: Engagement, now_ms: int) -> float:
    """What it comes to at a moment, in views."""
    return _faded(engagement.points, max(now_ms - engagement.at_ms, 0)) / POINTS_A_VIEW


def _faded(points: int, after_ms: int) -> int:
    """What is left of points after a while; nothing once the visit is over."""
    return 0 if after_ms > session_gap_ms else round(points * 0.5 ** (after_ms / HALF_LIFE_MS))
