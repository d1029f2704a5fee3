"""What the bot may do on GitHub, given what people did there: policy against the live repository."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json
from tests.live import FERRY, HOSTILE, QUESTION, STORAGE, SYNC, Step

STORAGE_LABELS = ["bug", "area: storage"]
ASKED = f"--issue={STORAGE}"
TRUSTED = "prow-robot[bot]"
ABSTAIN = "labels: {abstain: needs-triage, deny: ['*']}"


def test_labels_that_are_there_stay(step: Step) -> None:
    """Also those that the bot would never set."""
    issue = step.repository.issues[STORAGE]
    step.repository.add_label("wontfix")
    issue.add_labels(["wontfix", "question"], "marit-oh")
    step.label(ASKED)
    assert issue.label_names == ["wontfix", "question", *STORAGE_LABELS]


def test_a_label_that_a_person_removed_is_not_put_back(step: Step) -> None:
    """Whoever set it; the other labels are."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    issue.remove_labels(["bug"], "marit-oh")
    assert step.label(ASKED) == 0
    assert issue.label_names == ["area: storage"]
    assert "a person removed it from this issue" in step.summary


def test_a_label_removed_by_the_person_whose_token_is_used_is_not_put_back(step: Step) -> None:
    """Under one login, the removal is the person's."""
    step.github.world.add_token("personal", "marit-oh", issues="write", contents="read")
    step.environment.setenv("GITHUB_TOKEN", "personal")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    issue.remove_labels(["bug"], "marit-oh")
    assert step.label() == 0
    assert issue.label_names == ["area: storage"]


@pytest.mark.parametrize("by", [ACTIONS_BOT, "stale[bot]", TRUSTED])
def test_a_label_that_another_workflow_or_bot_removed_is_not_put_back(step: Step, by: str) -> None:
    """It carries out a person's word, and a workflow does so under this bot's own login."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    issue.remove_labels(["bug"], by)
    step.configure(f"learn: {{trusted_bots: ['{TRUSTED}']}}")
    for argv in ([], [ASKED]):
        step.happen(issue, "reopened")
        assert step.label(*argv) == 0
        assert issue.label_names == ["area: storage"]
    assert "it was removed from this issue" in step.summary or by == TRUSTED


def test_a_label_that_the_repository_lacks_is_not_created(step: Step) -> None:
    """The summary says what would be needed."""
    step.repository.delete_label("bug")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    assert issue.label_names == ["area: storage"]
    assert "bug" not in step.repository.labels
    assert "the repository has no such label &#40;labels&#46;create&#41;" in step.summary


def test_a_missing_label_is_created_where_the_configuration_asks(step: Step) -> None:
    """With the description of the configuration."""
    step.repository.delete_label("bug")
    step.configure("labels: {create: true, descriptions: {bug: Something is broken}}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS
    assert step.repository.labels["bug"].description == "Something is broken"
    assert step.writes == [f"POST /repos/{FERRY}/labels", "mutation addLabelsToLabelable"]
    step.github.requests.clear()


def test_an_issue_with_a_label_of_an_exclusive_group_keeps_it(step: Step) -> None:
    """A person called it a question, so it does not become a bug."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["question"], "marit-oh")
    step.configure("labels: {exclusive: [[bug, enhancement, question]]}")
    step.label(ASKED)
    assert issue.label_names == ["question", "area: storage"]
    assert "at most one of bug&#44; enhancement&#44; question&#44; and question stays" in step.summary


def test_labels_that_were_set_before_count_against_the_most(step: Step) -> None:
    """Or every further run would set the next best ones."""
    issue = step.repository.issues[STORAGE]
    step.configure("labels: {max: 1}")
    step.happen(issue)
    for _ in range(3):
        assert step.label() == 0
    assert issue.label_names == ["bug"]


def test_edits_do_not_bring_more_labels_than_the_most(step: Step) -> None:
    """All that the bot set in earlier runs counts, whatever the text is about by now."""
    issue = step.repository.issues[SYNC]
    step.configure("labels: {max: 2}")
    step.happen(issue)
    step.label()
    there = issue.label_names
    assert len(there) == 2
    for number in (STORAGE, QUESTION, HOSTILE):
        other, before = step.repository.issues[number], issue.body or ""
        issue.edit(other.body)
        issue.rename(other.title, "reporter")
        step.happen(issue, "edited", body=before)
        assert step.label() == 0
        assert list(step.outputs["scores"]) == [str(SYNC)]
        assert issue.label_names == there
    assert "at most 2 labels on one issue" in step.summary


