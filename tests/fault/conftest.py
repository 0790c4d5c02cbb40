"""Chance that can be repeated."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture
def rng() -> random.Random:
    """Chance, with its seed in the output."""
    seed = int(os.environ.get("DANGOL_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (DANGOL_TEST_SEED repeats it)")
    return random.Random(seed)
