"""Shops from rows of numbers, for the tests of what candidates come from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ingest.vocabulary.ranking import Purpose
from recommender.evaluation.files.columns import Columns, interactions_of_columns
from recommender.histories import Histories
from recommender.interactions import ORDER, VIEW, Interactions

Row = tuple[int, int, int, int]  # subject, product, Unix seconds, order or -1
NEXT_ITEM: Purpose = "next_item"


def shop_of(rows: Iterable[Row], products: int) -> Interactions:
    """Products are named by their row: p000, p001, …"""
    table = np.array(list(rows), np.int64).reshape(-1, 4)
    names = [f"p{number:03}" for number in range(products)]
    kind = np.where(table[:, 3] >= 0, ORDER, VIEW).astype(np.int8)
    return interactions_of_columns(
        Columns(names, table[:, 1].astype(np.int32), table[:, 0], kind, table[:, 2], table[:, 3])
    )


def rows_of(seed: int, subjects: int, products: int, length: int = 6, gap_s: int = 1000) -> list[Row]:
    """People who look at things, again and again, and buy some of it; orders have a moment of their own each."""
    random, rows, order = np.random.default_rng(seed), list[Row](), 0
    for subject in range(subjects):
        time_s = int(random.integers(0, 100_000))
        for _ in range(random.integers(1, length + 1)):
            time_s += int(random.integers(0, 3 * gap_s))
            rows.append((subject, int(random.integers(products)), time_s, -1))
        if random.random() < 0.5:
            time_s += int(random.integers(1, 3 * gap_s))
            rows += [(subject, int(each), time_s, order) for each in random.integers(0, products, 3)]
            order += 1
    return rows


def histories(*written: str, products: int = 26, gap_s: int = 1) -> Histories:
    """Histories in letters, a letter a second, the whole a history a day: a is product 0."""
    flat = [ord(letter) - ord("a") for each in written for letter in each]
    start = np.concatenate(([0], np.cumsum([len(each) for each in written]))).astype(np.int64)
    time_s = [day * 86_400 + at * gap_s for day, each in enumerate(written) for at in range(len(each))]
    return Histories(
        start, np.array(flat, np.int32), np.array(time_s, np.int64), np.zeros(len(flat), np.int8), products
    )
