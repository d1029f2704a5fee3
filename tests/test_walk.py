"""`benchmarks/walk.py` measures how much of the package one event passes through."""

from __future__ import annotations

from pathlib import Path

from benchmarks.walk import furnish, listing, measure, table
from tests.fake_github.issue import Issue
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.sample import Trained

# The most files, functions and changes of file of a run: whoever needs more has found a detour.
# Among them are the console, which prints everything, the reasons in the log, the bounded reading of configurations,
# rows, plans and bundles, names compared without case, whether a maintainer dealt with an issue, whose words its
# label events are, the signs of progress, and the way to GitHub (certificates, proxies, a deadline for each answer).
BOUNDS = {"label": (43, 545, 335), "plan": (51, 580, 960), "apply": (28, 300, 285)}
# A retraining passes each of the sample's 161 issues on some fifty times.
RETRAIN = (63, 820, 9_300)
# Of a plan for two issues; each further issue is labelled by so many changes of file more.
PLANNED, EACH = 2, 56


def by_bot(issue: Issue) -> bool:
    """Whether the bot labelled it."""
    return any(actor == ACTIONS_BOT for _, _, actor in issue.label_events)


def test_an_event_is_followed_from_the_command_line_to_the_label(
    github: FakeGitHub, trained: Trained, tmp_path: Path
) -> None:
    """The issue gets its labels; each file is listed with the functions entered in it, and no run takes detours."""
    workplace = furnish(github, tmp_path)
    walks = list(measure(workplace, tuple(BOUNDS), trained.folder))
    labelled = [issue for issue in workplace.repository.issues.values() if issue.number == 938]
    assert [issue.label_names for issue in labelled] == [["bug", "area: storage"]]
    for walk in walks:
        assert next(iter(walk.files)).startswith("cli/")
        assert not any(path.startswith(("study/", "training/", "learn/")) for path in walk.files)
        further = sum(map(by_bot, workplace.repository.issues.values())) - 1 - PLANNED
        more = EACH * further if walk.name == "apply" else 0
        reached = len(walk.files), walk.functions, walk.changes - more
        assert all(value <= bound for value, bound in zip(reached, BOUNDS[walk.name], strict=True)), walk
    first = walks[0]
    assert table([first]).splitlines()[2].startswith(f"| label | {len(first.files)} | {first.functions} | ")
    assert len(listing(first).splitlines()) == len(first.files) + 2


def test_a_retraining_takes_no_detours(github: FakeGitHub, tmp_path: Path) -> None:
    """It does not ask the same of an issue or an event again and again."""
    walk = next(measure(furnish(github, tmp_path), ("retrain",)))
    reached = len(walk.files), walk.functions, walk.changes
    assert all(value <= bound for value, bound in zip(reached, RETRAIN, strict=True)), walk
