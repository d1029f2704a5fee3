"""What a backfill would do, as `triage init` tells it: of the newest issues, and nothing is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.fake_github.faults import forbidden
from tests.learning import HOME, RETRAIN
from tests.live import FERRY, STORAGE, Step
from tests.tracking import tracker_of
from triage.backfill.planner import preview
from triage.bundle.model import ServingModel
from triage.config import Config, load
from triage.decide import Policy, case_of, decide
from triage.issue import Issue

LATER = f": triage backfill --from {FERRY} --store {HOME} --unlabelled\n"


def look(step: Step, folder: Path) -> str:
    """What `triage init` says last."""
    assert step.run("init", f"--dir={folder}", f"--repo={FERRY}", "--force") == 0
    assert step.writes == []
    return step.out.partition("once you approve.\n\n")[2]


def test_a_preview_says_what_a_backfill_would_do(
    step: Step, model: ServingModel, sample_config: Config, new_issues: list[Issue]
) -> None:
    """From the newest issues without a label; each label with its count and what was measured of it."""
    step.repository.issues[STORAGE].add_labels(["bug"], by="maintainer")
    tracker = tracker_of(step.github, repo=FERRY)
    first, *lines = preview(tracker, model, sample_config, "somehow", limit=5)
    newest = sorted(new_issues, key=lambda issue: -issue.number)[:5]
    decisions = list(decide(map(case_of, newest), model, Policy.of(sample_config)))
    labelled = sum(not decision.abstained for decision in decisions)
    assert first == f"Of the newest 5 issues without a label, a backfill would label {labelled}, somehow."
    told = [line.strip().partition(" (")[0].split("  ") for line in lines if line.startswith("  ")]
    assert {name: int(count) for count, name in told} == {
        name: sum(name in decision.labels for decision in decisions)
        for name in {name for decision in decisions for name in decision.labels}
    }
    assert any(" right of " in line for line in lines)
    for issue in step.repository.issues.values():
        issue.add_labels(["bug"], by="maintainer")
    assert list(preview(tracker, model, sample_config, "somehow")) == [
        "A backfill has nothing to do: every issue has a label that the bot may set."
    ]


def test_at_the_first_install_it_learns_for_the_look_alone(past: Step, tmp_path: Path) -> None:
    """There is no bundle yet, and none is left behind; labels that cannot promise enough are counted."""
    said = look(past, tmp_path)
    assert said.startswith("Of the newest 12 issues without a label, a backfill would label ")
    assert ", with a temporary bundle, learnt from 152 of the newest issues.\n" in said
    assert re.search(
        r"\nAt a precision target of 0\.\d+, \d+% of issues newer than the learnt ones got a label", said
    )
    assert re.search(
        r"\nAt this target, \d of \d labels would have been set on none of these, so that their precision was never "
        r"measured; more labelled issues may change that\.\n",
        said,
    )
    assert said.endswith("To plan it for all issues once `triage-retrain` has run" + LATER)
    assert "refs/triage/active" not in past.repository.git.refs
    text = (tmp_path / ".github" / "triage.yml").read_text("utf-8")
    told = re.search(r"\n  precision_target: (\S+)  # at it, \d+% of newer issues got a label, and ", text)
    assert told
    assert load(tmp_path / ".github" / "triage.yml").vote.precision_target == float(told[1])


def test_where_there_is_a_bundle_it_is_used(past: Step, tmp_path: Path) -> None:
    """As by a workflow that was there before."""
    past.run(*RETRAIN)
    past.github.requests.clear()
    said = look(past, tmp_path)
    assert f", by the bundle in {HOME}.\n" in said
    assert said.endswith("\nTo plan it for all issues" + LATER)


@pytest.mark.parametrize("lacking", ["labels", "the extra"])
def test_without_anything_to_learn_from_descriptions_decide(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """No issue is labelled, or what learning needs is not installed; without descriptions nothing is known."""
    if lacking == "the extra":
        step.repository.issues[STORAGE].add_labels(["bug"], by="maintainer")
        monkeypatch.setitem(sys.modules, "sklearn", None)
    assert look(step, tmp_path) == (
        "A backfill has nothing to work with: no issue has a label to learn from, and no label has a description.\n"
    )
    step.repository.labels["bug"].description = "Something is broken: an error, a crash, a wrong result"
    assert ", by the descriptions of labels alone.\n" in look(step, tmp_path)


def test_a_look_that_fails_is_told_and_the_files_are_there(step: Step, tmp_path: Path) -> None:
    """They were asked for, the look was not."""
    step.github.faults.add(forbidden(), times=None, path="git/ref")
    said = look(step, tmp_path)
    assert said.startswith("What a backfill would do is not known: cannot read refs/triage/active in ")
    assert (tmp_path / ".github" / "triage.yml").is_file()
