"""Trainings one after the other: what is read once, what is gone on from, what is left behind."""

from __future__ import annotations

from pathlib import Path

from tests.support.service import dangol, told


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
