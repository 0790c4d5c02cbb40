"""Snapshots are what was written, and a publication is the old one or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.vocabulary.errors import Corrupt, NotFound
from ingest.vocabulary.ids import SnapshotId
from recommender.snapshot import SnapshotStore

NOON = datetime(2011, 3, 1, 12, tzinfo=UTC)


def arrays(value: int) -> dict[str, Any]:
    return {"b": np.arange(value, dtype=np.int32), "a": np.zeros((0, 3)), "c": np.full((2, 2), value)}


class Killed(BaseException):
    """Stands for kill -9: nothing in the program may catch it."""


def test_what_is_opened_is_what_was_written(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    snapshot = store.open(store.write(arrays(5)))
    assert all(np.array_equal(snapshot[name], array) for name, array in arrays(5).items())
    with pytest.raises(ValueError, match="read-only"):
        snapshot["b"][0] = 1


def test_equal_content_has_one_id_and_other_content_another(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    assert store.write(arrays(5)) == store.write(dict(reversed(arrays(5).items()))) != store.write(arrays(6))


def test_a_snapshot_cut_short_is_corrupt_and_changed_bytes_are_found(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    snapshot_id = store.write(arrays(500))
    path = tmp_path / snapshot_id.removeprefix("sha256:") / "b.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        store.verify(snapshot_id)
    path.write_bytes(content[:-8])
    with pytest.raises(Corrupt):
        store.open(snapshot_id)


@pytest.mark.parametrize("name", ["sha256:" + "0" * 64, "../../etc", ""])
def test_an_unknown_snapshot_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        SnapshotStore(tmp_path).open(SnapshotId(name))


def test_nothing_is_published_at_first(tmp_path: Path) -> None:
    assert SnapshotStore(tmp_path).current() is None


def test_the_newest_publication_known_at_a_moment_is_found(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for hour in range(3):
        store.publish(store.write(arrays(hour)), (hour,), NOON + timedelta(hours=hour))
    found = store.known_at(NOON + timedelta(hours=1, minutes=59))
    assert found is not None
    assert found.cut == (1,)
    assert store.known_at(NOON - timedelta(seconds=1)) is None


def test_the_oldest_snapshots_are_pruned_and_never_the_one_in_use(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, kept_max=2)
    kept = [store.write(arrays(value)) for value in range(4)]
    for snapshot_id in kept:
        if (tmp_path / snapshot_id.removeprefix("sha256:")).exists():
            store.publish(snapshot_id, (0,), NOON)
    current = store.current()
    assert current is not None
    store.open(current.snapshot_id)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_what_a_dead_training_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = tmp_path / f"writing-{ended.pid}-1", tmp_path / f"writing-{os.getpid()}-99"
    dead.mkdir()
    alive.mkdir()
    SnapshotStore(tmp_path).write(arrays(1))
    assert alive.exists()
    assert not dead.exists()


@pytest.mark.parametrize("crash_on", range(60))
def test_a_crash_at_any_step_leaves_the_old_publication_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_on: int
) -> None:
    store = SnapshotStore(tmp_path)
    old = store.publish(store.write(arrays(1)), (1,), NOON)
    steps = 0

    def dying(name: str, owner: Any) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps - 1 == crash_on:
                raise Killed
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, step)

    with monkeypatch.context():
        for name, owner in (("fsync", os), ("mkdir", Path), ("rename", Path), ("replace", Path), ("open", Path)):
            dying(name, owner)
        try:
            new_id = store.write(arrays(2))
            store.publish(new_id, (2,), NOON)
        except Killed:
            pass
    monkeypatch.undo()
    after = SnapshotStore(tmp_path)
    current = after.current()
    assert current is not None
    assert current.cut in {old.cut, (2,)}
    after.verify(current.snapshot_id)
    assert after.publish(after.write(arrays(2)), (2,), NOON) == after.current()
    assert [entry.cut for entry in after.history()] == [(1,), (2,)]


def test_a_store_takes_over_what_another_one_holds(tmp_path: Path) -> None:
    old, new = SnapshotStore(tmp_path / "old"), SnapshotStore(tmp_path / "new")
    new.publish(new.write(arrays(9)), (9,), NOON)
    for cut in (1, 2, 3):
        old.publish(old.write(arrays(cut)), (cut,), NOON)
    for _ in range(2):
        new.adopt(old)
        assert (new.current(), new.history(), new.kept()) == (old.current(), old.history(), old.kept())
    for each in new.kept():
        new.verify(each.snapshot_id)
    new.adopt(SnapshotStore(tmp_path / "empty"))
    assert (new.current(), new.history()) == (None, [])


def test_a_damaged_snapshot_is_not_taken_over(tmp_path: Path) -> None:
    old, new = SnapshotStore(tmp_path / "old"), SnapshotStore(tmp_path / "new")
    snapshot_id = old.publish(old.write(arrays(5)), (5,), NOON).snapshot_id
    path = tmp_path / "old" / snapshot_id.removeprefix("sha256:") / "b.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        new.adopt(old)
    assert new.current() is None
