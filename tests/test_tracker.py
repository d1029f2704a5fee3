"""Reading the repository, its labels and issues through the tracker, against the fake GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fake_github.faults import Hook, Partial, outage
from tests.fake_github.fixtures import DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Request
from tests.tracking import HOSTILE, tracker_of
from triage.errors import AccessError
from triage.github import graphql
from triage.github.client import PAGE
from triage.github.errors import IssueGone, NotFound, Overloaded, Rejected
from triage.github.graphql import Actor, IssueFilter, Label, LiveIssue, Page
from triage.github.graphql import Repository as Place
from triage.issue import Issue, LabelEvent, TextBeforeEdit, TextEdit

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def found(pages: Iterable[Page]) -> list[int]:
    return [live.issue.number for page in pages for live in page.items]


def test_the_repository_tells_its_id_and_who_can_see_it(github: FakeGitHub, demo: Repository) -> None:
    """The repository is known by GitHub's own spelling of its name, with node id and visibility."""
    assert tracker_of(github, repo="Octo/DEMO").repository == Place(DEMO, demo.node_id, "public", "main")


@pytest.mark.parametrize(
    ("login", "is_bot"), [(ACTIONS_BOT, True), ("my-app[bot]", True), ("a-person", False)]
)
def test_the_viewer_is_whoever_the_token_is(github: FakeGitHub, login: str, is_bot: bool) -> None:
    """A workflow's token, an App's and a person's are told apart."""
    github.world.add_token("theirs", login, issues="read")
    assert tracker_of(github, token="theirs").viewer() == Actor(login, is_bot)


def test_all_labels_are_listed_whatever_they_are_called(github: FakeGitHub, demo: Repository) -> None:
    """More labels than a page holds, and names with every sign that means something somewhere."""
    names = [f"label {n}" for n in range(120)] + HOSTILE
    ids = {name: demo.add_label(name, "words").node_id for name in names}
    labels = tracker_of(github).labels()
    assert {name: labels[name] for name in names} == {
        name: Label(ids[name], name, "words", "ededed") for name in names
    }
    assert labels["question"].description == ""
    assert len(labels) == len(names) + 3


def test_an_issue_is_read_with_who_labelled_it_when(github: FakeGitHub, demo: Repository) -> None:
    """An App's login ends in [bot]; the text is the newest."""
    issue = demo.add_issue("Crash", "It crashes", "ann", labels=["question"])
    issue.add_labels(["bug", "docs"], "k8s-ci-robot[bot]")
    issue.remove_labels(["docs"], "maintainer")
    issue.rename("Crash on start", "ann")
    issue.edit("It crashes at once")
    issue.lock("maintainer")
    issue.close("maintainer")
    assert tracker_of(github).issue(1) == LiveIssue(
        issue=Issue(
            repo=DEMO,
            number=1,
            title="Crash on start",
            body="It crashes at once",
            created_at=at(1),
            author="ann",
            labels=("bug", "question"),
            events=(
                LabelEvent("question", True, "ann", False, at(1)),
                LabelEvent("bug", True, "k8s-ci-robot[bot]", True, at(2)),
                LabelEvent("docs", True, "k8s-ci-robot[bot]", True, at(3)),
                LabelEvent("docs", False, "maintainer", False, at(4)),
            ),
        ),
        node_id=issue.node_id,
        state="closed",
        locked=True,
        updated_at=at(8),
    )


def test_an_issue_is_read_with_its_edits(github: FakeGitHub, demo: Repository) -> None:
    """All new titles, and of the body the last edit, or each with the text before where that is asked for."""
    issue = demo.add_issue("Crash", "It crashes", "ann")
    issue.rename("Crash on start", "maintainer")
    issue.edit("It crashes at once")
    issue.edit("It crashes at once.", by="some-app[bot]")
    tracker = tracker_of(github)
    title = TextEdit("maintainer", False, at(2), TextBeforeEdit(title="Crash"))
    last = TextEdit("some-app[bot]", True, at(4))
    assert tracker.issue(1).issue.edits == (title, last)
    assert tracker.issue(1, edits=True).issue.edits == (
        title,
        replace(last, before=TextBeforeEdit(body="It crashes at once")),
        TextEdit("ann", False, at(3), TextBeforeEdit(body="It crashes")),
    )
    assert tracker.issue(1).issue.association == "NONE"


