"""Trainings one after the other: what is read once, what is gone on from, what is left behind."""

from __future__ import annotations

from pathlib import Path

from recommender.ranker.training import ModelCard
from recommender.snapshot import SnapshotStore
from tests.support.deployment import Worker
from tests.support.service import dangol, serving, told, wait_for
from tests.support.small_shop import MUGS, PLATES, REGULAR, order

SOON_AFTER = "2026-02-27T10:00:00Z"  # of the shop's last order: after a week all is searched for again
GOES_ON = "[training]\nevery_minutes = 1\nfrom_last = true\n"


def columns_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.columns"))}


def test_a_training_goes_on_from_the_last_one_only_where_it_is_asked_to(small_folder: Path) -> None:
    searched = told("train", data=small_folder)
    assert "kept" not in searched["card"]
    gone_on = told("train", "--from-last", data=small_folder)
    assert gone_on["card"]["kept"]["base"] == searched["snapshot_id"]
    assert gone_on["snapshot_id"] != searched["snapshot_id"]
    assert "were kept, as searched for sha256:" in dangol("train", "--from-last", data=small_folder, check=True).stdout
    assert told("train", data=small_folder)["snapshot_id"] == searched["snapshot_id"]
    assert not (small_folder / "training").exists()
    for other in (("--every", "1"), ("--until", "2026-01-01")):
        assert dangol("train", "--from-last", *other, data=small_folder).returncode == 2


def published(folder: Path) -> str:
    current = SnapshotStore(folder / "snapshots").current()
    assert current is not None
    return current.snapshot_id


def base_of(folder: Path, snapshot_id: str) -> str:
    """The snapshot that a training went on from; "" for one that searched."""
    card = SnapshotStore(folder / "snapshots").open(snapshot_id).unpack("ranking.card", ModelCard)
    return "" if card.kept is None else card.kept.base


def learn_something(folder: Path) -> None:
    with serving(folder) as service:
        assert service.tell(order("new", MUGS[0], PLATES[0], customer=REGULAR, occurred_at=SOON_AFTER)) == ["accepted"]


def test_trainings_by_the_clock_go_on_from_the_last_one_where_that_is_configured(small_folder: Path) -> None:
    searched = told("train", data=small_folder)["snapshot_id"]
    learn_something(small_folder)
    (small_folder / "dangol.toml").write_text(GOES_ON, encoding="utf-8")
    trainer = Worker(small_folder, {}, "train", "--every", "1")
    try:
        newer = wait_for(lambda: {published(small_folder)} - {searched}, "another snapshot").pop()
        assert base_of(small_folder, newer) == searched
        assert trainer.stop() == 0, trainer.said
    finally:
        trainer.kill()
    (small_folder / "dangol.toml").unlink()
    assert base_of(small_folder, told("train", data=small_folder)["snapshot_id"]) == ""


def test_columns_are_read_only_as_far_as_they_are_right_and_made_again_by_a_replay(small_folder: Path) -> None:
    searched, whole = told("train", data=small_folder), columns_of(small_folder)
    assert whole
    for path in small_folder.rglob("*.columns"):
        path.write_bytes(path.read_bytes()[:-9] + b"something")
    assert told("train", data=small_folder)["snapshot_id"] == searched["snapshot_id"]
    assert columns_of(small_folder) == whole
    next(small_folder.rglob("*.columns")).unlink()
    told("replay", data=small_folder)
    assert columns_of(small_folder) == whole
    assert "difference" not in told("replay", "--verify", data=small_folder)
