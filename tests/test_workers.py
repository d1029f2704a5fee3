"""`--engine`: what is not an engine, what is not installed, and what this process does without Ray."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.sample import CONFIG, NEW, Trained
from tests.test_imports import loaded_after
from triage.backfill.selection import Batch, PastIssue, grouped
from triage.cli import arguments, main
from triage.engine.ray_backend import refused, said_by_ray
from triage.errors import UsageError
from triage.issue import Issue


@pytest.mark.parametrize(
    "engine", ["spark", "ray:", "ray://", "ray://host", "ray://host:port", "ray://a:1 b"]
)
def test_what_is_no_engine_is_refused(engine: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match="is not an engine"):
        arguments.engine(engine)


@pytest.mark.parametrize("command", ["retrain", "backfill"])
def test_without_the_extra_the_command_says_how_to_install_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where only a part of it is there."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    assert main([command, "--from", str(NEW), "--store", str(tmp_path), "--engine", "ray"]) == 11
    said = capsys.readouterr().err
    assert said.startswith("error: --engine ray needs ray")
    assert said.endswith('next step: pip install -e ".[ray]" in a checkout of this repository\n')


def test_the_local_engine_loads_nothing_of_ray(trained: Trained, tmp_path: Path) -> None:
    """Not even to find out that it is not asked for."""
    argv = [
        "backfill",
        f"--from={NEW}",
        f"--store={trained.folder}",
        f"--config={CONFIG}",
        f"--out={tmp_path}",
    ]
    found = loaded_after(f"from triage.cli import main; assert main({argv!r}) == 0")
    assert {name.split(".")[0] for name in found} & {"ray", "pyarrow", "pandas"} == set()
    assert "faiss" in found


def batch(place: str, *numbers: int) -> Batch:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Batch(tuple(PastIssue(Issue("o/r", number, "T", "", at)) for number in numbers), place, 9)


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0, [("a", [1, 2]), ("b", []), ("c", [3]), ("d", [4])]),
        (2, [("a", [1, 2]), ("d", [3, 4])]),
        (3, [("c", [1, 2, 3]), ("d", [4])]),
        (9, [("d", [1, 2, 3, 4])]),
    ],
)
def test_batches_are_joined_for_many_workers(least: int, expected: list[tuple[str, list[int]]]) -> None:
    """Each with the place after its last issue; none is lost and none comes twice."""
    found = grouped([batch("a", 1, 2), batch("b"), batch("c", 3), batch("d", 4)], least)
    assert [(one.place, [past.issue.number for past in one.items]) for one in found] == expected


class RayTaskError(Exception):
    """Named as Ray names a failure within a task."""


class RayError(Exception):
    """Named as Ray names all of its own."""


def test_a_worker_without_triage_is_told_apart_from_a_defect() -> None:
    """A defect is shown as what it is."""
    lacking = said_by_ray(RayTaskError("in task:\nModuleNotFoundError: No module named 'triage'"), 3)
    assert str(lacking).startswith("a worker has no Python module triage\n")
    defect = RayTaskError("ZeroDivisionError")
    assert said_by_ray(defect, 3) is defect
    assert str(said_by_ray(RayError("\n  lost it\n more"), 3)).startswith("the cluster failed: lost it\n")


def test_another_python_is_not_mistaken_for_another_ray() -> None:
    """Ray names both in one sentence."""
    said = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
        "This process was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    assert refused("h:1", RuntimeError(said), "2.60.0").what == (
        "the cluster runs Python 3.12, and this is Python 3.11"
    )
    assert "does not start on this machine: no room" in refused("", OSError("no room"), "2.60.0").what
