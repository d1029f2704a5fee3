"""`benchmarks/walk.py` measures how much of the package one event passes through."""

from __future__ import annotations

from pathlib import Path

from benchmarks.walk import furnish, listing, measure, table
from tests.fake_github.server import FakeGitHub
from tests.sample import Trained


def test_an_event_is_followed_from_the_command_line_to_the_label(
    github: FakeGitHub, trained: Trained, tmp_path: Path
) -> None:
    """The issue gets its labels; each file is listed with the functions entered in it."""
    workplace = furnish(github, tmp_path)
    [walk] = measure(workplace, ("label",), trained.folder)
    labelled = [issue for issue in workplace.repository.issues.values() if issue.number == 938]
    assert [issue.label_names for issue in labelled] == [["bug", "area: storage"]]
    assert next(iter(walk.files)) == "cli.py" or next(iter(walk.files)).startswith("cli/")
    assert 5 < len(walk.files) < walk.functions < walk.changes
    assert not any(path.startswith(("study/", "training/", "learn/")) for path in walk.files)
    assert table([walk]).splitlines()[2].startswith(f"| label | {len(walk.files)} | {walk.functions} | ")
    assert len(listing(walk).splitlines()) == len(walk.files) + 2
