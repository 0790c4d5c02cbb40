"""Commands from the very start of Python: what they import by themselves, and what they say before they do anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.failing import assert_failed
from tests.support.service import ORDERS, dangol
from tests.support.small_shop import REGULAR

COMMANDS = [
    ("train",), ("serve",), ("recommend", "home.popular"), ("status",), ("replay",), ("replay", "--verify"),
    ("dead-letters", "list"), ("dead-letters", "show", "1"), ("dead-letters", "replay"), ("dead-letters", "drop", "1"),
    ("customer", "show", "x"), ("customer", "export", "x"), ("customer", "forget", "x"),
    ("migrate", "--from", "nowhere-either"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_folder_is_one_clear_line_with_the_way_out(words: tuple[str, ...], tmp_path: Path) -> None:
    assert_failed(dangol(*words, data=tmp_path / "nowhere", fresh=True), "there is no data folder", "dangol init")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("status", "--no-such-flag"),
        ("import", "x.csv"),
        ("import", "--dialect", "csv"),
        ("import", "x.csv", "--dialect", "csv", "--map", "order"),
        ("import", "x.csv", "--dialect", "csv", "--map", "order=a", "--map", "order=b"),
        ("import", str(ORDERS), "--dialect", "morse"),
        ("catalog", "import", "x", "--dialect", "morse"),
        ("recommend",),
        ("recommend", "home.popular", "--limit", "0"),
        ("recommend", "home.popular", "--limit", "101"),
        ("recommend", "home.popular", "--at", "yesterday"),
        ("serve", "--port", "99999"),
        ("serve", "--workers", "0"),
        ("serve", "--role", "train"),
        ("keys", "create"),
        ("keys", "create", "--secret", "--feed", "google"),
        ("train", "--until", "soon"),
        ("migrate",),
    ],
    ids=" ".join,
)
def test_wrong_usage_has_status_two(words: tuple[str, ...], tmp_path: Path) -> None:
    done = dangol(*words, data=tmp_path / "data")
    assert_failed(done, status=2)
    assert "Usage:" in done.stderr


def test_help_and_version_succeed() -> None:
    for words in (("--help",), ("--version",), ("dead-letters", "--help"), ("import", "--help")):
        done = dangol(*words, fresh=True)
        assert done.returncode == 0
        assert done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("recommend", "home.for-you", "--customer", REGULAR),
        ("recommend", "home.for-you", "--at", "2026-02-01"),
        ("replay", "--verify"),
        ("replay",),
        ("customer", "export", REGULAR),
        ("customer", "forget", REGULAR),
        ("dead-letters", "list"),
    ],
    ids=" ".join,
)
def test_a_command_imports_what_it_needs_by_itself(words: tuple[str, ...], small_folder: Path) -> None:
    """Other tests fork a process that has imported everything; the demo's test shows it of importing and serving."""
    done = dangol(*words, data=small_folder, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")
