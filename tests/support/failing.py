"""How a command fails: one clear line, or how it is used."""

from __future__ import annotations

from subprocess import CompletedProcess


def assert_failed(done: CompletedProcess[str], *words: str, status: int = 1) -> None:
    """A command that failed with a status, said so in one line that has some words, and printed no result."""
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if status == 1:
        assert done.stderr.startswith("dangol: ")
        assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