def test_what_the_bot_set_under_another_login_counts_against_the_most(step: Step) -> None:
    """One that the bundle or `learn.bots` names; what other bots set does not count."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["question"], "our-app[bot]")
    step.configure("labels: {max: 1}\nlearn: {bots: ['our-app*']}")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["question"]
    step.configure("labels: {max: 1}")
    assert step.label() == 0
    assert issue.label_names == ["question", "bug"]


@pytest.mark.parametrize(
    ("config", "author", "reason"),
    [
        ("act: {skip_authors: ['marit-*']}", "marit-oh", "its author is skipped (act.skip_authors)"),
        ("", "renovate[bot]", "a bot opened it (act.skip_bots)"),
    ],
)
def test_some_authors_are_left_alone(step: Step, config: str, author: str, reason: str) -> None:
    """The log says why; nothing is decided and no output holds a decision."""
    like = step.repository.issues[STORAGE]
    issue = step.repository.add_issue(like.title, like.body, author)
    step.configure(config)
    step.happen(issue)
    assert step.label() == 0
    assert (issue.label_names, step.outputs["labels"]) == ([], {})
    assert step.out == f"{FERRY}#{issue.number}: left alone: {reason}\n"


def test_issues_of_bots_are_labelled_where_the_configuration_asks(step: Step) -> None:
    """`skip_bots: false` is heeded."""
    like = step.repository.issues[STORAGE]
    issue = step.repository.add_issue(like.title, like.body, "renovate[bot]")
    step.configure("act: {skip_bots: false}")
    step.happen(issue)
    step.label()
    assert issue.label_names == STORAGE_LABELS


def test_pull_requests_are_labelled_only_where_the_configuration_asks(step: Step) -> None:
    """Nothing of the fork is read but title and description."""
    like = step.repository.issues[STORAGE]
    pull = step.repository.add_issue(like.title, like.body, pull=True)
    step.happen(pull)
    assert step.label() == 0
    assert (pull.label_names, step.out) == (
        [],
        f"{FERRY}#{pull.number}: left alone: it is a pull request (act.pull_requests)\n",
    )
    step.configure("act: {pull_requests: true}")
    step.github.world.add_token("puller", ACTIONS_BOT, issues="write", contents="read", pull_requests="write")
    step.environment.setenv("GITHUB_TOKEN", "puller")
    assert step.label() == 0
    assert pull.label_names == STORAGE_LABELS


def test_an_edit_that_changes_little_changes_no_label(step: Step) -> None:
    """A typing mistake mended is no new issue."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue, "edited", title=issue.title.replace("after", "aftr"))
    assert step.label() == 0
    assert (issue.label_names, step.out) == ([], f"{FERRY}#938: left alone: its text changed only a little\n")


def test_an_issue_that_became_another_is_looked_at_again_and_keeps_its_labels(step: Step) -> None:
    """Labels are only ever added, so that nothing flaps."""
    issue, other = step.repository.issues[SYNC], step.repository.issues[STORAGE]
    before = issue.title, issue.body or ""
    step.happen(issue)
    step.label()
    first = issue.label_names
    assert "area: sync" in first
    issue.rename(other.title, "reporter")
    issue.edit(other.body)
    step.happen(issue, "edited", title=before[0], body=before[1])
    assert step.label() == 0
    assert issue.label_names == [*first, *(name for name in STORAGE_LABELS if name not in first)]
    issue.rename(before[0], "reporter")
    issue.edit(before[1])
    step.happen(issue, "edited", title=other.title, body=other.body or "")
    assert step.label() == 0
    assert issue.label_names == [*first, *(name for name in STORAGE_LABELS if name not in first)]


