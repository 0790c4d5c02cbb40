"""Time comes from outside: the shell asks a clock, the core reads the event."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor
from typing import Protocol

HOUR_S = 3_600
DAY_S = 86_400


class Clock(Protocol):
    """Tells the time.

    Guarantees: aware UTC.
    Not guaranteed: that it never steps backwards.
    """

    def now(self) -> datetime:
        """The present moment."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC, rounded down."""
    return floor(moment.timestamp() * 1000)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The inverse of `epoch_ms`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
