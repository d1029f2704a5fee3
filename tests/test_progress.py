"""Progress of long work in a log: now and then a line, and none for what is done at once."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.learning import Material
from triage import console
from triage.config import Config
from triage.console import log, open_door
from triage.issue import Issue


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, to be set."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_a_bar_says_a_line_every_four_seconds_and_at_the_end(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the speed, and what is left."""
    tell = console.bar("embedding", 100)
    for second in range(1, 11):
        clock[0] = 100.0 + second
        tell(10 * second)
    assert capsys.readouterr().err.splitlines() == [
        "embedding: 40 of 100, 10/s, 6 s left",
        "embedding: 80 of 100, 10/s, 2 s left",
        "embedding: 100 of 100, 10/s in 10 s",
    ]


def test_what_is_done_at_once_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """A single issue needs no report of its console."""
    tell = console.bar("labelling", 1)
    clock[0] += 0.5
    tell(1)
    assert capsys.readouterr().err == ""


def test_what_an_earlier_run_did_is_no_speed_of_this_one(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that goes on at 40,000 says how fast it is itself, and what that leaves."""
    tell = console.bar("planning", 57_000, start=40_000)
    for second in range(1, 11):
        clock[0] = 100.0 + second
        tell(40_000 + 48 * second)
    assert capsys.readouterr().err.splitlines() == [
        "planning: 40192 of 57000, 48/s, 6 minutes left",
        "planning: 40384 of 57000, 48/s, 6 minutes left",
    ]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real time, in which a stage is silent for a hundredth of a second before it speaks."""
    monkeypatch.setattr(console, "time", time)
    monkeypatch.setattr(console, "MOST_SILENT", 0.01)
    monkeypatch.setattr(console, "SOON", 0.01)


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
    with console.stage("learning"):
        with console.stage("tuning"):
            said = wait_for(capsys, "tuning: 0 s so far\n")
        assert "learning" not in said
        wait_for(capsys, "learning: 0 s so far\n")


class Ended(threading.Event):
    """The end of a stage, at a time on the clock; until then `happens` is called every quarter of a second."""

    def __init__(self, clock: list[float], end: float, happens: Callable[[float], None]) -> None:
        super().__init__()
        self._clock, self._end, self._happens = clock, end, happens

    def wait(self, timeout: float | None = None) -> bool:
        until = self._clock[0] + (timeout or 0.0)
        while self._clock[0] < until:
            quarter = (self._clock[0] // 0.25 + 1) * 0.25
            self._clock[0] = min(until, quarter)
            if self._clock[0] == quarter:
                self._happens(quarter)
        return self._clock[0] >= self._end


def said_at(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, happens: Callable[[float], None], seconds: float = 60
) -> list[tuple[float, str]]:
    """The lines of a stage of that length that began at 100, with the seconds after which each came."""
    lines: list[tuple[float, str]] = []

    def write(text: str, _: object) -> None:
        console._door.at = clock[0]
        lines.append((clock[0] - 100, text))

    monkeypatch.setattr(console, "_write", write)
    mark = object()
    console._door.at = clock[0]
    console._stages.append(mark)
    try:
        console._give_signs("learning", mark, Ended(clock, 100 + seconds, happens))
    finally:
        console._stages.remove(mark)
    return lines


def longest_silence(lines: list[tuple[float, str]]) -> float:
    times = [0.0, *(at for at, _ in lines)]
    return max(later - at for at, later in pairwise(times))


def test_a_silent_stage_speaks_before_five_seconds_are_over(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again."""
    lines = said_at(clock, monkeypatch, lambda _: None, seconds=15)
    assert [text for _, text in lines] == [
        "learning: 5 s so far",
        "learning: 10 s so far",
        "learning: 15 s so far",
    ]
    assert longest_silence(lines) < 5


def test_no_sign_is_the_same_again(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes alone would be, twelve times over."""
    said = [text for _, text in said_at(clock, monkeypatch, lambda _: None, seconds=200)]
    assert said[-1] == "learning: 3:18 minutes so far"
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("pause", [0.25, 1.0, 3.0, 7.0, 11.0])
def test_no_five_seconds_are_silent_however_slowly_a_bar_moves(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    """Where the bar moves too seldom, the stage speaks between its lines; where it moves often, the bar alone does."""
    tell = console.bar("embedding", 1_000)

    def move(now: float) -> None:
        if (now - 100) % pause == 0:
            tell(int((now - 100) / pause))

    lines = said_at(clock, monkeypatch, move)
    assert longest_silence(lines) < 5
    assert any(text.startswith("embedding") for _, text in lines)
    assert any(text.startswith("learning") for _, text in lines) == (pause > 2)


def test_a_stage_is_silent_while_something_is_printed(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is a sign of life too."""
    lines = said_at(clock, monkeypatch, lambda now: log("hm") if now % 3 == 0 else None)
    assert {text for _, text in lines} == {"hm"}


def test_nothing_is_said_about_progress_when_asked_to_be_quiet(
    short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by a stage nor by a bar."""
    open_door(quiet=True)
    try:
        tell = console.bar("embedding", 2)
        with console.stage("embedding"):
            time.sleep(0.1)
            tell(2)
    finally:
        open_door()
    assert capsys.readouterr().err == ""


def test_items_are_counted_as_they_come() -> None:
    """Before each is used."""
    told: list[int] = []
    assert [(item, told[-1]) for item in console.counted("abc", told.append)] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
    assert list(console.counted("ab", None)) == ["a", "b"]


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