def test_a_pull_request_is_read_like_an_issue(github: FakeGitHub, demo: Repository) -> None:
    """The same fields, marked as a pull request; an account that was deleted is GitHub's ghost."""
    pull = demo.add_issue("Fix", None, None, pull=True)
    live = tracker_of(github).issue(1)
    assert (live.issue.kind, live.node_id, live.issue.author) == ("pull request", pull.node_id, "ghost")
    assert (live.issue.body, live.state) == ("", "open")


def test_every_label_event_is_read_however_many_there_are(github: FakeGitHub, demo: Repository) -> None:
    """An issue whose timeline is longer than a page, read alone and in bulk."""
    issue = demo.add_issue("Contested")
    for _ in range(70):
        issue.add_labels(["bug"], "one")
        issue.remove_labels(["bug"], "other")
    alone = tracker_of(github).issue(1)
    (page,) = tracker_of(github).pages(IssueFilter())
    assert alone.issue.events is not None
    assert [(e.added, e.actor) for e in alone.issue.events] == [(True, "one"), (False, "other")] * 70
    # Only bulk reading asks what maintainers did.
    assert page.items == (replace(alone, issue=replace(alone.issue, handled=False)),)


def test_what_became_of_an_issue_is_told(github: FakeGitHub, demo: Repository) -> None:
    """Deleted, transferred and never there are three different answers, also in a list."""
    there = demo.add_issue("There")
    demo.add_issue("Deleted").delete()
    moved = demo.add_issue("Moved").transfer(github.world.add_repository("octo/other"))
    address = f"{github.url}/octo/other/issues/{moved.number}"
    first, *gone = tracker_of(github).issues([1, 2, 3, 4])
    assert isinstance(first, LiveIssue)
    assert first.node_id == there.node_id
    expected: list[tuple[type, str]] = [
        (
            IssueGone,
            "cannot read issue 2 in octo/demo: This issue was deleted\n"
            "  likely cause: it was deleted\n  next step: nothing to do: the issue is skipped",
        ),
        (
            IssueGone,
            "cannot read issue 3 in octo/demo\n"
            f"  likely cause: it was transferred to {address}\n  next step: nothing to do: the issue is skipped",
        ),
        (
            NotFound,
            "cannot read issue 4 in octo/demo: Not Found\n"
            "  likely cause: it does not exist, or the token cannot see it\n"
            "  next step: check the spelling, and that the token's owner or App can see the repository",
        ),
    ]
    assert [(type(each), str(each)) for each in gone] == expected


def test_an_issue_that_only_rest_finds_is_not_called_gone(github: FakeGitHub, demo: Repository) -> None:
    """GitHub's two ways do not always know of a new issue at the same moment."""
    demo.add_issue("Crash")
    unknown = [{"type": "NOT_FOUND", "message": "Could not resolve to an issue with the number of 1."}]
    github.faults.add(Partial(unknown, [["repository", "issueOrPullRequest"]]), operation="query")
    with pytest.raises(NotFound, match="Could not resolve to an issue with the number of 1") as raised:
        tracker_of(github).issue(1)
    assert not isinstance(raised.value, IssueGone)


def test_issues_come_in_pages_newest_first_and_resume_at_the_cursor(
    github: FakeGitHub, demo: Repository
) -> None:
    """A hundred a page; a reading broken off after the first goes on with the second."""
    for n in range(230):
        demo.add_issue(f"Issue {n}")
    first = next(tracker_of(github).pages(IssueFilter()))
    assert ([live.issue.number for live in first.items], first.more, first.total) == (
        list(range(230, 230 - PAGE, -1)),
        True,
        230,
    )
    rest = list(tracker_of(github).pages(IssueFilter(), first.cursor))
    assert found(rest) == list(range(130, 0, -1))
    assert [page.more for page in rest] == [True, False]


