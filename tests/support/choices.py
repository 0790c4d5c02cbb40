"""Simulated choices: what people take who weigh features by known weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ingest.vocabulary.ranking import CountVector, FloatVector
from recommender.ranker.choices import Choices


def simulated(weights: FloatVector, queries: int = 400, seed: int = 1, longest: int = 12) -> Choices:
    """One positive a query, drawn by the softmax of the weighted features (Gumbel's way)."""
    random = np.random.default_rng(seed)
    sizes = random.integers(2, longest + 1, queries)
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    features = random.standard_normal((start[-1], len(weights))).astype(np.float32)
    utility = features @ weights + random.gumbel(size=len(features))
    label = np.zeros(len(features), np.uint8)
    for first, last in pairwise(start):
        label[first + np.argmax(utility[first:last])] = 1
    return Choices(features, start, label)


def reordered(choices: Choices, seed: int) -> Choices:
    """The same queries in another order, and their candidates in another."""
    random = np.random.default_rng(seed)
    queries = random.permutation(choices.queries)
    rows: list[CountVector] = [
        random.permutation(np.arange(choices.start[query], choices.start[query + 1])) for query in queries
    ]
    start = np.concatenate((np.zeros(1, np.int64), np.cumsum([len(each) for each in rows])))
    order = np.concatenate(rows)
    weight = None if choices.weight is None else choices.weight[queries]
    return Choices(np.ascontiguousarray(choices.features[order]), start, choices.label[order], weight)
