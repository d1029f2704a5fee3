"""Progress of long work in a log: now and then a line, and none for what is done at once."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import pytest

from tests.learning import Material
from triage import progress
from triage.config import Config
from triage.console import log, open_door
from triage.issue import Issue


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_after_five_seconds_then_every_fifteen_and_at_the_end(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the speed, and what is left."""
    tell = progress.bar("embedding", 400)
    for second in range(1, 41):
        clock[0] = 100.0 + second
        tell(10 * second)
    assert capsys.readouterr().err.splitlines() == [
        "embedding: 50 of 400, 10/s, 35 s left",
        "embedding: 200 of 400, 10/s, 20 s left",
        "embedding: 350 of 400, 10/s, 5 s left",
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
        "planning: 40240 of 57000, 48/s, 6 minutes left",
        "planning: 40960 of 57000, 48/s, 6 minutes left",
    ]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real time, in which a stage is silent for a hundredth of a second before it speaks."""
    monkeypatch.setattr(progress, "time", time)
    monkeypatch.setattr(progress, "FIRST_LINE", 0.01)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)


def wait_for(capsys: pytest.CaptureFixture[str], words: str) -> str:
    """Everything on standard error until the words are there; a stage gives its signs from a thread of its own."""
    said = ""
    for _ in range(3_000):
        said += capsys.readouterr().err
        if words in said:
            return said
        time.sleep(0.01)
    raise AssertionError(said)


def test_work_that_cannot_be_counted_says_what_it_is(short: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Of stages within each other the innermost; when it is over, the outer one again."""
    with progress.stage("learning"):
        with progress.stage("tuning"):
            said = wait_for(capsys, "tuning: 0 s so far\n")
        assert "learning" not in said
        wait_for(capsys, "learning: 0 s so far\n")


class Ended(threading.Event):
    """The end of a stage that lasts for some pauses, in each of which something happens."""

    def __init__(self, clock: list[float], *happens: Callable[[], None]) -> None:
        super().__init__()
        self._clock, self._happens = clock, iter(happens)

    def wait(self, timeout: float | None = None) -> bool:
        self._clock[0] += timeout or 0.0
        happens = next(self._happens, None)
        if happens:
            happens()
        return happens is None


def test_a_stage_speaks_only_where_nothing_else_was_shown(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """After five silent seconds, then every fifteen; a bar that moves and anything printed are signs enough."""
    tell = progress.bar("embedding", 10_000)
    happens = (str, lambda: tell(1), lambda: log("hm"), str, str, str)
    mark = object()
    progress._stages.append(mark)
    try:
        progress._give_signs("learning", mark, Ended(clock, *happens))
    finally:
        progress._stages.remove(mark)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("learning")]
    assert lines == [
        "learning: 5 s so far",
        "learning: 30 s so far",
        "learning: 45 s so far",
        "learning: 60 s so far",
    ]


def test_nothing_is_said_about_progress_when_asked_to_be_quiet(
    short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by a stage nor by a bar."""
    open_door(quiet=True)
    try:
        tell = progress.bar("embedding", 2)
        with progress.stage("embedding"):
            time.sleep(0.1)
            tell(2)
    finally:
        open_door()
    assert capsys.readouterr().err == ""


def test_items_are_counted_as_they_come() -> None:
    """Before each is used."""
    told: list[int] = []
    assert [(item, told[-1]) for item in progress.counted("abc", told.append)] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
    assert list(progress.counted("ab", None)) == ["a", "b"]


def test_every_long_part_of_learning_is_counted(
    material: Material, sample_config: Config, new_issues: list[Issue]
) -> None:
    """Judging labels by their descriptions above all: it takes longer than embedding."""
    told: dict[str, list[int]] = {}

    def listen(title: str, total: int) -> Callable[[int], None]:
        return told.setdefault(f"{title} ({total})", []).append

    engines = dataclasses.replace(material.engines, progress=listen)
    recipe = material.study(sample_config, engines=engines, unlabelled=new_issues[:3])
    newest, tuned = len(recipe.newest), len(recipe.window.truth)
    assert len(recipe.on_unlabelled) == 3
    assert {title: done[-1] for title, done in told.items()} == {
        f"judging labels by their descriptions ({tuned})": tuned,
        f"deciding the newest issues ({newest})": newest,
        "deciding unlabelled issues (3)": 3,
    }
