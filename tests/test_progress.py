"""Progress in a log: a line now and then, and one at the end."""

from __future__ import annotations

import pytest

from triage import progress


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the speed and the time left; not one for each issue."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told = progress.bar("embedding", 400)
    for second in range(1, 41):
        now[0] = 100.0 + second
        told(second * 10)
    assert capsys.readouterr().err == (
        "embedding: 150 of 400, 10/s, 25 s left\n"
        "embedding: 300 of 400, 10/s, 10 s left\n"
        "embedding: 400 of 400, 10/s in 40 s\n"
    )


def test_what_is_done_at_once_has_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    """Eight issues within a microsecond are not a million in a second."""
    progress.bar("reading", 8)(8)
    assert capsys.readouterr().err == "reading: 8 of 8 in 0 s\n"
