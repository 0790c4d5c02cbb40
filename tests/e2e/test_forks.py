"""A command that was forked is the command that was started: what the other tests from end to end rely on."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.service import Service, dangol


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("no-such-command",),
        ("status", "--json"),
        ("recommend", "home.nowhere"),
        ("customer", "show", "nobody"),
        ("dead-letters", "list"),
    ],
    ids=" ".join,
)
def test_a_fork_says_what_a_real_start_says(words: tuple[str, ...], small_folder: Path) -> None:
    data = None if words[0].startswith("-") else small_folder
    forked, started = dangol(*words, data=data), dangol(*words, data=data, fresh=True)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_a_fork_reads_the_environment_it_was_given_and_no_other(small_folder: Path, tmp_path: Path) -> None:
    named = {"DANGOL_DATA": str(small_folder)}
    assert dangol("status", variables=named).returncode == 0
    missing = dangol("status", variables={"DANGOL_DATA": str(tmp_path / "nowhere")})
    assert (missing.returncode, "there is no data folder" in missing.stderr) == (1, True)


def test_a_fork_that_stays_leads_a_group_of_its_own_and_tells_what_ended_it(small_folder: Path) -> None:
    service = Service(small_folder)
    try:
        service.wait_until_ready()
        process = service.process
        assert os.getpgid(process.pid) == process.pid
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(60) == process.poll() == process.returncode == -signal.SIGKILL
        process.terminate()  # nothing to do, and nobody else is hit
    finally:
        service.kill()
