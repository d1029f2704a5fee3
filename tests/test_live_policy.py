"""What the bot may do on GitHub, given what people did there: policy against the live repository."""

from __future__ import annotations

import pytest

from tests.fake_github.state import ACTIONS_BOT
from tests.live import FERRY, QUESTION, STORAGE, SYNC, Step

STORAGE_LABELS = ["bug", "area: storage"]
ABSTAIN = "labels: {abstain: needs-triage, deny: ['*']}"


def test_labels_that_are_there_stay(step: Step) -> None:
    """Also those that the bot would never set."""
    issue = step.repository.issues[STORAGE]
    step.repository.add_label("wontfix")
    issue.add_labels(["wontfix", "question"], "marit-oh")
    step.happen(issue)
    step.label()
    assert issue.label_names == ["wontfix", "question", *STORAGE_LABELS]


def test_a_label_that_a_person_removed_is_not_put_back(step: Step) -> None:
    """Whoever set it; the other labels are."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    issue.remove_labels(["bug"], "marit-oh")
    step.happen(issue, "reopened")
    assert step.label() == 0
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


def test_a_label_that_a_bot_removed_is_put_back(step: Step) -> None:
    """Bots do not decide for maintainers."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["bug"], "marit-oh")
    issue.remove_labels(["bug"], "stale[bot]")
    step.happen(issue)
    step.label()
    assert sorted(issue.label_names) == sorted(STORAGE_LABELS)


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
    step.happen(issue)
    step.label()
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
    assert step.out == f"{FERRY}#{issue.number}: {reason}\n"


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
        f"{FERRY}#{pull.number}: it is a pull request (act.pull_requests)\n",
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
    assert (issue.label_names, step.out) == ([], f"{FERRY}#938: its text changed only a little\n")


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
    assert step.out == f"{FERRY}#938: a person has set or removed labels on it\n"


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
    assert comment.body.startswith("<!-- triage: reasons -->\n### ")
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