@pytest.mark.parametrize("touch", ["set", "removed"])
def test_an_edited_issue_whose_labels_a_person_touched_is_theirs(step: Step, touch: str) -> None:
    """However much of the text changed."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["question"], "marit-oh")
    if touch == "removed":
        issue.remove_labels(["question"], "marit-oh")
    there = issue.label_names
    step.happen(issue, "edited", body="Something else altogether.")
    assert step.label() == 0
    assert issue.label_names == there
    assert step.out == f"{FERRY}#938: left alone: a person has set or removed labels on it\n"


def test_the_abstain_label_marks_what_got_no_label_and_goes_when_one_comes(step: Step) -> None:
    """The one label that the bot takes away again."""
    step.repository.add_label("needs-triage")
    issue = step.repository.issues[STORAGE]
    step.configure(ABSTAIN)
    step.happen(issue)
    step.label()
    assert issue.label_names == ["needs-triage"]
    assert step.outputs["abstained"] == [STORAGE]
    step.configure("labels: {abstain: needs-triage}")
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS
    assert step.label() == 0
    assert issue.label_events[-1] == ("unlabeled", "needs-triage", ACTIONS_BOT)


def test_the_abstain_label_of_a_person_stays(step: Step) -> None:
    """Only what the bot set does the bot take away."""
    step.repository.add_label("needs-triage")
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["needs-triage"], "marit-oh")
    step.configure("labels: {abstain: needs-triage}")
    step.happen(issue)
    step.label()
    assert issue.label_names == ["needs-triage", *STORAGE_LABELS]


@pytest.mark.parametrize("hand", ["took the mark away", "set another label"])
def test_an_issue_in_a_persons_hands_is_not_marked(step: Step, hand: str) -> None:
    """Neither again, nor beside other labels."""
    step.repository.add_label("needs-triage")
    issue = step.repository.issues[STORAGE]
    if hand == "set another label":
        issue.add_labels(["question"], "marit-oh")
    else:
        issue.add_labels(["needs-triage"], ACTIONS_BOT)
        issue.remove_labels(["needs-triage"], "marit-oh")
    there = issue.label_names
    step.configure(ABSTAIN)
    step.happen(issue)
    assert step.label() == 0
    assert (issue.label_names, step.writes) == (there, [])


def test_no_comment_is_written_unless_the_configuration_asks(step: Step) -> None:
    """The job summary is where the reasons are."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    assert issue.comments == []


