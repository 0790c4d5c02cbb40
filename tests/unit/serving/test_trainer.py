"""The scheduled trainer survives a refused snapshot and keeps the last one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from recommender.guard import SnapshotRefused
from serving.trainer import Heartbeat, Trainer


def test_a_refused_snapshot_is_logged_and_training_goes_on() -> None:
    trainings: list[int] = []

    def train(*, from_last: bool) -> Any:
        assert from_last, "as is configured"
        trainings.append(1)
        if len(trainings) == 2:
            trainer.stop()
        raise SnapshotRefused("it is smaller")

    engine = SimpleNamespace(
        configuration=SimpleNamespace(training=SimpleNamespace(from_last=True)),
        snapshots=SimpleNamespace(current=lambda: None),
        train=train,
        keep_house=lambda: None,
        store=None,
    )
    trainer = Trainer(engine, 0.01, Heartbeat(None))  # type: ignore[arg-type]
    with capture_logs() as logged:
        trainer.run()
    assert len(trainings) == 2
    assert [(entry["log_level"], entry["reason"]) for entry in logged] == [("error", "it is smaller")] * 2
