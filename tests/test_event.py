"""`benchmarks/event.py` counts the requests of a command: an event needs few, and a backfill few for each issue."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import event
from benchmarks.event import RUNS, Bench
from tests.fake_github.server import FakeGitHub
from tests.sample import Trained
from triage.github.client import TOGETHER

# One request opens a run, one fetches the pack of the sample's bundle, one changes the issue.
REQUESTS = {"label": 3, "dry run": 2, "with comment": 3, "abstain": 3}


@pytest.fixture
def bench(github: FakeGitHub, trained: Trained, tmp_path: Path) -> Bench:
    """The sample's repository with its bundle."""
    return Bench(github, tmp_path, trained.folder)


def test_an_event_sends_few_requests(bench: Bench) -> None:
    """Each is 100 to 300 ms of waiting."""
    assert {name: bench.count(name) for name in REQUESTS} == REQUESTS


def test_a_process_of_its_own_sends_as_many(bench: Bench) -> None:
    """As the figures are measured."""
    assert bench.measure("label", latency=0.0).total == REQUESTS["label"]


def test_a_large_bundle_is_a_few_more_requests(bench: Bench) -> None:
    """Its vectors are two parts, fetched beside the pack; with the columns of a head there are three."""
    assert bench.count("large bundle") == REQUESTS["label"] + 2


@pytest.mark.parametrize("command", ["apply", "undo"])
def test_a_backfill_sends_two_requests_for_some_twenty_issues(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """One reads them, one changes them; a first one opens the run."""
    monkeypatch.setattr(event, "MANY", 2 * TOGETHER + 1)
    assert bench.count(command) == 1 + 2 * 3


def test_a_request_takes_its_time_and_those_side_by_side_take_it_together() -> None:
    """What the benchmark tells of waiting."""
    assert event._union([(0.0, 1.0), (0.5, 1.5), (3.0, 4.0), (3.2, 3.4)]) == pytest.approx(2.5)
    assert set(RUNS) > set(REQUESTS)


def test_the_parts_of_an_event_are_its_whole_time(bench: Bench) -> None:
    """Nothing between the start of the process and its end is left out or counted twice."""
    *parts, total = bench.phases(latency=0.01)
    assert len(parts) + 1 == len(event.PHASES)
    assert sum(parts) == pytest.approx(total)
    assert min(parts) > 0
