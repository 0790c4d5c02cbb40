"""The Open Bandit sample may not be handed on: where it is not, its tests are left out, and the run says so."""

from __future__ import annotations

from tests.support.open_bandit import is_there

collect_ignore = [] if is_there() else ["test_open_bandit.py"]
