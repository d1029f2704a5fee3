"""Labels and comments set through the tracker, against the fake GitHub; states are asserted, not calls."""

from __future__ import annotations

import pytest

from tests.fake_github.faults import Answer, Drop, Partial, error, outage
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json, Reply
from tests.tracking import HOSTILE, add_labels, remove_label, tracker_of
from triage.comment import MARKER
from triage.github.client import IssueChange
from triage.github.comments import put_comment
from triage.github.errors import IssueGone, LabelGone, Overloaded, Rejected
from triage.github.permissions import Permissions, permissions_of


def test_labels_are_added_by_id_beside_those_that_are_there(github: FakeGitHub, demo: Repository) -> None:
    """Hostile names among them; adding again changes nothing, no label is created or taken away."""
    for name in HOSTILE:
        demo.add_label(name)
    issue = demo.add_issue("Crash", labels=["question"])
    tracker = tracker_of(github)
    labels = tracker.labels()
    for _ in range(2):
        add_labels(tracker, issue.node_id, [labels[name].id for name in ("bug", *HOSTILE)])
    assert issue.label_names == ["question", "bug", *HOSTILE]
    assert issue.label_events[1:] == [("labeled", name, ACTIONS_BOT) for name in ("bug", *HOSTILE)]
    assert len(demo.labels) == 3 + len(HOSTILE)


def test_a_request_without_labels_is_never_sent(github: FakeGitHub, demo: Repository) -> None:
    """An empty list means "remove all" elsewhere in GitHub's API."""
    issue = demo.add_issue("Crash", labels=["bug"])
    add_labels(tracker_of(github), issue.node_id, [])
    assert (issue.label_names, github.requests) == (["bug"], [])


def test_one_label_is_taken_away_and_no_other(github: FakeGitHub, demo: Repository) -> None:
    """Taking away what is gone already changes nothing."""
    issue = demo.add_issue("Crash", labels=["bug", "docs"])
    tracker = tracker_of(github)
    for _ in range(2):
        remove_label(tracker, issue.node_id, tracker.labels()["docs"].id)
    assert issue.label_names == ["bug"]
    assert issue.label_events[-1] == ("unlabeled", "docs", ACTIONS_BOT)


@pytest.mark.parametrize("kind", [Drop("before"), Drop("after"), outage(502, "after")])
def test_labelling_survives_a_lost_answer(github: FakeGitHub, demo: Repository, kind: Drop) -> None:
    """Sent again whether or not it was carried out, each label is set once."""
    issue = demo.add_issue("Crash")
    github.faults.add(kind, operation="mutation")
    add_labels(tracker_of(github), issue.node_id, [demo.labels["bug"].node_id])
    assert issue.label_events == [("labeled", "bug", ACTIONS_BOT)]


def test_a_label_or_an_issue_that_went_meanwhile_is_told_apart(github: FakeGitHub, demo: Repository) -> None:
    """Nothing else is set then."""
    issue, label, other = demo.add_issue("Crash"), demo.labels["bug"], demo.labels["docs"]
    demo.delete_label("bug")
    with pytest.raises(LabelGone):
        add_labels(tracker_of(github), issue.node_id, [other.node_id, label.node_id])
    assert issue.label_names == []
    issue.delete()
    with pytest.raises(IssueGone):
        add_labels(tracker_of(github), issue.node_id, [other.node_id])


def test_a_label_is_created_once(github: FakeGitHub, demo: Repository) -> None:
    """One that is there already, in whatever case, is left as it is."""
    tracker = tracker_of(github)
    made = tracker.create_label("needs-triage", "d93f0b", "For a person to look at")
    assert made == tracker.labels()["needs-triage"]
    assert (demo.labels["needs-triage"].color, made.description) == ("d93f0b", "For a person to look at")
    assert tracker.create_label("BUG", "000000", "other").description == "Something is broken"
    assert [label.name for label in demo.labels.values()] == ["bug", "docs", "question", "needs-triage"]
    github.faults.add(error(422, "Validation Failed"), path="labels")
    with pytest.raises(Rejected, match="cannot create a label in octo/demo: Validation Failed"):
        tracker.create_label("new", "not a colour", "")


@pytest.mark.parametrize("fault", [None, Drop("before"), Drop("after")])
def test_there_is_one_comment_and_it_is_brought_up_to_date(
    github: FakeGitHub, demo: Repository, fault: Drop | None
) -> None:
    """Others' comments stay, even one that quotes the marker, and a lost answer makes no second one."""
    issue = demo.add_issue("Crash")
    for n in range(101):
        issue.comment(f"{MARKER}\nquoted {n}", "someone")
    others = [comment.body for comment in issue.comments]
    if fault:
        github.faults.add(fault, operation="mutation addComment")
    tracker = tracker_of(github)
    put_comment(tracker, issue.node_id, lambda _: f"{MARKER}\nfirst")
    put_comment(tracker, issue.node_id, lambda _: f"{MARKER}\nsecond")
    put_comment(tracker, issue.node_id, lambda _: f"{MARKER}\nsecond")
    assert [comment.body for comment in issue.comments] == [*others, f"{MARKER}\nsecond"]
    assert github.log.count("mutation updateIssueComment") == 1


