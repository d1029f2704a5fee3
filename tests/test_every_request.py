"""Each command, with a faulty answer at each of its requests: the run ends in words, and nothing is half done."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import faults
from benchmarks.faults import COMMANDS, FAULTS, Desk, reached
from tests.fake_github.server import FakeGitHub
from tests.sample import Trained

# The whole sweep is that of `python -m benchmarks.faults`: here each request of each command meets some of the faults,
# so that a command meets at least so many in all.
LEAST = 12
NAMES = [name for name in FAULTS if name not in faults.LIMITS]


@pytest.fixture
def swept(github: FakeGitHub, trained: Trained, tmp_path: Path) -> Iterator[Desk]:
    """The sample's repository with its bundle, and the program that reaches it."""
    with reached(github):
        yield Desk(github, tmp_path, trained.folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_faulty_answer_to_any_request_ends_in_words(swept: Desk, command: str) -> None:
    """Nothing is half done on GitHub, and the same command finishes it once the fault is over."""
    faults_in_turn = itertools.cycle(NAMES[COMMANDS.index(command) :: 3])
    count = swept.requests(command)
    assert count >= 3
    for request in range(count):
        for fault in itertools.islice(faults_in_turn, -(-LEAST // count)):
            assert swept.strike(command, request, fault).wrong == ""