def test_nothing_is_skipped_or_met_twice_while_issues_are_opened_and_deleted(
    github: FakeGitHub, demo: Repository
) -> None:
    """The list changes between two pages."""
    issues = [demo.add_issue(f"Issue {n}") for n in range(12)]

    def change(_: Request) -> None:
        demo.add_issue("Opened meanwhile")
        issues[11].delete()
        issues[0].delete()
        issues[5].add_labels(["bug"], "someone")

    github.faults.add(Hook(change), operation="query repository", skip=1)
    assert found(tracker_of(github).pages(IssueFilter(), size=5)) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (IssueFilter(), [4, 3, 2, 1]),
        (IssueFilter(state="open"), [4, 3, 1]),
        (IssueFilter(state="closed"), [2]),
        (IssueFilter(labels=("area: x, y",)), [3, 1]),
        (IssueFilter(since=at(200)), [4, 3, 2]),
        (IssueFilter(since=at(200), until=at(400)), [3, 2]),
        (IssueFilter(updated_since=at(600)), [1]),
        (IssueFilter(kind="pull request"), [6, 5]),
        (IssueFilter(kind="pull request", state="closed"), [6]),
        (IssueFilter(kind="pull request", updated_since=at(600)), [6]),
        (IssueFilter(kind="pull request", labels=("area: x, y",)), [5]),
    ],
)
def test_a_filter_finds_what_it_names(
    github: FakeGitHub, demo: Repository, wanted: IssueFilter, numbers: list[int]
) -> None:
    """By state, label, when opened and when changed; pull requests only where they are wanted."""
    demo.add_label("area: x, y")
    marks = {1: ["area: x, y"], 3: ["area: x, y"], 5: ["area: x, y"]}
    for n in range(1, 7):
        demo.add_issue("Any", labels=marks.get(n, []), at=at(n * 100), pull=n in (5, 6))
    demo.issues[2].close("someone", at=at(210))
    demo.issues[1].rename("Other", "someone", at=at(650))
    demo.issues[6].close("someone", at=at(660))
    assert found(tracker_of(github).pages(wanted, size=2)) == numbers


def test_a_page_that_is_too_much_for_github_is_asked_for_in_smaller_ones(
    github: FakeGitHub, demo: Repository
) -> None:
    """A gateway that gives up on large pages costs time, not issues; a small one it must answer."""
    for n in range(30):
        demo.add_issue(f"Issue {n}")

    github.faults.add(outage(502), times=None, when=lambda request: "'first': 40" in str(request.body))
    assert found(tracker_of(github).pages(IssueFilter(), size=40)) == list(range(30, 0, -1))
    github.faults.add(outage(502), times=None, operation="query")
    with pytest.raises(Overloaded):
        next(tracker_of(github).pages(IssueFilter()))


def test_a_cursor_that_github_does_not_know_is_an_error(github: FakeGitHub, demo: Repository) -> None:
    """A resumed reading never starts over silently."""
    demo.add_issue("Crash")
    with pytest.raises(Rejected, match="`nonsense` does not appear to be a valid cursor"):
        next(tracker_of(github).pages(IssueFilter(), "nonsense"))


def test_a_half_answer_is_no_answer(github: FakeGitHub, demo: Repository) -> None:
    """A page with a hole in it is read again; a hole that may not be seen is an error."""
    for n in range(3):
        demo.add_issue(f"Issue {n}")
    hole = Partial([{"message": "Something went wrong"}], [["repository", "page", "nodes", 1]])
    github.faults.add(hole, operation="query repository")
    assert found(tracker_of(github).pages(IssueFilter())) == [3, 2, 1]
    github.faults.add(
        replace(hole, errors=[{"type": "FORBIDDEN", "message": "Resource protected by organization SAML"}]),
        operation="query repository",
    )
    with pytest.raises(AccessError, match="cannot list issues in octo/demo: Resource protected by"):
        found(tracker_of(github).pages(IssueFilter()))


def test_an_issue_number_above_32_bits_is_missing_without_a_request(
    github: FakeGitHub, demo: Repository
) -> None:
    """GitHub answers it with an error that reads like a limit; plans, journals and events may hold one."""
    tracker = tracker_of(github)
    before = len(github.requests)
    with pytest.raises(NotFound, match="cannot read issue 2147483648 in octo/demo: there is none"):
        tracker.issue(2**31)
    assert len(github.requests) == before


def test_an_operation_or_fragment_has_a_name_of_its_own() -> None:
    """They are found by it, so that a second one would hide the first."""
    text = (Path(graphql.__file__).with_name("documents.graphql")).read_text("utf-8")
    names = re.findall(r"(?m)^(?:query|mutation|fragment) (\w+)", text)
    assert len(names) == len({*names})
