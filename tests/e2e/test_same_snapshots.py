"""The same log gives the same snapshot: in another process, and on an older machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from tests.support.service import dangol, told

SHOPS = pytest.mark.parametrize("shop", ["small_folder", pytest.param("example_folder", marks=pytest.mark.soak)])


@SHOPS
def test_a_second_training_gives_the_same_snapshot(shop: str, request: pytest.FixtureRequest) -> None:
    """So do the example shop's events in another place, under other subjects: see `test_example_shop_moves.py`."""
    folder: Path = request.getfixturevalue(shop)
    published = told("status", data=folder)["snapshot"]
    assert told("train", data=folder)["snapshot_id"] == published
    assert folder.stat().st_mode & 0o077 == 0, "a data folder is its owner's alone"


@SHOPS
def test_a_machine_with_an_older_processor_makes_the_same_snapshot(
    shop: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Machine code for any processor of the family, and NumPy without what this one has beyond it."""
    folder: Path = request.getfixturevalue(shop)
    published = told("status", data=folder)["snapshot"]
    newer = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    older = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path / "kernels"),
        "NPY_DISABLE_CPU_FEATURES": " ".join(newer),
    }
    trained = dangol("train", "--json", data=folder, check=True, variables=older, fresh=True)
    assert json.loads(trained.stdout)["snapshot_id"] == published
    assert any((tmp_path / "kernels").rglob("*.nbc")), "the kernels were compiled anew"
