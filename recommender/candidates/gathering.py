"""Candidates with features for many questions at once: what fitting and searching look at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector
from recommender.candidates.stores import FEATURES, new_scratch
from recommender.interactions import ORDER
from recommender.kernels.collecting import Scratch, Stores
from recommender.kernels.gathering import gather_all, judge_all
from recommender.questions import Questions, Ragged


class Gathered(NamedTuple):
    """Candidates of n questions, at most c each.

    Attributes:
        found: (n,); row: (n, c); features: (n, c, FEATURES) float32.
    """

    found: NDArray[np.int64]
    row: NDArray[np.int32]
    features: NDArray[np.float32]

    def held(self) -> NDArray[np.bool_]:
        """(n, c) where there are candidates."""
        held: NDArray[np.bool_] = np.arange(self.row.shape[1]) < self.found[:, None]
        return held


def gather_questions(stores: Stores, questions: Questions, candidates: int, threads: int) -> Gathered:
    """The candidates of every question.

    Memory: n × c × (FEATURES + 2) × 4 bytes, and a scratch for each thread.
    """
    size = len(questions)
    count, row = np.zeros(size, np.int64), np.zeros((size, candidates), np.int32)
    score = np.zeros((size, candidates), np.float32)
    features = np.zeros((size, candidates, FEATURES), np.float32)
    bought = questions.products.where(questions.kind.values == ORDER)

    def block(some: slice, scratch: Scratch) -> None:
        starts = slice(some.start, some.stop + 1)
        gather_all(
            questions.products.start[starts],
            questions.products.values,
            questions.time_s.values,
            moment[some],
            bought.start[starts],
            bought.values,
            questions.excluded.start[starts],
            questions.excluded.values,
            stores,
            scratch,
            count[some],
            row[some],
            score[some],
            features[some],
        )

    moment = asked_at(questions)
    _in_blocks(size, stores, threads, block)
    return Gathered(count, row, features)


def reciprocal_ranks(stores: Stores, questions: Questions, depth: int, threads: int) -> FloatVector:
    """(n,) 1 / rank of the best target of each question by the blend alone, 0 beyond `depth`."""
    reciprocal, moment = np.zeros(len(questions)), asked_at(questions)

    def block(some: slice, scratch: Scratch) -> None:
        starts = slice(some.start, some.stop + 1)
        judge_all(
            questions.products.start[starts],
            questions.products.values,
            questions.time_s.values,
            moment[some],
            questions.excluded.start[starts],
            questions.excluded.values,
            questions.targets.start[starts],
            questions.targets.values,
            stores,
            scratch,
            depth,
            reciprocal[some],
        )

    _in_blocks(len(questions), stores, threads, block)
    return reciprocal


def _in_blocks(size: int, stores: Stores, threads: int, work: Callable[[slice, Scratch], None]) -> None:
    """Parts of the questions, each with a scratch of its thread."""
    ends = [size * at // threads for at in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        parts = [slice(begin, end) for begin, end in pairwise(ends) if begin < end]
        list(pool.map(lambda some: work(some, new_scratch(stores)), parts))


def asked_at(questions: Questions) -> NDArray[np.int64]:
    """The moment of each question: the last thing known."""
    ends = questions.time_s.start[1:]
    known = np.diff(questions.time_s.start) > 0
    moment = np.zeros(len(ends), np.int64)
    moment[known] = questions.time_s.values[ends[known] - 1]
    return moment


def labels_of(gathered: Gathered, targets: Ragged) -> NDArray[np.bool_]:
    """(n, c) whether a candidate is a target."""
    labels = np.zeros(gathered.row.shape, np.bool_)
    owners = targets.owners()
    for owner, target in zip(owners.tolist(), targets.values.tolist(), strict=True):
        labels[owner] |= gathered.row[owner] == target
    labels &= gathered.held()
    return labels
