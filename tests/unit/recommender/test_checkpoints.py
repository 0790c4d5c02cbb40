"""Finished steps: recalled by the training they are of, and by no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender import checkpoints
from recommender.checkpoints import Checkpoints, fingerprint_of
from recommender.interactions import interactions_of
from recommender.kernels.trees import Trees
from recommender.ranker.compare import Challenge
from recommender.ranker.fitting import Learned, Rival, prior
from recommender.ranker.flattening import NO_TREES, flatten
from recommender.ranker.lessons import Lesson
from recommender.ranker.remembering import learned_bytes, learned_of
from tests.support.histories import order, titled, upserted, view
from tests.support.shown_shops import POSITIONS, world

FINGERPRINT = b"f" * 32
LESSON = Lesson(0.25, Challenge("appeal", "plain", 0.02, 0.01, 0.03, is_taken=True))
FACTS = [order("1", "ab"), view("c", 1), upserted(titled("a", "Cup"))]


def names_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_what_was_kept_is_recalled_by_the_same_training_only(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    first = Checkpoints(folder).begin(FINGERPRINT)
    first.keep("one", b"what it came to")
    first.keep("two", b"")
    again = Checkpoints(folder).begin(FINGERPRINT)
    assert (again.recall("one"), again.recall("two"), again.recall("three")) == (b"what it came to", b"", None)
    other = Checkpoints(folder).begin(b"g" * 32)
    assert other.recall("one") is None
    assert names_of(folder) == set()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
        lambda path: path.rename(path.with_name("another.step")),
        lambda path: path.rename(path.with_name("one.writing")),
    ],
    ids=["shorter", "longer", "empty", "other", "renamed", "unfinished"],
)
def test_what_is_damaged_is_not_recalled_and_removed(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    Checkpoints(tmp_path).begin(FINGERPRINT).keep("one", b"what it came to")
    harm(tmp_path / "one.step")
    again = Checkpoints(tmp_path).begin(FINGERPRINT)
    assert again.recall("one") is None
    assert again.recall("another") is None
    assert names_of(tmp_path) == set()


def test_nothing_is_left_when_it_is_over(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "training")
    kept.begin(FINGERPRINT).keep("one", b"what it came to")
    kept.clear()
    kept.clear()
    assert names_of(tmp_path) == set()


def test_what_is_too_large_or_cannot_be_written_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "STEP_BYTES_MAX", 10)
    kept = Checkpoints(tmp_path / "training").begin(FINGERPRINT)
    kept.keep("one", b"more than that")
    assert kept.recall("one") is None
    (tmp_path / "file").write_text("not a folder")
    nowhere = Checkpoints(tmp_path / "file").begin(FINGERPRINT)
    nowhere.keep("one", b"little")
    assert nowhere.recall("one") is None


def test_a_training_is_recognised_by_everything_it_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    history = interactions_of(FACTS)
    once = fingerprint_of(history, b"settled", "")
    shown = world([0.5] * POSITIONS, 20, 1).shown
    assert fingerprint_of(interactions_of(reversed(FACTS)), b"settled", "") == once
    others = [
        fingerprint_of(history, b"other", ""),
        fingerprint_of(history, b"settled", "base"),
        fingerprint_of(interactions_of([*FACTS, view("c", 2)]), b"settled", ""),
        fingerprint_of(interactions_of([*FACTS, upserted(titled("a", "Mug"), 1)]), b"settled", ""),
        fingerprint_of(replace(history, person=history.person[::-1].copy()), b"settled", ""),
        fingerprint_of(replace(history, orders=replace(history.orders, day=history.orders.day + 1)), b"settled", ""),
        fingerprint_of(replace(history, shown=shown), b"settled", ""),
        fingerprint_of(replace(history, shown=replace(shown, clicked=~shown.clicked)), b"settled", ""),
        fingerprint_of(replace(history, shown=replace(shown, placements=("home.popular",))), b"settled", ""),
    ]
    monkeypatch.setattr(checkpoints, "code_fingerprint", lambda: "other code")
    others.append(fingerprint_of(history, b"settled", ""))
    assert len({once, *others}) == 1 + len(others)


@pytest.mark.parametrize("trees", [None, flatten(NO_TREES)])
def test_what_was_learned_is_the_same_when_it_is_recalled(trees: Trees | None) -> None:
    weights = prior() * np.pi
    found = learned_of(learned_bytes(Learned((0.1, 1 / 3), Rival(weights, trees), None, {"near": 0.25}, LESSON)))
    assert (found.blend, found.comparison, found.adds) == ((0.1, 1 / 3), None, {"near": 0.25})
    assert found.lesson == LESSON
    assert found.rival.weights.tobytes() == weights.tobytes()
    assert (found.rival.trees is None) == (trees is None)
    for part, expected in zip(found.rival.trees or (), trees or (), strict=True):
        assert (part.dtype, part.shape, part.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
