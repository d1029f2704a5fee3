"""Fixtures and settings for every test."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.lacking",
    "tests.clock",
    "tests.fake_github.fixtures",
    "tests.sharing",
    "tests.remembering",
    "tests.sample",
    "tests.live",
    "tests.learning",
    "tests.storing",
    "tests.backfilling",
    "tests.browsing",
    "tests.tunnels",
    "tests.ray_machine",
]

# There is a process of pytest for each core: threads of PyTorch and BLAS would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine that does other work meanwhile is no reason to fail.
settings.register_profile("triage", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("triage")
