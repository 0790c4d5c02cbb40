"""What every test shares: how Hypothesis runs."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Times are never asserted: a machine that is busy with other things must not fail a law.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("mutants", settings.get_profile("tests"), max_examples=10)
settings.load_profile("mutants" if "MUTANT_UNDER_TEST" in os.environ else "tests")