def test_permissions_are_found_out_without_writing(github: FakeGitHub, demo: Repository) -> None:
    """A workflow's token as recommended, one that may do nothing, and one that may do all."""
    demo.add_issue("Crash")
    demo.private = True
    github.world.add_token("label", ACTIONS_BOT, issues="write", contents="read", metadata="read")
    github.world.add_token("read", ACTIONS_BOT, issues="read", contents="read", metadata="read")
    github.world.add_token("blind", ACTIONS_BOT, metadata="read")
    answers = {
        token: permissions_of(tracker_of(github, token=token))
        for token in ("label", "read", "blind", BOT_TOKEN)
    }
    assert answers == {
        "label": Permissions(read_issues=True, write_labels=True, read_contents=True),
        "read": Permissions(read_issues=True, write_labels=False, read_contents=True),
        "blind": Permissions(read_issues=False, write_labels=False, read_contents=False),
        BOT_TOKEN: Permissions(read_issues=True, write_labels=True, read_contents=True),
    }
    assert not [str(request) for request in github.requests if request.writes]


def test_issues_are_changed_together_and_a_failure_is_that_of_its_issue(
    github: FakeGitHub, demo: Repository
) -> None:
    """The others count as done; a label that is gone need not be removed."""
    issues = [demo.add_issue(f"Issue {n}", labels=["question"]) for n in range(4)]
    bug, docs, question = (demo.labels[name].node_id for name in ("bug", "docs", "question"))
    demo.delete_label("docs")
    issues[1].delete()
    changes = [
        IssueChange(issues[0].node_id, add=(bug,), remove=(question, docs), comment="Hello"),
        IssueChange(issues[1].node_id, add=(bug,)),
        IssueChange(issues[2].node_id, add=(docs, bug)),
        IssueChange(issues[3].node_id, remove=(question,)),
    ]
    failures = tracker_of(github).change(changes)
    assert [type(failure) for failure in failures] == [type(None), IssueGone, LabelGone, type(None)]
    assert [issue.label_names for issue in issues] == [["bug"], ["question"], ["question"], []]
    assert [comment.body for comment in issues[0].comments] == ["Hello"]
    assert len(github.requests) == 1


def test_what_is_too_much_at_once_is_sent_one_by_one(github: FakeGitHub, demo: Repository) -> None:
    """GitHub gives up a request after ten seconds."""
    issues = [demo.add_issue(f"Issue {n}") for n in range(3)]
    together = Answer(Reply(200, {"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "Too much"}]}))
    github.faults.add(together, operation="mutation addLabelsToLabelable,addLabelsToLabelable")
    bug = demo.labels["bug"].node_id
    failures = tracker_of(github).change([IssueChange(issue.node_id, add=(bug,)) for issue in issues])
    assert (failures, [issue.label_names for issue in issues]) == ([None] * 3, [["bug"]] * 3)


def test_a_part_that_fails_for_a_moment_is_sent_again(github: FakeGitHub, demo: Repository) -> None:
    """With the others, which are not changed twice."""
    issues = [demo.add_issue(f"Issue {n}") for n in range(2)]
    moment: list[dict[str, Json]] = [{"message": "Something went wrong", "path": ["a1"]}]
    github.faults.add(Partial(moment, [["a1"]]), operation="mutation")
    bug = demo.labels["bug"].node_id
    failures = tracker_of(github).change([IssueChange(issue.node_id, add=(bug,)) for issue in issues])
    assert failures == [None, None]
    assert [issue.label_events for issue in issues] == [[("labeled", "bug", ACTIONS_BOT)]] * 2
    assert len(github.requests) == 2


def test_a_part_that_keeps_failing_leaves_the_others_done(github: FakeGitHub, demo: Repository) -> None:
    """It is the failure of its issue."""
    issues = [demo.add_issue(f"Issue {n}") for n in range(2)]
    moment: list[dict[str, Json]] = [{"message": "Something went wrong", "path": ["a1"]}]
    github.faults.add(Partial(moment, [["a1"]]), operation="mutation", times=None)
    bug = demo.labels["bug"].node_id
    failures = tracker_of(github).change([IssueChange(issue.node_id, add=(bug,)) for issue in issues])
    assert [type(failure) for failure in failures] == [type(None), Overloaded]
