"""A plan, its application and its undoing follow labels and repositories that are renamed in between."""

from __future__ import annotations

import json

import pytest

from tests.backfilling import Desk, entry
from tests.fake_github.fixtures import DEMO
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.live import FERRY, STORAGE, Step
from triage.backfill.plan import fingerprint, open_plan
from triage.config import from_dict

LATER = "octo/later"


def planned(desk: Desk, *labels: str) -> list[Issue]:
    """Two issues that are to get these labels, in a plan with their ids."""
    issues = desk.issues(2)
    ids = {label.name: label.node_id for label in desk.demo.labels.values()}
    desk.plan(*(entry(issue.number, *labels) for issue in issues), repo_id=desk.demo.node_id, ids=ids)
    return issues


def without_ids(desk: Desk) -> None:
    """As where a run was killed before it knew the ids of labels that it created."""
    rows = [json.loads(line) for line in desk.journal.read_text("utf-8").splitlines()]
    for row in rows:
        row.pop("ids", None)
    desk.journal.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_planned_label_is_set_under_its_new_name(desk: Desk, *, replaced: bool) -> None:
    """Also where another label has its old name by now."""
    one, other = planned(desk, "bug", "docs")
    desk.demo.rename_label("bug", "defect")
    if replaced:
        desk.demo.add_label("bug")
    assert desk.apply() == 0
    assert one.label_names == other.label_names == ["defect", "docs"]


def test_a_planned_label_that_was_deleted_is_not_taken_for_the_one_that_has_its_name(desk: Desk) -> None:
    """The report says so; the other labels are set."""
    one, _ = planned(desk, "bug", "docs")
    desk.demo.delete_label("bug")
    desk.demo.rename_label("docs", "bug")
    assert desk.apply() == 0
    assert one.label_names == ["bug"]
    assert f"{DEMO}#1: bug" in desk.out


def test_what_a_configuration_forbids_a_renamed_label_is_still_forbidden(desk: Desk) -> None:
    """A group of which an issue gets one, named by the old name."""
    one, _ = planned(desk, "bug", "docs")
    desk.demo.put_file(".github/triage.yml", "labels: {exclusive: [[bug, docs]]}")
    policy = fingerprint(from_dict({"labels": {"exclusive": [["bug", "docs"]]}}))
    ids = {label.name: label.node_id for label in desk.demo.labels.values()}
    desk.plan(entry(1, "bug", "docs"), repo_id=desk.demo.node_id, ids=ids, policy=policy)
    desk.demo.rename_label("bug", "defect")
    assert desk.apply() == 0, desk.err
    assert one.label_names == ["defect"]


def test_a_resumed_run_knows_a_renamed_label(desk: Desk) -> None:
    """It is set once, and taken off once."""
    one, other = planned(desk, "bug")
    assert desk.apply() == 0
    desk.journal.unlink()
    desk.demo.rename_label("bug", "defect")
    assert desk.apply() == 0
    assert one.label_events == [("labeled", "defect", ACTIONS_BOT)]
    assert desk.undo() == 0
    assert one.label_names == other.label_names == []


@pytest.mark.parametrize(("old", "new"), [("bug", "defect"), ("bug", "Bug")])
def test_undo_takes_a_renamed_label_off(desk: Desk, old: str, new: str) -> None:
    """By the id in the journal."""
    one, other = planned(desk, old, "docs")
    assert desk.apply() == 0
    desk.demo.rename_label(old, new)
    assert desk.undo() == 0
    assert one.label_names == other.label_names == []
    assert desk.out.endswith("2 of 2 issues undone, 0 left alone\n")


def test_undo_leaves_a_label_that_took_the_name(desk: Desk) -> None:
    """A person set it since; the bot's own is gone."""
    one, _ = planned(desk, "bug")
    assert desk.apply() == 0
    desk.demo.rename_label("bug", "defect")
    desk.demo.add_label("bug")
    one.add_labels(["bug"], "maintainer")
    assert desk.undo() == 0
    assert one.label_names == ["bug"]


def test_what_is_not_found_is_not_reported_as_set_back(desk: Desk) -> None:
    """Where the journal lacks its id, a renamed label stays, and the counts and the reason say so."""
    one, other = planned(desk, "bug", "docs")
    assert desk.apply() == 0
    without_ids(desk)
    desk.demo.rename_label("bug", "defect")
    assert desk.undo() == 0
    assert one.label_names == other.label_names == ["defect"]
    assert desk.out.endswith("0 of 2 issues undone, 2 in part, 0 left alone\n")
    assert "or it was renamed since: the journal does not have its id" in desk.out


def test_a_plan_goes_with_its_repository_under_a_new_name(desk: Desk) -> None:
    """And so does its journal."""
    one, other = planned(desk, "bug")
    desk.github.world.rename_repository(desk.demo, LATER)
    assert desk.apply(f"--repo={LATER}") == 0, desk.err
    assert one.label_names == other.label_names == ["bug"]
    assert desk.undo() == 0
    assert one.label_names == other.label_names == []


def test_a_plan_is_not_applied_to_a_repository_that_took_the_name(desk: Desk) -> None:
    """Issue 1 there is another one."""
    planned(desk, "bug")
    desk.github.world.rename_repository(desk.demo, LATER)
    stranger = desk.github.world.add_repository(DEMO)
    stranger.add_label("bug")
    issue = stranger.add_issue("Another")
    assert desk.apply() == 5
    assert f"a plan for {DEMO}, not for {DEMO}" in desk.err
    assert issue.label_names == []


def test_a_plan_records_the_ids_of_its_labels(step: Step) -> None:
    """Beside their names, which are the repository's; and `--label` may be spelt in any case."""
    step.repository.rename_label("bug", "Bug")
    step.repository.issues[STORAGE].add_labels(
        ["question"], "reporter", at=step.repository.issues[STORAGE].created_at
    )
    plan = step.folder / "plan.jsonl"
    argv = ("backfill", f"--from={FERRY}", f"--store={step.store}", f"--out={step.folder}")
    assert step.run(*argv) == 0, step.err
    header = open_plan(plan).header
    assert header.repo_id == step.repository.node_id
    assert header.ids["Bug"] == step.repository.labels["bug"].node_id
    assert set(header.promises) >= set(header.ids)
    assert "Bug" in {name for each in open_plan(plan).entries() for name in each.labels}
    assert step.run(*argv, "--label=QUESTION") == 0, step.err
    assert [each.number for each in open_plan(plan).entries()] == [STORAGE]
