"""Compile every kernel and keep the machine code: train a tiny shop and ask it everything once."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ingest.vocabulary.context import Context
from ingest.vocabulary.events import Event, Line, OrderCompleted, ProductViewed
from ingest.vocabulary.ids import OrderId, ProductId, Subject, content_id, order_event_id
from ingest.vocabulary.ranking import History, ProductIndex, Seeds
from recommender.candidates.plan import LEARNED
from recommender.columns.gathering import gathered
from recommender.columns.stretches import together
from recommender.configuration import TrainingConfiguration
from recommender.interactions import ORDER, VIEW, assembled
from recommender.kernels.choice import score_linear
from recommender.kernels.trees import score_trees
from recommender.live import LiveModels
from recommender.models.cosine import nearest
from recommender.ranker.choices import Choices
from recommender.ranker.compare import ComparisonConfiguration, compare
from recommender.ranker.configuration import LogitConfiguration
from recommender.ranker.flattening import NO_TREES, flatten
from recommender.ranker.logit import fit_logit
from recommender.segments import CANCELLATION, RETURN, Entry
from recommender.snapshot import SnapshotStore
from recommender.tail import Tail
from recommender.training import train

_CHOICES = Choices(np.eye(2, dtype=np.float32), np.array([0, 2]), np.array([1, 0], np.uint8))
_MOMENT = datetime(2011, 1, 1, tzinfo=UTC)
_PEOPLE = 240  # so many that a ranker is fitted for each purpose
_VIEWED, _BOUGHT = "abcd", "ab"


def compile_all() -> None:
    """Call every kernel with the types it has in service."""
    events = [event for person in range(_PEOPLE) for event in _events_of(person)]
    with tempfile.TemporaryDirectory() as folder:
        store = SnapshotStore(Path(folder))
        trained = train(lambda: assembled(together([gathered(events)])), TrainingConfiguration(ranker=True), store)
        snapshot = store.open(trained.snapshot_id)
        index = ProductIndex()
        tail = Tail(index, snapshot)
        time_s = int(_MOMENT.timestamp()) + 200_000
        tail.apply(0, Entry(ORDER, 0, time_s, "s", ("a", "c"), b"order-number-four"))
        tail.apply(0, Entry(VIEW, 1, time_s, "s", ("a",)))
        tail.apply(0, Entry(RETURN, 2, time_s, "s", ("a",), b"order-number-four"))
        tail.apply(0, Entry(CANCELLATION, 3, time_s, "s", (), b"order-number-four"))
        live = LiveModels(snapshot, tail, index)
        seeds = Seeds(np.array([0], np.int32), np.ones(1))
        for ask in (live.bought_together, live.similar, live.other_styles, live.for_you):
            ask(seeds, 10)
        live.kinds(seeds.products, seeds.products, 1)
        live.popular(None, 10)
        live.trending(10)
        history = History(np.array([0], np.int32), np.array([time_s]), np.array([VIEW], np.int8))
        for purpose in LEARNED:
            live.ranked(purpose, history, 10, np.zeros(0, np.int32))
        del live, tail, snapshot
    compile_ranker()
    compile_neighbours()


def _events_of(person: int) -> list[Event]:
    """A visit, and an order the day after."""
    began, name = _MOMENT + timedelta(minutes=person), str(person)
    events: list[Event] = []
    for at, product in enumerate(_VIEWED):
        moment = began + timedelta(seconds=at)
        events.append(
            ProductViewed(
                event_id=content_id(product, name),
                occurred_at=moment,
                received_at=moment,
                subject=Subject(name),
                product_id=ProductId(product),
                context=Context(device="mobile"),
            )
        )
    bought = began + timedelta(days=1)
    events.append(
        OrderCompleted(
            event_id=order_event_id(OrderId(name)),
            occurred_at=bought,
            received_at=bought,
            subject=Subject(name),
            order_id=OrderId(name),
            lines=tuple(Line(product_id=ProductId(product)) for product in _BOUGHT),
        )
    )
    return events


def compile_ranker() -> None:
    """Call the ranker's kernels: a request of two candidates is enough for them."""
    score_linear(_CHOICES.features, fit_logit(_CHOICES, LogitConfiguration()).weights, scores := np.empty(2))
    score_trees(_CHOICES.features, scores, flatten(NO_TREES))
    compare(_CHOICES, {"logit": scores}, ComparisonConfiguration())


def compile_neighbours() -> None:
    """The item-item build with each of its counters, of one, two and four bytes, and with weights."""
    groups = 2**16
    start = np.arange(groups + 1, dtype=np.int64) * 2
    product = np.tile(np.array([0, 1], np.int32), groups)
    for count in (1, 2**8, groups):
        nearest(start[: count + 1], product[: 2 * count], None, 2, (0.5, 0.5, 0.0), 1)
    nearest(start, product, np.ones(2 * groups, np.float32), 2, (0.5, 0.5, 0.0), 1)


def main() -> None:
    """Compile, and say how long it took."""
    began = time.perf_counter()
    compile_all()
    print(f"compiled the kernels in {time.perf_counter() - began:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
