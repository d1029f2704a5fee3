"""Issue types: learnt and set like an exclusive group of labels, but never created, replaced or put back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.fake_github.faults import error
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.learning import RETRAIN, active
from tests.live import FERRY, STORAGE, SYNC, Step
from tests.test_commands import MAINTAINER, say
from triage.config import from_dict
from triage.decide import Policy
from triage.github.issue_types import PAGE
from triage.issue import TYPE
from triage.learn.dataset import prepare
from triage.rows import from_row

RULE = "rules: [{when: {title: '.'}, set: 'issue type: bug'}]\n"
ON = f"act: {{types: true, commands: true}}\n{RULE}"
LABELS = ["bug", "area: storage"]
BUG = "issue type: Bug"
FAST = "--per-minute=60000"


@pytest.fixture
def issue(step: Step) -> Issue:
    """One that a fixed rule makes a bug, in a repository whose organisation has two types."""
    step.configure(ON)
    for name in ("Bug", "Feature"):
        step.repository.add_type(name)
    step.repository.roles[MAINTAINER] = "triage"
    return step.repository.issues[STORAGE]


def label(step: Step, issue: Issue, *argv: str) -> None:
    step.happen(issue)
    assert step.label(*argv) == 0


def test_a_type_is_set_once(step: Step, issue: Issue) -> None:
    """A dry run says which; a second run changes nothing."""
    label(step, issue, "--dry-run")
    assert (issue.type_name, step.writes) == (None, [])
    assert step.outputs["would-label"] == {str(STORAGE): [BUG, *LABELS]}
    label(step, issue)
    assert (issue.type_name, issue.label_names) == ("Bug", LABELS)
    assert step.outputs["labels"] == {str(STORAGE): [BUG, *LABELS]}
    before = len(step.writes)
    label(step, issue)
    assert (issue.type_name, len(step.writes)) == ("Bug", before)


def test_without_the_key_nothing_is_requested(step: Step, issue: Issue) -> None:
    """And the rule is without effect."""
    step.configure(RULE)
    label(step, issue)
    assert (issue.type_name, issue.label_names) == (None, LABELS)
    usual = len(step.github.requests)
    step.configure(ON)
    step.github.requests.clear()
    label(step, step.repository.add_issue(issue.title, issue.body))
    assert len(step.github.requests) == usual + 3


def test_a_type_that_is_there_stays(step: Step, issue: Issue) -> None:
    """Whoever set it; the labels are set all the same."""
    issue.set_type("Feature", MAINTAINER)
    label(step, issue)
    assert (issue.type_name, issue.label_names) == ("Feature", LABELS)
    assert "an issue has one type, and issue type: Feature stays" in step.said


@pytest.mark.parametrize("named", [True, False])
def test_a_type_without_an_event_stays(step: Step, issue: Issue, named: bool) -> None:
    """As after a transfer: an event of the issue tells it, or GitHub is asked."""
    issue.type = step.repository.types["feature"]
    if named:
        assert step.label(f"--issue={STORAGE}") == 0
    else:
        label(step, issue)
    assert (issue.type_name, issue.label_names) == ("Feature", LABELS)


def test_what_a_person_removed_does_not_come_back(step: Step, issue: Issue) -> None:
    """Nor what a person changed; on an edit neither, after which everything is decided anew."""
    label(step, issue)
    issue.set_type(None, MAINTAINER)
    issue.edit("Something else altogether, of which there is nothing to be said but this.")
    step.happen(issue, "edited", body="Before.")
    assert step.label() == 0
    assert issue.type_name is None
    issue.set_type("Feature", MAINTAINER)
    issue.set_type("Bug", MAINTAINER)
    issue.set_type("Feature", MAINTAINER)
    issue.set_type(None, MAINTAINER)
    assert step.label(f"--issue={STORAGE}") == 0
    assert issue.type_name is None
    assert f"- {BUG}  a fixed rule     held back: a person removed it from this issue\n" in step.out


def test_a_renamed_type_is_the_same(step: Step, issue: Issue) -> None:
    """What was removed under the old name does not come back under the new one."""
    issue.set_type("Bug", MAINTAINER)
    issue.set_type(None, MAINTAINER)
    kind = step.repository.types.pop("bug")
    kind.name = "Defect"
    step.repository.types["defect"] = kind
    step.configure(ON.replace("type: bug", "type: Defect"))
    label(step, issue)
    assert issue.type_name is None


def test_a_type_deleted_while_the_run_goes_on_is_left_out(step: Step, issue: Issue) -> None:
    """The labels are set."""
    step.github.faults.add(error(422, "Validation Failed"), method="PATCH", path="/issues/")
    del step.repository.types["feature"]
    step.github.faults.add(error(404, "Not Found"), skip=1, times=None, path="/issue-types$")
    label(step, issue)
    assert (issue.type_name, issue.label_names) == (None, LABELS)
    assert "deleted in the meantime, so not set: issue type: Bug" in step.out


def test_pull_requests_have_no_type(step: Step, issue: Issue) -> None:
    """A rule that says so is passed over."""
    step.configure("act: {types: true, pull_requests: true}\n" + RULE)
    step.github.world.add_token("puller", ACTIONS_BOT, issues="write", contents="read", pull_requests="write")
    step.environment.setenv("GITHUB_TOKEN", "puller")
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    label(step, pull)
    assert (pull.type_name, pull.label_names) == (None, LABELS)


def test_a_long_history_is_read_to_its_end(step: Step, issue: Issue) -> None:
    """GitHub gives a hundred events a page."""
    for _ in range(PAGE):
        issue.rename("Like this", MAINTAINER)
    issue.set_type("Bug", MAINTAINER)
    issue.set_type(None, MAINTAINER)
    label(step, issue)
    assert issue.type_name is None


def test_a_label_that_is_called_like_a_type_is_not_touched(step: Step, issue: Issue) -> None:
    """Nor is a label created for a type that is not there."""
    step.repository.add_label(BUG)
    step.configure(f"labels: {{create: true}}\n{ON.replace('type: bug', 'type: Epic')}")
    label(step, issue)
    assert (issue.type_name, issue.label_names) == (None, LABELS)
    step.configure(ON)
    assert step.label(f"--issue={SYNC}") == 0
    other = step.repository.issues[SYNC]
    assert (other.type_name, BUG in other.label_names) == ("Bug", False)


def test_types_do_not_count_for_the_most_labels(step: Step, issue: Issue) -> None:
    """Now or in a later run."""
    step.configure(f"labels: {{max: 2}}\n{ON}")
    label(step, issue)
    assert (issue.type_name, issue.label_names) == ("Bug", LABELS)
    policy = Policy.of(from_dict({"labels": {"max": 1}, "act": {"types": True}}))
    scores = {BUG: 0.9, f"{TYPE}Feature": 0.8, "a": 0.7, "b": 0.6}
    assert policy.apply(scores, scores)[0] == (BUG, "a")
    assert policy.apply(scores, scores, existing=(BUG,), own=(BUG,))[0] == ("a",)
    assert policy.apply(scores, scores, existing=("a",), own=("a",))[0] == (BUG,)


def test_a_command_takes_the_type_back(step: Step, issue: Issue) -> None:
    """Only where nobody has touched it since."""
    label(step, issue)
    say(step, issue, "/triage undo")
    assert step.label() == 0
    assert (issue.type_name, issue.label_names) == (None, [])


def test_without_write_access_the_run_says_so(step: Step, issue: Issue) -> None:
    """GitHub itself passes over the type in silence."""
    step.github.world.add_token("triager", MAINTAINER, issues="write", contents="read")
    step.environment.setenv("GITHUB_TOKEN", "triager")
    step.happen(issue)
    assert step.label() == 8
    assert issue.type_name is None
    assert f"cannot set the type of issue {STORAGE} in {FERRY}: GitHub left it as it is" in step.err
    step.github.faults.add(
        error(403, "Resource not accessible by integration"), method="PATCH", path="/issues/"
    )
    assert step.label() == 8
    assert "grant it under `permissions:`" in step.err


@pytest.mark.parametrize("version", ["", "3.17.4"])
def test_where_there_are_no_types_everything_else_works(step: Step, issue: Issue, version: str) -> None:
    """It is said once: of a person's repository, and of a server that does not list them."""
    step.repository.types.clear()
    step.github.world.enterprise_version = version
    label(step, issue)
    assert issue.label_names == LABELS
    assert step.out.count("no issue types are set") == 1
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 4
    assert "! the repository has no issue types to set (act.types)\n" in step.out
    assert (
        "✗ `issue type: bug` is in the rule 'rule 1', but the repository has no such issue type\n" in step.out
    )


