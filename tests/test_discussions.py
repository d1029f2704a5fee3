"""Discussions: labelled once, when they are opened, and in backfills those without labels."""

from __future__ import annotations

import json

import pytest

from tests.fake_github.faults import Answer
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Reply
from tests.live import FERRY, STORAGE, Step

STORAGE_LABELS = ["bug", "area: storage"]
ON = "act: {discussions: true}"
NUMBER = 5_000


@pytest.fixture
def discussion(step: Step) -> Issue:
    """One that is about the same as an issue that the bot labels."""
    step.configure(ON)
    like = step.repository.issues[STORAGE]
    step.github.world.add_token("talker", ACTIONS_BOT, issues="write", contents="read", discussions="write")
    step.environment.setenv("GITHUB_TOKEN", "talker")
    return step.repository.add_issue(like.title, like.body, discussion=True, number=NUMBER)


def test_a_new_discussion_is_labelled(step: Step, discussion: Issue) -> None:
    """By what was learnt from issues; a second run of the event changes nothing."""
    step.happen(discussion, "created")
    assert step.label("--dry-run") == 0
    assert (discussion.label_names, step.writes) == ([], [])
    assert step.outputs["would-label"] == {str(NUMBER): STORAGE_LABELS}
    assert step.label() == 0
    assert discussion.label_names == STORAGE_LABELS
    assert step.label() == 0
    assert step.out == (
        f"{FERRY}#{NUMBER}: left alone: it has labels, and GitHub keeps no history of a discussion's labels\n"
    )
    assert step.writes == ["mutation addLabelsToLabelable"]


def test_discussions_are_left_alone_by_default(step: Step, discussion: Issue) -> None:
    """Nothing of them is read."""
    step.configure("act: {skip_bots: true}")
    step.happen(discussion, "created")
    assert step.label() == 0
    assert (discussion.label_names, step.out) == (
        [],
        f"{FERRY}#{NUMBER}: left alone: it is a discussion (act.discussions)\n",
    )


@pytest.mark.parametrize("action", ["edited", "answered", "labeled", "unlabeled", "category_changed"])
def test_only_a_new_discussion_is_labelled(step: Step, discussion: Issue, action: str) -> None:
    """A person may have removed a label since, which GitHub does not tell."""
    step.happen(discussion, "created")
    step.label()
    discussion.remove_labels(STORAGE_LABELS, "marit-oh")
    step.happen(discussion, action, body="Something else.")
    assert step.label() == 0
    assert step.label("--since=36 hours") == 0
    assert discussion.label_names == []


def test_a_discussion_that_a_person_labelled_is_theirs(step: Step, discussion: Issue) -> None:
    """Even where it is named."""
    step.repository.add_label("wontfix")
    discussion.add_labels(["wontfix"], "marit-oh")
    step.happen(discussion, "created")
    assert step.label() == 0
    assert step.label(f"--issue={NUMBER}") == 0
    assert discussion.label_names == ["wontfix"]


def test_a_discussion_can_be_named_among_issues(step: Step, discussion: Issue) -> None:
    """They share their numbers."""
    assert step.label(f"--issue={STORAGE},{NUMBER}") == 0
    assert discussion.label_names == step.repository.issues[STORAGE].label_names == STORAGE_LABELS


def test_a_discussion_gets_no_abstain_label(step: Step, discussion: Issue) -> None:
    """It could not be taken off again."""
    step.repository.add_label("needs-triage")
    step.configure("{act: {discussions: true}, labels: {abstain: needs-triage, deny: ['*']}}")
    step.happen(discussion, "created")
    assert step.label() == 0
    assert (discussion.label_names, step.outputs["abstained"]) == ([], [NUMBER])


def test_a_discussion_is_explained_in_one_comment(step: Step, discussion: Issue) -> None:
    """As issues are."""
    step.configure("act: {discussions: true, comment: true}")
    step.happen(discussion, "created")
    assert step.label() == 0
    [comment] = discussion.comments
    assert "got <code>bug</code>" in comment.body
    assert comment.author.login == ACTIONS_BOT


def test_nothing_is_suggested_on_a_discussion(step: Step, discussion: Issue) -> None:
    """Nobody could accept it, so that the log does not say so either."""
    step.configure("act: {discussions: true, suggest: 0.2, comment: true}\nvote: {precision_target: 1.0}")
    step.happen(discussion, "created")
    assert step.label() == 0
    assert (discussion.comments, step.writes) == ([], [])
    assert "suggested" not in step.said


def test_without_the_permission_the_run_says_which(step: Step, discussion: Issue) -> None:
    """With the exit code for access."""
    step.repository.private = True
    step.github.world.add_token("mute", ACTIONS_BOT, issues="write", contents="read", metadata="read")
    step.environment.setenv("GITHUB_TOKEN", "mute")
    step.happen(discussion, "created")
    assert step.label() == 8
    assert "`discussions: read`" in step.err


def test_a_backfill_labels_discussions_and_takes_it_back(step: Step, discussion: Issue) -> None:
    """Those without labels; undo leaves one that has got another label since."""
    other = step.repository.add_issue(discussion.title, discussion.body, discussion=True, number=NUMBER + 1)
    theirs = step.repository.add_issue(discussion.title, discussion.body, discussion=True, number=NUMBER + 2)
    theirs.add_labels(["question"], "marit-oh")
    folder = step.folder / "plan"
    plan = ["backfill", f"--from={FERRY}", f"--out={folder}", f"--store={step.store}"]
    apply = ["backfill", f"--apply={folder / 'plan.jsonl'}", "--per-minute=60000"]
    assert step.run(*plan) == 0
    entries = [json.loads(line) for line in (folder / "plan.jsonl").read_text("utf-8").splitlines()]
    planned = {e["number"]: e.get("labels", []) for e in entries if e.get("number", 0) >= NUMBER}
    assert planned == {NUMBER: STORAGE_LABELS, NUMBER + 1: STORAGE_LABELS, NUMBER + 2: []}
    assert step.run(*apply) == 0
    assert step.run(*apply) == 0
    assert discussion.label_names == other.label_names == STORAGE_LABELS
    assert theirs.label_names == ["question"]
    other.add_labels(["question"], "marit-oh")
    assert step.run("undo", str(folder / "plan.journal.jsonl"), "--per-minute=60000") == 0
    assert discussion.label_names == []
    assert other.label_names == [*STORAGE_LABELS, "question"]
    assert "the discussion has other labels by now" in step.out


def test_a_server_without_discussions_plans_the_rest(step: Step, discussion: Issue) -> None:
    """It says so once."""
    unknown = {
        "errors": [
            {"message": "Field 'discussions' doesn't exist on type 'Repository'", "type": "undefinedField"}
        ]
    }
    step.github.faults.add(
        Answer(Reply(200, unknown)),
        times=None,
        when=lambda request: "discussions(" in str(request.body),
    )
    plan = ["backfill", f"--from={FERRY}", f"--out={step.folder / 'plan'}", f"--store={step.store}"]
    assert step.run(*plan) == 0
    assert step.said.count("discussions are left out: ") == 1
    assert f'"number": {STORAGE}' in (step.folder / "plan" / "plan.jsonl").read_text("utf-8")
