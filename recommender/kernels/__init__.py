"""The hot loops, compiled by numba and cached on disk; `python -m recommender.kernels` compiles all of them.

Two decorators with types, because numba's have none. A `kernel` holds the interpreter's lock while it runs, so it is
atomic towards other threads: readers see a tail's arrays before or after an append, never within. A `row_kernel`
lets go of the lock: training runs several of them over different rows.

Machine code is made anew once any file here has changed. numba looks at the file a function is in and not at those it
calls into, whose code would stay what it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])


def _sources() -> str:
    """What the machine code follows from. Cost: half a millisecond."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


_SOURCES = _sources()


def _compiled(function: F, **options: Any) -> F:
    compiled = numba.njit(cache=True, **options)(function)
    if isinstance(compiled, Dispatcher):  # plain Python where NUMBA_DISABLE_JIT is set
        cast(Any, compiled)._cache._cache_file._source_stamp = _SOURCES
    return cast(F, compiled)


def kernel(function: F) -> F:
    """Compile to machine code that keeps the interpreter's lock."""
    return _compiled(function)


def part_of_kernel(function: F) -> F:
    """Part of a kernel, written apart: a call would copy every array of its arguments, 50 ns each."""
    return _compiled(function, inline="always")


def row_kernel(function: F) -> F:
    """Compile to machine code that runs beside other threads; it may write only what is its own."""
    return _compiled(function, nogil=True)