def test_the_check_says_which_types_may_be_set(step: Step, issue: Issue) -> None:
    """Those that `labels.deny` leaves."""
    step.configure(f"labels: {{deny: ['issue type: f*']}}\n{ON}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "✓ of issue types, these may be set: `issue type: Bug` (act.types)\n" in step.out
    step.configure(f"labels: {{deny: ['issue type: *']}}\n{ON}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "! none of the issue types may be set: labels.deny matches each (act.types)\n" in step.out
    step.configure(RULE)
    step.run("check", f"--repo={FERRY}", f"--store={step.store}")
    assert "which is never set: issue types are not set (act.types)" in step.out


def plan(step: Step, *argv: str) -> dict[int, list[str]]:
    """Make a plan; returns what it would set."""
    folder = step.folder / "plan"
    assert step.run("backfill", f"--from={FERRY}", f"--out={folder}", f"--store={step.store}", *argv) == 0
    lines = (folder / "plan.jsonl").read_text("utf-8").splitlines()
    return {entry["number"]: entry.get("labels", []) for entry in map(json.loads, lines) if "number" in entry}


def apply(step: Step) -> list[str]:
    return ["backfill", f"--apply={step.folder / 'plan' / 'plan.jsonl'}", FAST]


def test_a_backfill_sets_types_and_takes_them_back(step: Step, issue: Issue) -> None:
    """But for those that people have touched: before the plan, between plan and application, and after it."""
    issues = step.repository.issues
    removed, between, after, *_, last = sorted(set(issues) - {STORAGE, SYNC})
    issues[removed].set_type("Bug", MAINTAINER)
    issues[removed].set_type(None, MAINTAINER)
    planned = plan(step)
    assert BUG in planned[STORAGE]
    assert BUG not in planned[removed]
    issues[between].set_type("Feature", MAINTAINER)
    issues[last].type = step.repository.types["feature"]
    assert step.run(*apply(step), "--dry-run") == 0
    assert step.writes == []
    assert step.run(*apply(step)) == 0
    names = (removed, between, last, after, STORAGE)
    assert [issues[n].type_name for n in names] == [None, "Feature", "Feature", "Bug", "Bug"]
    before = len(step.writes)
    assert step.run(*apply(step)) == 0
    assert len(step.writes) == before
    issues[after].set_type("Feature", MAINTAINER)
    assert step.run("undo", str(step.folder / "plan" / "plan.journal.jsonl"), FAST) == 0
    assert [issues[n].type_name for n in names] == [None, "Feature", "Feature", "Feature", None]
    assert issue.label_names == []


def test_a_label_whose_type_was_refused_can_be_taken_back(step: Step, issue: Issue) -> None:
    """The type comes after the labels: the issue failed, and has the labels nevertheless."""
    plan(step, f"--issue={STORAGE}")
    refused = error(403, "Resource not accessible by integration")
    step.github.faults.add(refused, method="PATCH", path="/issues/")
    assert step.run(*apply(step)) == 8
    assert (issue.type_name, issue.label_names) == (None, LABELS)
    assert f"triage undo {step.folder / 'plan' / 'plan.journal.jsonl'}" in step.err


def test_undo_since_takes_types_back(step: Step, issue: Issue) -> None:
    """Those that the bot has set."""
    other = step.repository.issues[SYNC]
    label(step, issue)
    other.set_type("Feature", MAINTAINER)
    journal = f"--journal={step.folder / 'undo.jsonl'}"
    assert step.run("undo", "--since=2 days", f"--repo={FERRY}", FAST, journal) == 0
    assert (issue.type_name, other.type_name, issue.label_names) == (None, "Feature", [])


def test_the_daily_run_and_a_plan_of_new_issues_read_few_events(step: Step, issue: Issue) -> None:
    """Only as far back as the oldest of these issues was opened."""
    for _ in range(3 * PAGE):
        step.repository.issues[SYNC].rename("Like this", MAINTAINER)
    step.github.world.clock.set(datetime.now(UTC))
    young = step.repository.add_issue(issue.title, issue.body)
    for run in (partial(plan, step, "--since=1 day"), partial(step.label, "--since=1 day")):
        step.github.requests.clear()
        run()
        assert sum(r.path.endswith("/issues/events") for r in step.github.requests) == 1
    assert (young.type_name, young.label_names, issue.type_name) == ("Bug", LABELS, None)


def test_rows_carry_a_type() -> None:
    """By name, or as GitHub writes it; it is learnt where types are set."""
    row = {"repo": "a/b", "number": 1, "title": "It fails", "body": "", "labels": ["a"]}
    rows = [from_row(row | {"type": t}, where="here") for t in ("Bug", {"id": 1, "name": "Bug"}, None)]
    assert [issue.labels for issue in rows] == [("a", BUG), ("a", BUG), ("a",)]
    on, off = from_dict({"act": {"types": True}}), from_dict({})
    assert prepare(rows[:1], on).names == ["a", BUG]
    assert prepare(rows[:1], off).names == ["a"]


def test_types_are_learnt_from_people_and_set(past: Step, tmp_path: Path) -> None:
    """Not those that the bot, or a form, has set; a cache from before the key was set does not matter."""
    cache = f"--cache={tmp_path / 'cache'}"
    config = "act: {types: true}\nlearn: {trusted_bots: [ferry-ci-robot], min_new: 5}\n"
    for name in ("Bug", "Question"):
        past.repository.add_type(name)
    typed = [i for i in past.repository.issues.values() if {"bug", "question"} & set(i.label_names)]
    mine, *theirs = typed
    mine.set_type("Bug", ACTIONS_BOT)
    for each in theirs:
        each.set_type("Bug" if "bug" in each.label_names else "Question", MAINTAINER)
    assert past.run(*RETRAIN, cache) == 0
    assert not [name for name in active(past).rules.by_name if name.startswith(TYPE)]
    past.configure(config)
    assert past.run(*RETRAIN, cache, "--always") == 0
    bundle = active(past)
    learnt = bundle.rules.by_name
    assert learnt[BUG].examples > 50
    assert learnt[f"{TYPE}Question"].examples > 5
    assert (FERRY, mine.number) not in bundle.rows.keys
    issue = past.repository.issues[STORAGE]
    past.happen(issue)
    assert past.run("label", f"--store=github:{FERRY}") == 0
    assert issue.type_name == "Bug"
    assert "bug" in issue.label_names
