"""What is done with a log takes a while: how far it is, step by step."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]


def counted(progress: Progress, step: str, total: int) -> Callable[[int], None]:
    """Adds up what was done of a step."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(step, done, total)

    return advance
