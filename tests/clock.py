"""A clock that stands still until a test moves it: what hangs on time is tested without waiting for it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from triage import console


class Clock:
    """Replaces `time.monotonic` and `time.perf_counter`; starts at the current time."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let so much time go by."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The program's clock, which only the test moves."""
    found = Clock()
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, found)
    return found


@pytest.fixture(autouse=True)
def _no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """No work takes long enough to tell its progress, however slow the machine is."""
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: 0.0))
