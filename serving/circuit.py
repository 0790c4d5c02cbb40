"""A circuit breaker: what does not answer is left alone for a while, so that answers do not wait for it one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ingest.vocabulary.errors import Unavailable

PAUSE_FIRST_S, PAUSE_MAX_S = 0.5, 5.0

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Circuit:
    """Open after a failure: nobody asks until the pause is over, then one caller tries and the others still do without.

    The pause doubles with every failed attempt and is short again after a success. Any thread may call.
    """

    def __init__(
        self, on_change: Callable[[bool], None] = lambda _: None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_change, self._now_s = on_change, now_s
        self._lock = threading.Lock()
        self._pause_s = PAUSE_FIRST_S
        self._try_again_s: float | None = None  # None while all is well

    def call(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Do the work, unless it is known not to be possible.

        Raises:
            Unavailable: it is not, or the work raised it.
        """
        if self._try_again_s is not None and not self._may_try():
            raise Unavailable("it did not answer a moment ago, and is left alone for a while")
        try:
            result = work(*args, **kwargs)
        except Unavailable:
            self._failed()
            raise
        if self._try_again_s is not None:
            self._succeeded()
        return result

    def _may_try(self) -> bool:
        """Whether this caller is the one that tries."""
        with self._lock:
            if self._try_again_s is None:
                return True
            if self._now_s() < self._try_again_s:
                return False
            self._try_again_s = self._now_s() + self._pause_s  # the others wait for what this one finds
            return True

    def _failed(self) -> None:
        with self._lock:
            was_well = self._try_again_s is None
            self._try_again_s = self._now_s() + self._pause_s
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        if was_well:
            self._on_change(True)

    def _succeeded(self) -> None:
        with self._lock:
            self._try_again_s, self._pause_s = None, PAUSE_FIRST_S
        self._on_change(False)
