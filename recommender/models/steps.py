"""Steps: what comes soon after a product in histories, where two steps lead, and what shares histories with it.

Sources: sequential rules with weights by distance, Ludewig and Jannach, "Evaluation of session-based recommendation
algorithms" (UMUAI 2018); two steps at random, Christoffel et al., "Blockbusters and wallflowers" (RecSys 2015).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import IntVector
from recommender.histories import Histories, Postings
from recommender.kernels.sequences import sum_steps, walk_twice
from recommender.models.neighbours import Neighbours

ROWS_AT_ONCE = 2048
AGES_PER_HALF_LIFE = 8
_HALF_LIVES = 6  # older than that weighs nothing

Array = NDArray[Any]


class StepsConfiguration(msgspec.Struct, frozen=True):
    """`decay` a step within `window`; `back` of it the other way round; `half_life_s` between the two, 0 for none.

    `recency` is the weight of the oldest history against the newest; `spread` the exponent that damps products by how
    often they occur, `damping` the one for histories by their length; `kept` neighbours a product.
    """

    window: int = 10
    decay: float = 0.7
    back: float = 0.0
    half_life_s: int = 0
    recency: float = 1.0
    spread: float = 0.0
    damping: float = 0.0
    kept: int = 100


def half_life_table(half_life_s: int) -> tuple[NDArray[np.float32], int]:
    """Weights by age in steps of an eighth of a half-life, and the seconds of a step (0: no decay).

    Only roots and products, so that the bits are the same on every machine.
    """
    if half_life_s <= 0:
        return np.ones(1, np.float32), 0
    step = np.sqrt(np.sqrt(np.sqrt(0.5)))
    weights = [1.0]
    for _ in range(_HALF_LIVES * AGES_PER_HALF_LIFE):
        weights.append(weights[-1] * step)
    return np.array(weights, np.float32), max(1, half_life_s // AGES_PER_HALF_LIFE)


def powers(base: float, count: int) -> NDArray[np.float32]:
    """1, base, base², …"""
    values = [1.0]
    for _ in range(count - 1):
        values.append(values[-1] * base)
    return np.array(values, np.float32)


def steps(
    histories: Histories,
    postings: Postings,
    configuration: StepsConfiguration,
    threads: int = 1,
    wanted: IntVector | None = None,
) -> Neighbours:
    """What follows each product.

    Args:
        wanted: the rows to work out, ascending; the others' lists stay empty. None for all.

    Cost: entries × window; memory: the lists, and 8 bytes a product for each thread.
    """
    products = histories.products
    occurrences = np.diff(postings.start).astype(np.float64)
    spread = _damped(occurrences, configuration.spread).astype(np.float32)
    forward = powers(configuration.decay, configuration.window)
    ages, age_step_s = half_life_table(configuration.half_life_s)
    length = np.diff(histories.start).astype(np.float64)
    share = np.linspace(configuration.recency, 1.0, len(histories) or 1)[: len(histories)]
    share = (share * _damped(length, configuration.damping)).astype(np.float32)
    arguments: list[Any] = [
        histories.start,
        histories.product,
        histories.unit,
        histories.time_s,
        *postings,
        forward,
        forward * np.float32(configuration.back),
        ages,
        age_step_s,
        share,
        spread,
        spread,
    ]

    def fill(rows: Array, work: tuple[Array, Array], out: tuple[int, Array, Array, Array]) -> None:
        sum_steps(*[rows, *arguments, *work, *out])

    return lists_of(products, fill, configuration.kept, threads, wanted)


def walk(
    first: Neighbours, second: Neighbours, width: int, kept: int, threads: int = 1, wanted: IntVector | None = None
) -> Neighbours:
    """Where a step along the first lists and one along the second lead. Cost: products × width²."""
    return lists_of(
        len(first.start) - 1,
        lambda rows, work, out: walk_twice(rows, *first, *second, width, *work, *out),
        kept,
        threads,
        wanted,
    )


def lists_of(products: int, fill: Any, kept: int, threads: int, wanted: IntVector | None) -> Neighbours:
    """Lists worked out in blocks of rows: `fill(rows, (total, touched), (kept, count, row, score))`."""
    rows = np.arange(products, dtype=np.int32) if wanted is None else wanted

    def block(first: int) -> tuple[Array, Array, Array]:
        these = rows[first : first + ROWS_AT_ONCE]
        count = np.zeros(len(these), np.int32)
        row, score = np.zeros((len(these), kept), np.int32), np.zeros((len(these), kept), np.float32)
        work = (np.zeros(products, np.float32), np.zeros(products, np.int32))
        fill(these, work, (kept, count, row, score))
        held = np.arange(kept) < count[:, None]
        return count, row[held], score[held]

    with ThreadPoolExecutor(threads) as pool:
        blocks = list(pool.map(block, range(0, len(rows), ROWS_AT_ONCE)))
    nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    count, row, score = (np.concatenate(parts) for parts in zip(nothing, *blocks, strict=True))
    length = np.zeros(products, np.int64)
    length[rows] = count
    return Neighbours(np.concatenate(([0], np.cumsum(length))).astype(np.int64), row, score)


def _damped(occurrences: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """occurrences^-exponent in eighths, by roots alone: the same bits on every machine."""
    eighths = round(exponent * 8)
    root = np.sqrt(np.sqrt(np.sqrt(np.maximum(occurrences, 1.0))))
    result = np.ones_like(root)
    for _ in range(eighths):
        result = result * root
    return 1.0 / result