def test_one_comment_tells_the_reasons_and_is_brought_up_to_date(step: Step) -> None:
    """There is never a second one, and nobody is mentioned by it."""
    step.configure("act: {comment: true}\nlabels: {deny: ['area: *']}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    [comment] = issue.comments
    assert comment.body.startswith("<!-- triage: reasons -->\n<!-- triage: part reasons -->\n### ")
    assert "got <code>bug</code>" in comment.body
    assert "@" not in comment.body.replace("&#64;\u200b", "")
    step.configure("act: {comment: true}")
    step.happen(issue, "reopened")
    assert step.label() == 0
    assert [comment] == issue.comments
    assert "got <code>area&#58; storage</code>" in comment.body
    text = comment.body
    assert step.label() == 0
    assert [c.body for c in issue.comments] == [text]


def test_an_issue_without_a_new_label_gets_no_comment(step: Step) -> None:
    """A comment notifies people, so it must have something to say."""
    step.configure("act: {comment: true}\nlabels: {deny: ['*']}")
    issue = step.repository.issues[QUESTION]
    step.happen(issue)
    assert step.label() == 0
    assert issue.comments == []


def test_only_allowed_labels_are_set(step: Step) -> None:
    """`deny` wins over `allow`, and what is held back is told with the reason."""
    step.configure("labels: {allow: ['area: *', bug], deny: [bug]}")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    assert issue.label_names == ["area: storage"]
    assert "held back&#58; only people set it &#40;labels&#46;deny&#41;" in step.summary


@pytest.mark.parametrize("action", ["opened", "edited", "reopened", "labeled"])
@pytest.mark.parametrize("touch", ["set", "removed", "came along", "set by the owner at once"])
def test_an_issue_that_people_have_handled_is_left_alone_whatever_happens(
    step: Step, action: str, touch: str
) -> None:
    """A label that is set, removed, or carried from another repository; only who names the issue gets labels."""
    issue = step.repository.issues[STORAGE]
    if touch == "came along":
        issue.labels.append(step.repository.labels["question"])
    elif touch == "set by the owner at once":
        step.repository.team.add("marit-oh")
        issue.author = step.github.world.actor("marit-oh")
        issue.add_labels(["question"], "marit-oh", at=issue.created_at)
    else:
        issue.add_labels(["question"], "marit-oh")
    if touch == "removed":
        issue.remove_labels(["question"], "marit-oh")
    there = issue.label_names
    step.happen(issue, action, **({"body": "Something else altogether."} if action == "edited" else {}))
    assert step.label() == 0
    assert (issue.label_names, step.writes, step.outputs["labels"]) == (there, [], {})
    reason = "it came with labels from elsewhere" if touch == "came along" else "a person has set or removed"
    assert reason in step.out
    assert step.label(ASKED) == 0
    assert issue.label_names == [*there, *STORAGE_LABELS]


def test_an_issue_with_the_labels_of_a_form_or_of_bots_is_labelled(step: Step) -> None:
    """Nobody has looked at it yet."""
    issue = step.repository.issues[STORAGE]
    assert issue.author is not None
    issue.add_labels(["question"], issue.author.login, at=issue.created_at)
    issue.add_labels(["security"], "some-app[bot]")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["question", "security", *STORAGE_LABELS]


def test_an_event_about_labels_alone_decides_nothing(step: Step) -> None:
    """As where a bot set one."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["question"], "some-app[bot]")
    step.happen(issue, "labeled")
    assert step.label() == 0
    assert (issue.label_names, step.out) == (
        ["question"],
        f"{FERRY}#938: left alone: only its labels have changed\n",
    )


def test_the_abstain_label_goes_when_a_person_labels(step: Step) -> None:
    """The event `labeled` says so; a person who sets the abstain label asks for labels."""
    step.repository.add_label("needs-triage")
    issue = step.repository.issues[STORAGE]
    step.configure(ABSTAIN)
    step.happen(issue)
    step.label()
    issue.add_labels(["question"], "marit-oh")
    step.happen(issue, "labeled")
    assert step.label("--dry-run") == 0
    assert issue.label_names == ["needs-triage", "question"]
    assert step.label() == 0
    assert issue.label_names == ["question"]
    assert (
        step.out
        == f"{FERRY}#938: left alone: a person has set or removed labels on it; needs-triage was removed\n"
    )
    assert issue.label_events[-1] == ("unlabeled", "needs-triage", ACTIONS_BOT)
    assert step.label() == 0
    assert issue.label_names == ["question"]


def test_an_issue_that_has_its_labels_already_has_not_been_abstained_on(step: Step) -> None:
    """It is shown as right, and gets no abstain label."""
    step.repository.add_label("needs-triage")
    issue = step.repository.issues[STORAGE]
    issue.add_labels(STORAGE_LABELS, "marit-oh")
    step.configure("labels: {abstain: needs-triage}")
    assert step.label(ASKED) == 0
    assert (step.outputs["abstained"], step.writes) == ([], [])
    assert step.out.startswith(f"{FERRY}#938: no label, has bug, area: storage already\n  = bug ")
    assert "#938</a> has <code>bug</code> <code>area&#58; storage</code> already" in step.summary
    assert "✗" not in step.summary
    assert step.label(ASKED, "--json") == 0
    assert json.loads(step.out)["abstained"] is False


def edited(step: Step, issue: Issue, body: str) -> None:
    """An edit of the body, and the event that GitHub sends of it."""
    before = issue.body or ""
    issue.edit(body)
    step.happen(issue, "edited", body=before)


def test_an_edit_is_compared_with_the_text_that_was_judged_last(step: Step) -> None:
    """Not with the step before, whose run may have been cancelled for the sake of this one."""
    issue, other = step.repository.issues[QUESTION], step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    first = issue.label_names
    edited(step, issue, other.body or "")
    issue.rename(other.title, "reporter")
    edited(step, issue, f"{other.body} Thanks")
    assert step.label() == 0
    assert set(issue.label_names) == {*first, *STORAGE_LABELS}
    edited(step, issue, f"{other.body} Thanks!")
    assert step.label() == 0
    assert step.out == f"{FERRY}#{QUESTION}: left alone: its text changed only a little\n"


@pytest.mark.parametrize("changes", [{"body": {"from": None}}, {"body": {}}, {}, None])
def test_an_edit_whose_text_before_is_not_told_is_looked_up(step: Step, changes: Json) -> None:
    """GitHub's history of the text has it."""
    issue, other = step.repository.issues[QUESTION], step.repository.issues[STORAGE]
    issue.edit(f"{issue.body} Thanks")
    payload: dict[str, Json] = {
        "action": "edited",
        "issue": {"number": issue.number},
        "repository": {"full_name": FERRY},
        "changes": changes,
    }
    step.event(payload)
    assert step.label() == 0
    assert step.out == f"{FERRY}#{QUESTION}: left alone: its text changed only a little\n"
    issue.edit(other.body)
    assert step.label() == 0
    assert list(step.outputs["scores"]) == [str(QUESTION)]


@pytest.mark.parametrize("lost", ["deleted", "too many edits"])
def test_an_edit_of_a_text_that_is_lost_is_judged(step: Step, lost: str) -> None:
    """Rather once too often than not at all."""
    issue = step.repository.issues[STORAGE]
    body = issue.body or ""
    for i in range(12 if lost == "too many edits" else 1):
        issue.edit(f"{body} {i}")
    if lost == "deleted":
        issue.edits[0] = dataclasses.replace(issue.edits[0], body=None)
    edited(step, issue, f"{body} once more")
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS
