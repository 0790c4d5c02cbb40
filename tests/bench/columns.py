"""Columns of the log: how fast they are scanned and become interactions, and how fast facts become columns.

`python -m tests.bench.columns <events> <seed>` generates files of so many events, reads them, and prints an `Outcome`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import PARTITIONS
from recommender.columns.files import opened, partition_folder, stretches_in, write
from recommender.columns.gathering import gathered
from recommender.columns.shape import Arrays, array_types
from recommender.columns.store import ColumnStore
from recommender.columns.stretches import together
from recommender.decay import decay_table
from recommender.interactions import KIND_UNITS, assembled
from tests.bench.machine import Row
from tests.bench.steps import Outcome, Watch, child
from tests.support.histories import view

QUICK, FULL = 1_000_000, 10_000_000
GATHERED = 100_000  # events that are made one by one
PRODUCTS, EVENTS_A_PERSON, SKEW = 200_000, 20, 3
FIRST_S, SPAN_S, HALF_LIFE_DAYS = 1_600_000_000, 365 * DAY_S, 30
KINDS = np.array([0, 0, 0, 0, 1, 2], np.int8)
TIMEOUT_S = 1_800


def rows(events: int, seed: int) -> list[Row]:
    """What training reads, and what it takes."""
    done = child("tests.bench.columns", events, seed, timeout_s=TIMEOUT_S)
    more, shown = done.more, f"{events / 1e6:g} million generated views, carts and wishes, {PRODUCTS:,} products"
    return [
        Row("columns: read, checked, weighed", "M events/CPU-s", [events / 1e6 / more["scan_s"]], shown),
        Row("the same, not checked", "M events/CPU-s", [events / 1e6 / more["weigh_s"]], "checksums known to be right"),
        Row(
            "columns into interactions", "M events/CPU-s", [events / 1e6 / more["assemble_s"]], "sorted, once, numbered"
        ),
        Row("", "MB at most", [done.peak_mb], "resident, whole process"),
        Row("", "bytes/event", [more["bytes"] / events], "of the files"),
        Row("decoded facts into columns", "events/CPU-s", [GATHERED / more["gather_s"]], "views, one by one"),
    ]


def write_columns(folder: Path, events: int, seed: int) -> None:
    """Files of generated events, a stretch in each partition."""
    draw, each = np.random.default_rng(seed), events // PARTITIONS
    for partition in range(PARTITIONS):
        time_s = FIRST_S + np.sort(draw.integers(0, SPAN_S, each))
        people, subject = np.unique(draw.integers(0, max(1, each // EVENTS_A_PERSON), each), return_inverse=True)
        numbers, product = np.unique((PRODUCTS * draw.random(each) ** SKEW).astype(np.int64), return_inverse=True)
        arrays = _nothing()
        arrays |= {
            "deeds.known_us": time_s * 1_000_000,
            "deeds.time_s": time_s,
            "deeds.event": draw.integers(0, 2**64, each, dtype=np.uint64),
            "deeds.kind": draw.choice(KINDS, each),
            "deeds.subject": subject.astype(np.int32),
            "deeds.product": product.astype(np.int32),
            "deeds.quantity": np.ones(each, np.int32),
            "subject.hash": draw.integers(0, 2**64, (len(people), 2), dtype=np.uint64),
            "product.hash": np.stack((numbers * 0x9E3779B97F4A7C1, numbers), 1).astype(np.uint64),
            "product.size": np.full(len(numbers), 7, np.int32),
            "product.text": np.frombuffer(b"".join(b"p%06d" % number for number in numbers.tolist()), np.uint8),
        }
        write(folder, partition, 0, each - 1, 0, 0, arrays)


def _nothing() -> dict[str, np.ndarray]:
    return {name: np.zeros((0, 2) if name.endswith(".hash") else 0, dtype) for name, dtype in array_types().items()}


def scan(folder: Path) -> float:
    """The decayed weight of every product; the seconds of it that were not reading and checking."""
    table, units = decay_table(HALF_LIFE_DAYS).astype(np.float64), np.array(KIND_UNITS, np.float64)
    today, weighing = (FIRST_S + SPAN_S) // DAY_S, 0.0
    for partition, arrays in read(folder):
        began = time.process_time()
        age = np.minimum(today - arrays["deeds.time_s"] // DAY_S, len(table) - 1)
        weights = table[age] * units[arrays["deeds.kind"]]
        total = np.bincount(arrays["deeds.product"], weights)
        assert total.sum() > 0, partition
        weighing += time.process_time() - began
    return weighing


def read(folder: Path) -> Iterator[tuple[int, Arrays]]:
    """Every stretch, checked."""
    for partition in range(PARTITIONS):
        for stretch in stretches_in(partition_folder(folder, partition)):
            found = opened(stretch, partition)
            assert found is not None
            yield partition, found.arrays


def main(events: int, seed: int) -> Outcome:
    """Generate, scan, put in order."""
    with tempfile.TemporaryDirectory(prefix="dangol-columns-") as name:
        folder = Path(name) / "columns"
        write_columns(folder, events, seed)
        assembled(together([gathered([view("p0")])]))  # what is compiled is loaded
        scan(folder)
        began = time.process_time()
        weigh_s = scan(folder)
        scan_s = time.process_time() - began
        views: list[Event] = [view(f"p{at % 997}", at / 10_000, f"v{at // 20}") for at in range(GATHERED)]
        began = time.process_time()
        gathered(views)
        gather_s = time.process_time() - began
        watch = Watch()
        history = assembled(together([arrays for _, arrays in read(folder)]))
        assert len(history.kind) == events // PARTITIONS * PARTITIONS
        done = watch.outcome(len(history.kind))
        size = ColumnStore(folder).bytes
        more = {"scan_s": scan_s, "weigh_s": weigh_s, "assemble_s": done.cpu_s, "gather_s": gather_s, "bytes": size}
        return msgspec.structs.replace(done, more=more)


if __name__ == "__main__":
    print(msgspec.json.encode(main(int(sys.argv[1]), int(sys.argv[2]))).decode())
