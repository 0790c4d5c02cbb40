"""Change the pure core in small ways and see whether the tests notice: `python -m tests.support.mutants [GROUP…]`.

Runs mutmut over each group of files with the tests that are for it, in `mutants/<group>`, and prints a line a file and
a last one for all: killed, survived, per cent. There, `mutmut results` lists the survivors and `mutmut show NAME` says
what a survivor changed. A mutant counts as killed when a test fails or hangs; one that no test runs has survived. It
is no part of `make test`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[2]
WORKPLACE = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
COPIED = ("ingest", "recommender", "personalization", "serving", "tests", "pyproject.toml")
KILLED = {"killed", "timeout", "segfault"}
UNTRIED = {"skipped", "not checked"}


class Group(NamedTuple):
    """Files to change, as patterns, and the tests that should notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "ingest": Group(
        ("ingest/vocabulary/*.py", "ingest/collector.py", "ingest/catalog.py", "ingest/folding/*.py"),
        (
            "tests/unit/ingest/test_vocabulary.py",
            "tests/unit/ingest/test_collector.py",
            "tests/unit/ingest/test_catalog.py",
            "tests/unit/ingest/test_projector.py",
            "tests/property/test_codec_laws.py",
            "tests/property/test_folding_laws.py",
            "tests/property/test_id_laws.py",
            "tests/golden",
        ),
    ),
    "personalization": Group(
        ("personalization/*.py",), ("tests/unit/personalization", "tests/property/personalization")
    ),
    "recommender": Group(
        ("recommender/categories.py", "recommender/interactions.py", "recommender/tail.py", "recommender/models/*.py"),
        (
            "tests/unit/recommender/test_interactions.py",
            "tests/unit/recommender/test_models.py",
            "tests/unit/recommender/test_tail.py",
            "tests/property/test_snapshot_plus_tail.py",
        ),
    ),
}


def main(names: list[str]) -> int:
    """Run the groups, print the lines; 0 unless mutmut itself failed."""
    found: dict[str, list[str]] = {}
    for name in names or GROUPS:
        folder = WORKPLACE / name
        prepare(folder, GROUPS[name])
        run = subprocess.run([MUTMUT, "run"], cwd=folder, check=False, capture_output=True, text=True)
        if run.returncode:
            print(run.stdout[-3_000:], run.stderr[-3_000:], file=sys.stderr)
            return 1
        found.update(outcomes(folder))
    for file, own in sorted(found.items()):
        print(f"{line_of(own)}  {file}")
    print(line_of([outcome for own in found.values() for outcome in own]))
    return 0


def prepare(folder: Path, group: Group) -> None:
    """A copy of the source, with mutmut told what to change and which tests to run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for copied in COPIED:
        source = ROOT / copied
        if source.is_dir():
            shutil.copytree(source, folder / copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / copied)
    settings = {
        "only_mutate": group.files,
        "pytest_add_cli_args_test_selection": [test for test in group.tests if (ROOT / test).exists()],
    }
    lines = "".join(f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in settings.items())
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("[tool.mutmut]\n", f"[tool.mutmut]\n{lines}"))


class _Meta(msgspec.Struct):
    exit_code_by_key: dict[str, int | None]


def outcomes(folder: Path) -> dict[str, list[str]]:
    """What became of each mutant that was tried, by file."""
    found: dict[str, list[str]] = {}
    for meta in (folder / "mutants").rglob("*.meta"):
        codes = msgspec.json.decode(meta.read_bytes(), type=_Meta).exit_code_by_key.values()
        own = [outcome for code in codes if (outcome := status_by_exit_code[code]) not in UNTRIED]
        if own:
            found[str(meta.relative_to(folder / "mutants")).removesuffix(".meta")] = own
    return found


def line_of(tried: list[str]) -> str:
    """The line that counts."""
    killed = sum(outcome in KILLED for outcome in tried)
    return f"{killed} killed, {len(tried) - killed} survived, {100 * killed / len(tried):.1f} per cent"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
