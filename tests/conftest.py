"""Fixtures and settings for every test."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.fake_github.fixtures",
    "tests.sample",
    "tests.live",
    "tests.learning",
    "tests.storing",
    "tests.backfilling",
    "tests.ray_machine",
]

# A machine that does other work meanwhile is no reason to fail.
settings.register_profile("triage", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("triage")
