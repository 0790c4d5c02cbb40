"""Change the pure core in small ways and see whether the tests notice: `python -m tests.support.mutants [FILE…]`.

Runs mutmut over the files named in `[tool.mutmut]` of pyproject.toml, or over some of them, and prints one line:
killed, survived, per cent. `mutmut results` then lists the survivors, `mutmut show NAME` what a survivor changed. A
mutant counts as killed when a test fails or hangs; one that no test runs has survived. It is no part of `make test`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
WORKPLACE = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
KILLED = frozenset({1, 3, 24, 36, -24, 152, 255})  # mutmut's exit codes of failing tests and of timeouts
SKIPPED = 34


class _Meta(msgspec.Struct):
    exit_code_by_key: dict[str, int | None]


def main(files: list[str]) -> int:
    """Run mutmut from scratch, print the line; 0 unless mutmut itself failed."""
    shutil.rmtree(WORKPLACE, ignore_errors=True)
    names = [f"{Path(file).with_suffix('').as_posix().replace('/', '.')}.*" for file in files]
    run = subprocess.run([MUTMUT, "run", *names], cwd=ROOT, check=False)
    codes = exit_codes(WORKPLACE.rglob("*.meta"))
    if run.returncode or not codes:
        print(f"mutmut ended with status {run.returncode}", file=sys.stderr)
        return 1
    for file, own in sorted(codes.items()):
        print(f"{file}: {line_of(own)}")
    print(line_of([code for own in codes.values() for code in own]))
    return 0


def exit_codes(metas: Iterable[Path]) -> dict[str, list[int]]:
    """How the tests ended for each mutant that was tried, by file."""
    found: dict[str, list[int]] = {}
    for meta in metas:
        codes = msgspec.json.decode(meta.read_bytes(), type=_Meta).exit_code_by_key.values()
        own = [code for code in codes if code is not None and code != SKIPPED]
        if own:
            found[str(meta.relative_to(WORKPLACE)).removesuffix(".meta")] = own
    return found


def line_of(codes: list[int]) -> str:
    """The line that counts."""
    killed = sum(count for code, count in Counter(codes).items() if code in KILLED)
    return f"{killed} killed, {len(codes) - killed} survived, {100 * killed / len(codes):.1f} per cent"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
