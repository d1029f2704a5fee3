"""Fixtures for every test."""

pytest_plugins = [
    "tests.fake_github.fixtures",
    "tests.sample",
    "tests.live",
    "tests.learning",
    "tests.storing",
    "tests.backfilling",
]
