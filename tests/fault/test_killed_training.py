"""A training that is killed goes on with what it had finished, and comes to the same snapshot."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
from pathlib import Path

from recommender.checkpoints import Checkpoints
from recommender.configuration import TrainingConfiguration
from recommender.interactions import interactions_of
from recommender.snapshot import SnapshotStore
from recommender.training import train
from tests.support.ranked_shops import shop

folder, strike_at = Path(sys.argv[1]), int(sys.argv[2])


class Struck(Checkpoints):
    made = recalled = 0

    def recall(self, step):
        found = super().recall(step)
        self.recalled += found is not None
        return found

    def keep(self, step, content):
        super().keep(step, content)
        self.made += 1
        if self.made == strike_at:
            os.kill(os.getpid(), signal.SIGKILL)


finished, store = Struck(folder / "training"), SnapshotStore(folder / "snapshots")
begun = finished.begin
finished.begin = lambda fingerprint: (begun(fingerprint), setattr(finished, "recalled", 0))[0]
trained = train(lambda: interactions_of(shop(1)), TrainingConfiguration(), store, checkpoints=finished)
print(trained.snapshot_id, finished.made, finished.recalled)
"""


def trained(folder: Path, strike_at: int) -> tuple[int, list[str]]:
    """Train in a process that kills itself when it has finished so many steps; its status and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(strike_at)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:]
    return done.returncode, done.stdout.split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The snapshot of a training that nobody disturbs, and how many steps it finishes."""
    status, (snapshot_id, made, recalled) = trained(tmp_path_factory.mktemp("whole"), 0)
    assert (status, recalled) == (0, "0")
    return snapshot_id, int(made)


def test_a_training_killed_again_and_again_comes_to_the_same_snapshot(tmp_path: Path, whole: tuple[str, int]) -> None:
    snapshot_id, steps = whole
    assert steps > 15
    strikes = (1, steps // 2, steps - steps // 2 - 2)  # the last of them between the rankers of two purposes
    for strike_at in strikes:
        status, printed = trained(tmp_path, strike_at)
        assert (status, printed) == (-signal.SIGKILL, [])
    status, (found, made, recalled) = trained(tmp_path, 0)
    assert (status, found) == (0, snapshot_id)
    assert (int(made), int(recalled)) == (steps - sum(strikes), sum(strikes))
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [snapshot_id.removeprefix("sha256:")]
