"""Progress of long work in a log: now and then a line, and none for what is done at once."""

from __future__ import annotations

import pytest

from triage import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_every_fifteen_seconds_and_at_the_end(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the speed, and what is left."""
    tell = progress.bar("embedding", 400)
    for second in range(1, 41):
        clock[0] = 100.0 + second
        tell(10 * second)
    assert capsys.readouterr().err.splitlines() == [
        "embedding: 150 of 400, 10/s, 25 s left",
        "embedding: 300 of 400, 10/s, 10 s left",
        "embedding: 400 of 400, 10/s in 40 s",
    ]


def test_what_is_done_at_once_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """A single issue needs no report of its progress."""
    tell = progress.bar("labelling", 1)
    clock[0] += 0.5
    tell(1)
    assert capsys.readouterr().err == ""


def test_what_an_earlier_run_did_is_no_speed_of_this_one(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that goes on at 40,000 says how fast it is itself, and what that leaves."""
    tell = progress.bar("planning", 57_000, start=40_000)
    for second in range(1, 31):
        clock[0] = 100.0 + second
        tell(40_000 + 48 * second)
    assert capsys.readouterr().err.splitlines() == [
        "planning: 40720 of 57000, 48/s, 6 minutes left",
        "planning: 41440 of 57000, 48/s, 5 minutes left",
    ]
