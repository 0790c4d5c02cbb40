"""Decay by whole days of age, as fixed-point integers that are the same on every machine.

Sums of these weights do not depend on the order of summation, so a snapshot plus a tail adds up to what counting
everything gives, and two threads give the bytes of one.
"""

from __future__ import annotations

import decimal
from functools import lru_cache

import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector

ONE = 1 << 24  # the fixed-point weight of something that happened today
SIZE_MAX = 1024  # orders with more products than this are damped like this many

_DIGITS = 50


@lru_cache(maxsize=32)
def decay_table(half_life_days: int) -> CountVector:
    """Weights by age in days, shape (ages,), from `ONE` down to the last that is not zero.

    Cost: about 30 µs a half-life of a week, once.
    """
    assert half_life_days > 0
    with decimal.localcontext(decimal.Context(prec=_DIGITS)):
        step = decimal.Decimal(2) ** (decimal.Decimal(-1) / half_life_days)
        weights, value = [], decimal.Decimal(ONE)
        while (rounded := int(value.to_integral_value())) > 0:
            weights.append(rounded)
            value *= step
    table = np.array(weights, dtype=np.int64)
    table.flags.writeable = False
    return table


def decay_tables(half_lives_days: tuple[int, ...]) -> CountVector:
    """The tables of several half-lives, shape (half-lives, longest); ages beyond the last column weigh nothing."""
    tables = [decay_table(half_life) for half_life in half_lives_days]
    together = np.zeros((len(tables), max(len(table) for table in tables)), dtype=np.int64)
    for row, table in enumerate(tables):
        together[row, : len(table)] = table
    return together


def decay_between(days: int, half_life_days: int) -> float:
    """How much a sum shrinks when its reference moves `days` ahead: 2^(-days / half-life), rounded once."""
    assert days >= 0
    with decimal.localcontext(decimal.Context(prec=_DIGITS)):
        return float(decimal.Decimal(2) ** (decimal.Decimal(-days) / half_life_days))


@lru_cache(maxsize=1)
def size_damping() -> CountVector:
    """Weights by the number of distinct products of an order, size^(-3/4), shape (SIZE_MAX + 1,).

    Only √ and ÷, which IEEE 754 rounds in one way. A list of 500 products says little about any two of them.
    """
    sizes = np.maximum(np.arange(SIZE_MAX + 1, dtype=np.float64), 1.0)
    table: CountVector = np.floor(ONE / np.sqrt(sizes * np.sqrt(sizes)) + 0.5).astype(np.int64)
    table.flags.writeable = False
    return table


def day_of(time_s: int) -> int:
    """The UTC day a moment lies in, counted from 1970-01-01."""
    return time_s // DAY_S
