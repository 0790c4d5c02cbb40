"""Machine code that is kept must not outlive what it was made of, in whichever file that is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.service import REPOSITORY

CALLED = "from copied import row_kernel\n\n@row_kernel\ndef called():\n    return {}\n"
CALLING = (
    "from copied import kernel\nfrom copied.called import called\n\n@kernel\ndef calling():\n    return called()\n"
)


def said(folder: Path) -> tuple[str, bool]:
    """What the kernel returns in a new process, and whether its machine code had been kept."""
    code = "from copied.calling import calling; print(calling(), bool(calling.stats.cache_hits))"
    printed = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    number, is_kept = printed.stdout.split()
    return number, is_kept == "True"


def test_a_change_in_what_a_kernel_calls_reaches_the_kernel(tmp_path: Path) -> None:
    package = tmp_path / "copied"
    package.mkdir()
    shutil.copy(REPOSITORY / "recommender" / "kernels" / "__init__.py", package)
    (package / "called.py").write_text(CALLED.format(1), encoding="utf-8")
    (package / "calling.py").write_text(CALLING, encoding="utf-8")
    assert said(tmp_path) == ("1", False)
    assert said(tmp_path) == ("1", True)
    (package / "called.py").write_text(CALLED.format(2), encoding="utf-8")
    assert said(tmp_path) == ("2", False)
