"""After the kernels were compiled at installation, neither a training nor a request compiles anything."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys, tempfile
from pathlib import Path

import numpy as np

import recommender.kernels
from recommender.kernels.__main__ import compile_all

compile_all()


def compiled():
    found = {}
    for module in pkgutil.iter_modules(recommender.kernels.__path__, "recommender.kernels."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if hasattr(value, "nopython_signatures"):
                    found[name] = list(map(str, value.signatures))
    return found


before = compiled()
assert sum(map(len, before.values())) > 20, before

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import History, ProductIndex
from recommender.candidates.plan import LEARNED
from recommender.columns.gathering import gathered
from recommender.columns.stretches import together
from recommender.configuration import TrainingConfiguration
from recommender.interactions import assembled
from recommender.live import LiveModels
from recommender.snapshot import SnapshotStore
from recommender.tail import Tail
from recommender.training import train
from tests.support.histories import order, view

events = [view("abcdef"[(who + at) % 6], who + at / 86400, f"v{who}") for who in range(210) for at in range(3)]
events += [order(str(who), "abcdef"[who % 4 :][:3], who + 0.5, f"v{who}") for who in range(210)]
with tempfile.TemporaryDirectory() as folder:
    store = SnapshotStore(Path(folder))
    configuration = TrainingConfiguration(threads=2, ranker=True)
    trained = train(lambda: assembled(together([gathered(events), gathered(events[:5])])), configuration, store)
    snapshot = store.open(trained.snapshot_id)
    index = ProductIndex()
    live = LiveModels(snapshot, Tail(index, snapshot), index)
    for length in (0, 1, 3):
        asked = History(np.arange(length, dtype=np.int32), np.arange(length), np.full(length, 3, np.int8))
        for purpose in LEARNED:
            found = live.ranked(purpose, asked, 5, np.zeros(1, np.int32))
            assert 0 not in found.products
    kinds = [name for name in LEARNED if f"ranking.{name}.weights" in snapshot]
    assert kinds == ["next_item", "for_you", "basket"], kinds
    after = compiled()
new = {name: set(after[name]) - set(before[name]) for name in after if set(after[name]) - set(before[name])}
assert not new, new
print("nothing new")
"""


def test_a_training_and_requests_after_installation_compile_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=900)
    assert done.stdout.endswith("nothing new\n"), done.stderr[-4000:]
