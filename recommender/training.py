"""Training: a log in, a snapshot out. Works from nothing at all upwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import SnapshotId
from recommender import related
from recommender.candidates.slices import newest_of, without
from recommender.checkpoints import NOTHING_FINISHED, Checkpoints, Finished, fingerprint_of
from recommender.configuration import TrainingConfiguration
from recommender.guard import card_of
from recommender.interactions import Interactions, interactions_of
from recommender.models import affinity, bought_together, popularity, similar
from recommender.models.neighbours import Neighbours
from recommender.ranker.keeping import Base, Kept, SearchBounds, kept_of
from recommender.ranker.training import ModelCard, fit_rankers
from recommender.snapshot import Snapshot, SnapshotStore, snapshot_id_of
from recommender.validation import Validation

LEARNED_MAX = 20_000_000  # the newest interactions that histories are made of: the bound of a training's memory

Progress = Callable[[str, float], None]
Arrays = dict[str, NDArray[Any]]


class GoingOn(NamedTuple):
    """A snapshot that a training goes on from, and how long what was searched for it is kept."""

    snapshot: Snapshot
    bounds: SearchBounds


class Trained(msgspec.Struct, frozen=True):
    """What a training made: the snapshot and its size in bytes, what it saw, seconds by step, and the model card."""

    snapshot_id: SnapshotId
    bytes: int
    products: int
    orders: int
    interactions: int
    seconds: dict[str, float]
    reference_time: datetime
    card: ModelCard | None


def train(
    history: Callable[[], Interactions],
    configuration: TrainingConfiguration,
    store: SnapshotStore,
    progress: Progress = lambda step, share: None,
    check: Callable[[Arrays], None] = lambda arrays: None,
    going_on: GoingOn | None = None,
    checkpoints: Checkpoints | None = None,
    more: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> Trained:
    """Fit every model on a history and keep the snapshot; publishing it is the caller's.

    Args:
        history: reads what is learned from.
        progress: told the step that begins and the share that is done, in [0, 1].
        check: looks at the arrays before they are written; what it raises, this does, and nothing is kept.
        going_on: from which snapshot, and how long what was searched for it is kept; None searches.
        checkpoints: where a training that was killed left what it had finished; clearing them is the caller's.
        more: arrays to be kept beside those of the models; looked at when `history` was read.

    """
    seconds: dict[str, float] = {}
    watch = _Watch(seconds, progress)
    with watch.step("reading", 0.0):
        interactions = history()
    finished = NOTHING_FINISHED
    if checkpoints is not None:
        base = going_on.snapshot.snapshot_id if going_on else ""
        finished = checkpoints.begin(fingerprint_of(interactions, _settled(configuration), base))
    arrays = _fit(interactions, configuration, watch, going_on=going_on, finished=finished) | dict(more)
    check(arrays)
    with watch.step("writing", 0.95):
        snapshot_id = store.write(arrays)
    progress("done", 1.0)
    return Trained(
        snapshot_id=snapshot_id,
        bytes=sum(array.nbytes for array in arrays.values()),
        products=len(interactions.products),
        orders=len(interactions.orders),
        interactions=len(interactions.kind),
        seconds=seconds,
        reference_time=datetime.fromtimestamp(interactions.reference_s, UTC),
        card=card_of(arrays),
    )


def fit(
    interactions: Interactions,
    configuration: TrainingConfiguration,
    validation: Validation | None = None,
    progress: Progress = lambda step, share: None,
) -> Snapshot:
    """The same snapshot without a store: for evaluation and tests.

    Args:
        validation: labels that come with the data; None lets the training cut its own from the interactions.
    """
    arrays = _fit(interactions, configuration, _Watch({}, progress), validation)
    for array in arrays.values():
        array.flags.writeable = False
    return Snapshot(snapshot_id_of(arrays), arrays)


def fit_in_memory(events: Iterable[Event], configuration: TrainingConfiguration) -> Snapshot:
    """The snapshot of a history of events, without a store."""
    return fit(interactions_of(events), configuration)


def learnable(interactions: Interactions) -> Interactions:
    """What histories are made of: the newest interactions, without those of subjects who are left out.

    See `recommender.people`. Counts are of everything; a product of a shop with more than `LEARNED_MAX` has thousands.
    """
    newest = newest_of(interactions, LEARNED_MAX)
    return without(newest, np.isin(newest.subject, newest.left_out)) if len(newest.left_out) else newest


def _fit(
    interactions: Interactions,
    configuration: TrainingConfiguration,
    watch: _Watch,
    validation: Validation | None = None,
    going_on: GoingOn | None = None,
    finished: Finished = NOTHING_FINISHED,
) -> Arrays:
    arrays: Arrays = {}
    learned, threads = learnable(interactions), configuration.threads
    kept = None if going_on is None else _kept(going_on, interactions, configuration)
    for name, share, fit in _counts(interactions, configuration):
        with watch.step(name, share):
            arrays |= {f"{name}.{part}": array for part, array in fit().items()}
    with watch.step("similar", 0.1):
        told = similar.described(interactions.catalogue, configuration.similar, threads)
        listed = similar.substitutes(told, learned, configuration.similar, threads)
        arrays |= {f"similar.{part}": array for part, array in similar.arrays_of(told, listed).items()}

    def similar_of(some: Interactions) -> Neighbours:
        return listed if some is learned else similar.substitutes(told, some, configuration.similar, threads)

    if configuration.ranker:
        with watch.step("ranking", 0.25):
            within = watch.within("ranking", 0.25, 0.9)
            rankers = fit_rankers(learned, similar_of, configuration, validation, within, kept, finished)
            arrays |= {f"ranking.{part}": array for part, array in rankers.items()}
        with watch.step("relating", 0.9):
            by_words = {name.removeprefix("similar."): array for name, array in arrays.items()}
            arrays |= related.fit(rankers, by_words, interactions, configuration.threads)
    return arrays | _described(interactions, configuration)


def _counts(
    interactions: Interactions, configuration: TrainingConfiguration
) -> tuple[tuple[str, float, Callable[[], Any]], ...]:
    threads = configuration.threads
    return (
        ("popularity", 0.01, lambda: popularity.fit(interactions, configuration.popularity)),
        ("affinity", 0.03, lambda: affinity.fit(interactions, configuration.affinity)),
        ("bought_together", 0.05, lambda: bought_together.fit(interactions, configuration.bought_together, threads)),
    )


def _described(interactions: Interactions, configuration: TrainingConfiguration) -> Arrays:
    """What reading a snapshot needs besides the models: product ids by row, the day of reference, the configuration.

    `counts` are products, orders and interactions, for the guard of the next training; `order_quantity` is what is left
    of each line of `bought_together.order_product`, for the tail to take returns from.
    """
    lines = np.flatnonzero(interactions.order >= 0)
    lines = lines[np.lexsort((interactions.product[lines], interactions.order[lines]))]
    counts = (len(interactions.products), len(interactions.orders), len(interactions.kind))
    return {
        "products": np.frombuffer(msgspec.msgpack.encode(interactions.products), dtype=np.uint8),
        "counts": np.array(counts, dtype=np.int64),
        "order_quantity": interactions.quantity[lines],
        "reference_day": np.array([interactions.reference_day], dtype=np.int64),
        "configuration": np.frombuffer(_settled(configuration), dtype=np.uint8),
    }


def _settled(configuration: TrainingConfiguration) -> bytes:
    """The configuration as far as it changes what is made."""
    return msgspec.msgpack.encode(msgspec.structs.replace(configuration, threads=1))


def _kept(going_on: GoingOn, interactions: Interactions, configuration: TrainingConfiguration) -> Kept | None:
    """What of a snapshot need not be searched for again."""
    snapshot, card = going_on.snapshot, card_of(going_on.snapshot)
    if card is None:
        return None
    base = Base(snapshot, card.comparisons, card.kept)
    return kept_of(base, interactions, _settled(configuration), going_on.bounds)


class _Watch:
    """Seconds by step; the monotonic clock is read for the report only and reaches no array."""

    def __init__(self, seconds: dict[str, float], progress: Progress) -> None:
        self._seconds, self._progress = seconds, progress
        self._name, self._began = "", 0.0

    def step(self, name: str, share: float) -> _Watch:
        self._progress(name, share)
        self._name = name
        return self

    def within(self, name: str, begin: float, end: float) -> Progress:
        """Tells the steps of a part, and its share as one of the whole."""
        return lambda step, share: self._progress(f"{name}: {step}", begin + (end - begin) * share)

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] = round(time.perf_counter() - self._began, 3)
