"""A log in memory, trained up to a cut and followed by its tail: what the models' laws are tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import PARTITIONS, ProductId, partition_of
from ingest.vocabulary.ranking import Candidates, ProductIndex, Seeds
from recommender.configuration import TrainingConfiguration
from recommender.live import LiveModels
from recommender.segments import entry_of
from recommender.tail import Tail
from recommender.training import fit_in_memory


def live_after(
    events: Sequence[Event],
    trained: int,
    configuration: TrainingConfiguration | None = None,
) -> LiveModels:
    """Models trained on the first events of a log, with all of them applied to the tail."""
    configuration = configuration or TrainingConfiguration()
    index, snapshot = ProductIndex(), fit_in_memory(events[:trained], configuration)
    ends, cut = [-1] * PARTITIONS, [-1] * PARTITIONS
    placed = []
    for number, event in enumerate(events):
        partition = partition_of(event.key)
        ends[partition] += 1
        placed.append((partition, entry_of(event, ends[partition])))
        if number < trained:
            cut[partition] = ends[partition]
    tail = Tail(index, snapshot, tuple(cut))
    for partition, entry in placed:
        if entry is not None:
            tail.apply(partition, entry)
    return LiveModels(snapshot, tail, index)


def seeds(live: LiveModels, *products: str) -> Seeds:
    numbers = [live.tail.index.find(ProductId(product)) for product in products]
    return Seeds(np.array([number for number in numbers if number is not None], np.int32), np.ones(len(products)))


def ids(live: LiveModels, candidates: Candidates) -> list[str]:
    return [live.tail.index.product_id(number) for number in candidates.products]


def together(live: LiveModels, *products: str, limit: int = 100) -> dict[str, tuple[int, float, float]]:
    """Partners with orders in common, lift and score."""
    found = live.bought_together(seeds(live, *products), limit)
    rows = zip(ids(live, found), found.orders, found.lift, found.scores, strict=True)
    return {product: (int(orders), float(lift), float(score)) for product, orders, lift, score in rows}


def wanted(live: LiveModels, limit: int = 100) -> dict[str, tuple[int, float]]:
    """Popular products with their orders and score."""
    found = live.popular(None, limit)
    rows = zip(ids(live, found), found.orders, found.scores, strict=True)
    return {product: (int(orders), float(score)) for product, orders, score in rows}
