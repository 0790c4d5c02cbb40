"""The thresholds of segments in a snapshot: what training keeps is what answers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personalization.customer.buyers import Buyers
from personalization.customer.segments import Thresholds
from recommender.configuration import TrainingConfiguration
from recommender.snapshot import Snapshot, SnapshotStore
from recommender.training import train
from serving.buyers import kept_thresholds, thresholds_in
from tests.support.histories import order

QUICK = TrainingConfiguration(ranker=False)
TWICE = [order(f"{n}-{time}", "ab", 10 * time + n % 5, f"buyer {n}") for n in range(60) for time in range(2)]


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Where snapshots are kept."""
    return SnapshotStore(tmp_path)


def test_what_training_hears_of_buyers_is_kept_in_its_snapshot(store: SnapshotStore) -> None:
    buyers = Buyers()
    trained = train(buyers.hearing(TWICE), QUICK, store, more=lambda: kept_thresholds(buyers))
    found = thresholds_in(store.open(trained.snapshot_id))
    assert found == buyers.thresholds()
    assert isinstance(found, Thresholds)
    assert (found.buyers, found.returns, found.days) == (60, 60, (10, 10, 10, 10))


def test_a_snapshot_without_buyers_or_of_another_version_has_no_thresholds(store: SnapshotStore) -> None:
    buyers = Buyers()
    trained = train(buyers.hearing(TWICE[:9]), QUICK, store, more=lambda: kept_thresholds(buyers))
    snapshot = store.open(trained.snapshot_id)
    assert "buyers" not in snapshot
    assert thresholds_in(snapshot) is None
    assert thresholds_in(None) is None
    assert thresholds_in(Snapshot(trained.snapshot_id, {"buyers": np.frombuffer(b"\x01rubbish", np.uint8)})) is None
