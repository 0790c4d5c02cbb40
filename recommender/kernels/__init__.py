"""The hot loops, compiled by numba and cached on disk; `python -m recommender.kernels` compiles all of them.

Two decorators with types, because numba's have none. A `kernel` holds the interpreter's lock while it runs, so it is
atomic towards other threads: readers see a tail's arrays before or after an append, never within. A `row_kernel`
lets go of the lock: training runs several of them over different rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile to machine code that keeps the interpreter's lock."""
    return cast(F, numba.njit(cache=True)(function))


def part_of_kernel(function: F) -> F:
    """Part of a kernel, written apart: a call would copy every array of its arguments, 50 ns each."""
    return cast(F, numba.njit(cache=True, inline="always")(function))


def row_kernel(function: F) -> F:
    """Compile to machine code that runs beside other threads; it may write only what is its own."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))
