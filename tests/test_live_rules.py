"""Fixed rules on GitHub: dry run, run, run again, people's hands, backfill and undo, and what `check` says."""

from __future__ import annotations

import re

import pytest

from tests.backfilling import FAST
from tests.live import FERRY, QUESTION, STORAGE, Step

RULES = """
labels: {allow: ['area: web', docs]}
act: {pull_requests: true}
rules:
  - {name: web page, when: {form: {Where: The web page}}, set: 'area: web'}
  - {name: documentation, when: {files: 'docs/**'}, set: docs}
"""
FORM = "### Where\n\nThe web page\n\n### What happened\n\nThe list stays empty.\n"


@pytest.fixture
def ruled(step: Step) -> Step:
    """A repository with rules, one issue of a form, and a pull request that changes documentation."""
    step.configure(RULES)
    step.repository.add_label("docs")
    step.repository.add_issue("Nothing is shown", FORM, "a-user", number=2001)
    pull = step.repository.add_issue("Say how", "As asked", "a-user", number=2002, pull=True)
    pull.files = [*(f"src/{n}.py" for n in range(120)), "docs/usage.md"]
    return step


def test_a_dry_run_shows_the_rule(ruled: Step) -> None:
    """And changes nothing."""
    ruled.happen(ruled.repository.issues[2001])
    assert ruled.label("--dry-run") == 0
    assert ruled.outputs["would-label"] == {"2001": ["area: web"]}
    assert "the rule &#39;web page&#39;" in ruled.summary
    assert "the rule 'web page'" in ruled.out
    assert ruled.writes == []


def test_a_rule_labels_once(ruled: Step) -> None:
    """The second run finds the label there."""
    issue = ruled.repository.issues[2001]
    ruled.happen(issue)
    for _ in range(2):
        assert ruled.label() == 0
    assert issue.label_names == ["area: web"]
    assert ruled.writes == ["mutation addLabelsToLabelable"]


def test_a_small_edit_is_enough_for_a_rule(ruled: Step) -> None:
    """The vote has judged the text before, of which an answer is a small part; what was removed stays away."""
    long = "It says that the server is away, although everybody else is connected to it and works. " * 9
    issue = ruled.repository.add_issue("The list of boats", f"{FORM}{long}", "a-user", number=2003)
    before = issue.body.replace("The web page", "The app")
    for labels in (["area: web"], []):
        ruled.happen(issue, "edited", body=before)
        assert ruled.label() == 0
        assert issue.label_names == labels
        issue.remove_labels(labels, "marit-oh")
    other = ruled.repository.add_issue("The list of boats", before, "a-user", number=2004)
    ruled.happen(other, "edited", body=before.replace("list", "lists"))
    assert ruled.label() == 0
    assert "its text changed only a little" in ruled.out
    assert other.label_names == []


def test_a_push_that_changes_other_files_is_an_event_too(ruled: Step) -> None:
    """Where the workflow listens to `synchronize`."""
    pull = ruled.repository.issues[2002]
    pull.files = ["src/a.py"]
    ruled.happen(pull)
    assert ruled.label() == 0
    assert pull.label_names == []
    pull.files = ["src/a.py", "docs/usage.md"]
    ruled.happen(pull, "synchronize")
    assert ruled.label() == 0
    assert pull.label_names == ["docs"]


def test_what_a_person_removed_is_not_put_back(ruled: Step) -> None:
    """A rule is no stronger than a person."""
    issue = ruled.repository.issues[2001]
    ruled.happen(issue)
    ruled.label()
    issue.remove_labels(["area: web"], "marit-oh")
    assert ruled.label("--issue=2001") == 0
    assert issue.label_names == []
    assert "a person removed it from this issue" in ruled.summary


def test_a_rule_on_files_reads_all_files_of_a_pull_request(ruled: Step) -> None:
    """More than GitHub lists at once."""
    pull = ruled.repository.issues[2002]
    ruled.happen(pull)
    assert ruled.label() == 0
    assert pull.label_names == ["docs"]


def test_without_rules_on_files_none_are_read(step: Step) -> None:
    """A feature that is off costs nothing."""
    step.configure("act: {pull_requests: true}\nrules: [{when: {title: Say}, set: docs}]")
    step.repository.add_label("docs")
    pull = step.repository.add_issue("Say how", "As asked", "a-user", number=2002, pull=True)
    pull.files = ["docs/usage.md"] * 300
    step.happen(pull)
    assert step.label() == 0
    assert pull.label_names == ["docs"]
    assert [r for r in step.github.requests if '"after"' in str(r.body) and "files" in str(r.body)] == []


def test_rules_label_before_anything_is_learnt_or_described(step: Step) -> None:
    """They need no bundle."""
    step.configure("rules: [{name: mine, when: {title: shown}, set: 'area: web'}]")
    issue = step.repository.add_issue("Nothing is shown", "The list stays empty.", "a-user", number=2001)
    step.happen(issue)
    assert step.run("label") == 0
    assert issue.label_names == ["area: web"]


def test_a_bar_holds_back_what_the_vote_elects(step: Step) -> None:
    """The reason names the rule."""
    step.configure("rules: [{name: no bugs, when: {title: .}, bar: bug}]")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["area: storage"]
    assert "the rule 'no bugs' bars it" in step.out


