"""RFM segments: how lately, how often and for how much somebody bought, against the shop's other buyers.

Each of the three is scored from 1 to 5. Recency goes by the shop's own rhythm: 5 is within the time in which half of
those who come back have come back, 4 within that of three quarters, 3 of 90 %, 2 of 97.5 %. Orders and money go by the
quintiles of all buyers; equal numbers score alike, so that a shop of single orders scores them 1. Frequency and money
together are the lower middle of the two (Shopify's FM). No threshold is an absolute number.

Source: Hughes (1994), *Strategic Database Marketing*; the grid of ten segments that Putler made usual, with *lost* for
its lowest corner and *prospect* for who never bought.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, get_args

from ingest.vocabulary.buyers import Thresholds
from ingest.vocabulary.clock import DAY_S
from personalization.customer.profile import Profile

Segment = Literal[
    "champions",
    "loyal",
    "potential loyalist",
    "new",
    "promising",
    "needs attention",
    "about to sleep",
    "at risk",
    "can't lose",
    "hibernating",
    "lost",
    "prospect",
]
SEGMENTS: tuple[Segment, ...] = get_args(Segment)

SCORE_MAX = 5
LONG_AGO_DAYS = 10**9  # an order whose time is forgotten
DAY_MS = DAY_S * 1_000

# By recency from 1 to 5, then by frequency and money from 1 to 5.
_GRID: tuple[tuple[Segment, ...], ...] = (
    ("lost", "hibernating", "at risk", "at risk", "can't lose"),
    ("hibernating", "hibernating", "at risk", "at risk", "can't lose"),
    ("about to sleep", "about to sleep", "needs attention", "loyal", "loyal"),
    ("promising", "potential loyalist", "potential loyalist", "loyal", "loyal"),
    ("new", "potential loyalist", "potential loyalist", "champions", "champions"),
)
OF_ONE_ORDER = frozenset(segment for row in _GRID for segment in row[: (1 + SCORE_MAX) // 2]) - {"prospect"}
"""What somebody with one order may be: their frequency is 1, and so the middle with money 3 at most."""


def segment_of(profile: Profile, thresholds: Thresholds, now_ms: int) -> Segment:
    """The segment of a customer at a moment. Total. Cost: about 2 µs."""
    last_ms = last_order_ms(profile)
    if profile.orders <= 0:
        return "prospect"
    days = (now_ms - last_ms) // DAY_MS if last_ms is not None else LONG_AGO_DAYS
    recency = SCORE_MAX - _beyond(thresholds.days, days)
    frequency = 1 + _beyond(thresholds.orders, profile.orders)
    money = 1 + _beyond(thresholds.spent_e4, profile.revenue_e4.get(thresholds.currency, 0))
    return segment_at(recency, frequency, money)


def segment_at(recency: int, frequency: int, money: int) -> Segment:
    """The segment of three scores, each from 1 to `SCORE_MAX`."""
    return _GRID[recency - 1][(frequency + money) // 2 - 1]


def last_order_ms(profile: Profile) -> int | None:
    """When the newest order that counts was placed, as far as the profile remembers it."""
    last = profile.last_order
    if last is not None:
        return last.at_ms
    return max((bought.at_ms for bought in profile.purchased.values()), default=None)


def _beyond(edges: tuple[int, ...], value: int) -> int:
    """How many edges a value lies beyond."""
    return bisect_left(edges, value)
