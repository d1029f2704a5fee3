"""Labels and comments set through the tracker, against the fake GitHub; states are asserted, not calls."""

from __future__ import annotations

import pytest

from tests.fake_github.faults import Drop, error, outage
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.tracking import HOSTILE, add_labels, remove_label, tracker_of
from triage.github.client import Permissions
from triage.github.errors import IssueGone, LabelGone, Rejected


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
        issue.comment(f"<!-- triage -->\nquoted {n}", "someone")
    others = [comment.body for comment in issue.comments]
    if fault:
        github.faults.add(fault, operation="mutation addComment")
    tracker = tracker_of(github)
    tracker.put_comment(issue.node_id, "triage", lambda _: "<!-- triage -->\nfirst")
    tracker.put_comment(issue.node_id, "triage", lambda _: "<!-- triage -->\nsecond")
    tracker.put_comment(issue.node_id, "triage", lambda _: "<!-- triage -->\nsecond")
    assert [comment.body for comment in issue.comments] == [*others, "<!-- triage -->\nsecond"]
    assert github.log.count("mutation updateIssueComment") == 1


def test_permissions_are_found_out_without_writing(github: FakeGitHub, demo: Repository) -> None:
    """A workflow's token as recommended, one that may do nothing, and one that may do all."""
    demo.add_issue("Crash")
    demo.private = True
    github.world.add_token("label", ACTIONS_BOT, issues="write", contents="read", metadata="read")
    github.world.add_token("read", ACTIONS_BOT, issues="read", contents="read", metadata="read")
    github.world.add_token("blind", ACTIONS_BOT, metadata="read")
    answers = {
        token: tracker_of(github, token=token).permissions()
        for token in ("label", "read", "blind", BOT_TOKEN)
    }
    assert answers == {
        "label": Permissions(read_issues=True, write_labels=True, read_contents=True, write_contents=False),
        "read": Permissions(read_issues=True, write_labels=False, read_contents=True, write_contents=False),
        "blind": Permissions(
            read_issues=False, write_labels=False, read_contents=False, write_contents=False
        ),
        BOT_TOKEN: Permissions(read_issues=True, write_labels=True, read_contents=True, write_contents=True),
    }
    assert not [str(request) for request in github.requests if request.writes]