def test_a_token_that_may_not_label_is_told_so(ruled: Step) -> None:
    """As for every label."""
    ruled.github.world.add_token("reader", "reader[bot]", issues="read", contents="read")
    ruled.environment.setenv("GITHUB_TOKEN", "reader")
    ruled.happen(ruled.repository.issues[2001])
    assert ruled.label() == 8
    assert "issues: write" in ruled.err


def test_rows_of_a_file_are_ruled_too(ruled: Step) -> None:
    """With the local configuration."""
    config, rows = ruled.folder / "triage.yml", ruled.folder / "rows.jsonl"
    config.write_text("rules: [{name: mine, when: {title: zebra}, set: striped}]", "utf-8")
    rows.write_text('{"title": "A zebra", "body": "It has stripes and runs fast"}\n', "utf-8")
    assert ruled.label(f"--from={rows}", f"--config={config}") == 0
    assert re.search(r"^  \+ striped +a fixed rule +the rule 'mine'$", ruled.out, re.MULTILINE)


@pytest.mark.parametrize("files", ['["docs/a.md"]', '[{"path": "docs/a.md", "additions": 3}]'])
def test_rows_of_pull_requests_may_have_their_files(ruled: Step, files: str) -> None:
    """As `gh pr list --json files` prints them."""
    config, rows = ruled.folder / "triage.yml", ruled.folder / "rows.jsonl"
    config.write_text("rules: [{name: pages, when: {files: 'docs/**'}, set: docs}]", "utf-8")
    row = '{"title": "Say how", "body": "As asked by many", "is_pull_request": true, "files": %s}'
    rows.write_text(row % files, "utf-8")
    assert ruled.label(f"--from={rows}", f"--config={config}") == 0
    assert re.search(r"^  \+ docs +a fixed rule +the rule 'pages'$", ruled.out, re.MULTILINE)


def test_a_backfill_plans_applies_and_undoes_what_rules_set(ruled: Step) -> None:
    """The plan names the rule; a person's hand in between is respected."""
    folder = ruled.folder / "plan"
    source = (f"--from={FERRY}", f"--out={folder}", f"--store={ruled.store}", "--issue=2001,2002")
    assert ruled.run("backfill", *source) == 0
    plan = (folder / "plan.jsonl").read_text("utf-8")
    assert '"rules": {"area: web": "web page"}' in plan
    assert '"rules": {"docs": "documentation"}' in plan
    assert ruled.run("backfill", f"--apply={folder / 'plan.jsonl'}", "--dry-run") == 0
    assert ruled.writes == []
    assert ruled.run("backfill", f"--apply={folder / 'plan.jsonl'}", FAST) == 0
    issue, pull = ruled.repository.issues[2001], ruled.repository.issues[2002]
    assert (issue.label_names, pull.label_names) == (["area: web"], ["docs"])
    pull.remove_labels(["docs"], "marit-oh")
    pull.add_labels(["docs"], "marit-oh")
    assert ruled.run("undo", str(folder / "plan.journal.jsonl"), FAST) == 0
    assert (issue.label_names, pull.label_names) == ([], ["docs"])


def test_check_tries_the_rules_on_the_newest_issues(ruled: Step) -> None:
    """How often each applies, and how often people agreed."""
    for number, labels in ((2001, ["area: web"]), (STORAGE, ["area: web"]), (QUESTION, ["question"])):
        ruled.repository.issues[number].add_labels(labels, "marit-oh")
    ruled.configure(
        RULES
        + "  - {name: needs a page, when: {body: The web page}, require: 'area: web'}\n"
        + "  - {name: odd, when: {title: zyx}, set: [bug, gone]}\n"
    )
    assert ruled.run("check", f"--repo={FERRY}", f"--store={ruled.store}") == 4
    count = len(ruled.repository.issues)
    assert [line for line in ruled.out.splitlines() if "rule" in line] == [
        "! the rule 'odd' sets `bug`, which is never set: it is not allowed (labels.allow)",
        "! the rule 'odd' sets `gone`, which is never set: it is not allowed (labels.allow)",
        "✗ `gone` is in the rule 'odd', but the repository has no such label",
        f"✓ the rule 'web page' fires on 1 of the newest {count} issues; people labelled 1 of these, and agreed on 1",
        "✓ the rule 'documentation' fires on 1 of the newest 1 pull requests; "
        "people labelled 0 of these, and agreed on 0",
        f"! the rule 'needs a page' fires on 1 of the newest {count} issues; "
        "people set area: web on 1 where it does not apply",
        f"! the rule 'odd' fires on 0 of the newest {count} issues",
    ]
    assert ruled.writes == []


def test_check_says_that_pull_requests_are_not_labelled(step: Step) -> None:
    """A rule on their files has no effect then."""
    step.configure("rules: [{name: pages, when: {files: 'docs/**'}, set: bug}]")
    step.run("check", f"--repo={FERRY}")
    assert (
        "! the rule 'pages' is about changed files, and pull requests are not labelled (act.pull_requests)"
        in step.out
    )
    assert "! the rule 'pages' was not tried: there are no pull requests" in step.out
