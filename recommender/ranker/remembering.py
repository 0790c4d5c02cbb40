"""What was learned for a purpose as bytes, and back: a step of a training that may be killed."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.kernels.trees import Trees
from recommender.ranker.compare import Challenge, Comparison
from recommender.ranker.fitting import Learned, Rival
from recommender.ranker.lessons import Lesson


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    content: bytes


class _Learned(msgspec.Struct, array_like=True):
    blend: tuple[float, ...]
    weights: _Array
    trees: tuple[_Array, ...] | None
    comparison: Comparison | None
    adds: dict[str, float]
    appeal: float
    challenge: Challenge | None


def learned_bytes(learned: Learned) -> bytes:
    """What was learned, exactly."""
    trees = learned.rival.trees
    parts = None if trees is None else tuple(map(_packed, trees))
    weights, comparison = _packed(learned.rival.weights), learned.comparison
    plain = _Learned(learned.blend, weights, parts, comparison, learned.adds, *learned.lesson)
    return msgspec.msgpack.encode(plain)


def learned_of(stored: bytes) -> Learned:
    """The inverse of `learned_bytes`."""
    plain = msgspec.msgpack.decode(stored, type=_Learned)
    trees = None if plain.trees is None else Trees(*map(_unpacked, plain.trees))
    lesson = Lesson(plain.appeal, plain.challenge)
    return Learned(plain.blend, Rival(_unpacked(plain.weights), trees), plain.comparison, plain.adds, lesson)


def _packed(array: NDArray[np.generic]) -> _Array:
    return _Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())


def _unpacked(array: _Array) -> NDArray[Any]:
    return np.frombuffer(array.content, array.dtype).reshape(array.shape).copy()
