"""Reading and labelling through the tracker, against the fake GitHub; states are asserted, not calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_github.faults import Drop, Hook, Partial, outage
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Request
from tests.tracking import tracker_of
from triage.errors import AccessError
from triage.issue import Issue, LabelEvent
from triage.world.live import Actor, Filter, Label, LiveIssue
from triage.world.live import Repository as Place
from triage.world.reader import PAGE
from triage.world.refusals import IssueGone, LabelGone, NotFound, Overloaded, Rejected
from triage.world.tracker import Permissions

HOSTILE = [
    "a,b",
    "area: x",
    "🐛 bug",
    "-rf",
    "--force",
    'it\'s "quoted"',
    "$(id) `id` ${{x}}",
    "::set-output::",
]
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def found(tracker_pages: object) -> list[int]:
    return [live.issue.number for page in tracker_pages for live in page.items]  # type: ignore[attr-defined] # any iterable of pages


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
    assert {name: labels[name] for name in names} == {name: Label(ids[name], name, "words") for name in names}
    assert labels["question"].description == ""
    assert len(labels) == len(names) + 3


def test_an_issue_is_read_with_who_labelled_it_when(github: FakeGitHub, demo: Repository) -> None:
    """Apps' logins end in [bot]; a title and a body that were changed count as two edits."""
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
        text_edits=2,
    )


def test_a_pull_request_is_read_like_an_issue(github: FakeGitHub, demo: Repository) -> None:
    """The same fields, marked as a pull request; an account that was deleted is GitHub's ghost."""
    pull = demo.add_issue("Fix", None, None, pull=True)
    live = tracker_of(github).issue(1)
    assert (live.is_pull_request, live.node_id, live.issue.author) == (True, pull.node_id, "ghost")
    assert (live.issue.body, live.state, live.text_edits) == ("", "open", 0)


def test_every_label_event_is_read_however_many_there_are(github: FakeGitHub, demo: Repository) -> None:
    """An issue whose timeline is longer than a page, read alone and in bulk."""
    issue = demo.add_issue("Contested")
    for _ in range(70):
        issue.add_labels(["bug"], "one")
        issue.rename("Still contested", "one")
        issue.remove_labels(["bug"], "other")
    alone = tracker_of(github).issue(1)
    (page,) = tracker_of(github).pages(Filter())
    assert alone.issue.events is not None
    assert [(e.added, e.actor) for e in alone.issue.events] == [(True, "one"), (False, "other")] * 70
    assert alone.text_edits == 70
    assert page.items == (alone,)


def test_what_became_of_an_issue_is_told(github: FakeGitHub, demo: Repository) -> None:
    """Deleted, transferred and never there are three different answers, also in a list."""
    there = demo.add_issue("There")
    demo.add_issue("Deleted").delete()
    moved = demo.add_issue("Moved").transfer(github.world.add_repository("octo/other"))
    address = f"{github.url}/octo/other/issues/{moved.number}"
    first, *gone = tracker_of(github).issues([1, 2, 3, 4])
    assert isinstance(first, LiveIssue)
    assert first.node_id == there.node_id
    assert [(type(each), str(each)) for each in gone] == [
        (
            IssueGone,
            "cannot read issue 2 in octo/demo: This issue was deleted\n"
            "  likely cause: it was deleted\n  next step: nothing to do: it is left out",
        ),
        (
            IssueGone,
            "cannot read issue 3 in octo/demo\n"
            f"  likely cause: it was transferred to {address}\n  next step: nothing to do: it is left out",
        ),
        (
            NotFound,
            "cannot read issue 4 in octo/demo: Not Found\n"
            "  likely cause: it does not exist, or the token may not see it\n"
            "  next step: check the spelling, and that the token's owner or App may see the repository",
        ),
    ]


def test_issues_come_in_pages_newest_first_and_resume_at_the_cursor(
    github: FakeGitHub, demo: Repository
) -> None:
    """A hundred a page; a reading broken off after the first goes on with the second."""
    for n in range(230):
        demo.add_issue(f"Issue {n}")
    first = next(tracker_of(github).pages(Filter()))
    assert ([live.issue.number for live in first.items], first.more, first.total) == (
        list(range(230, 230 - PAGE, -1)),
        True,
        230,
    )
    rest = list(tracker_of(github).pages(Filter(), first.cursor))
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
    assert found(tracker_of(github).pages(Filter(), size=5)) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(), [4, 3, 2, 1]),
        (Filter(state="open"), [4, 3, 1]),
        (Filter(state="closed"), [2]),
        (Filter(labels=("area: x, y",)), [3, 1]),
        (Filter(since=at(200)), [4, 3, 2]),
        (Filter(since=at(200), until=at(400)), [3, 2]),
        (Filter(updated_since=at(600)), [1]),
        (Filter(pull_requests=True), [6, 5]),
        (Filter(pull_requests=True, state="closed"), [6]),
        (Filter(pull_requests=True, updated_since=at(600)), [6]),
        (Filter(pull_requests=True, labels=("area: x, y",)), [5]),
    ],
)
def test_a_filter_finds_what_it_names(
    github: FakeGitHub, demo: Repository, wanted: Filter, numbers: list[int]
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

    def large(request: Request) -> bool:
        body = request.body
        variables = body["variables"] if isinstance(body, dict) else None
        return (
            isinstance(variables, dict)
            and isinstance(variables.get("first"), int)
            and variables["first"] > 20
        )  # type: ignore[operator] # an int by the line above

    github.faults.add(outage(502), times=None, when=large)
    assert found(tracker_of(github).pages(Filter(), size=40)) == list(range(30, 0, -1))
    github.faults.add(outage(502), times=None, operation="query")
    with pytest.raises(Overloaded):
        next(tracker_of(github).pages(Filter()))


def test_a_cursor_that_github_does_not_know_is_an_error(github: FakeGitHub, demo: Repository) -> None:
    """A resumed reading never starts over silently."""
    demo.add_issue("Crash")
    with pytest.raises(Rejected, match="`nonsense` does not appear to be a valid cursor"):
        next(tracker_of(github).pages(Filter(), "nonsense"))


def test_labels_are_added_by_id_beside_those_that_are_there(github: FakeGitHub, demo: Repository) -> None:
    """Hostile names among them; adding again changes nothing, no label is created or taken away."""
    for name in HOSTILE:
        demo.add_label(name)
    issue = demo.add_issue("Crash", labels=["question"])
    tracker = tracker_of(github)
    labels = tracker.labels()
    for _ in range(2):
        tracker.add_labels(issue.node_id, [labels[name].id for name in ("bug", *HOSTILE)])
    assert issue.label_names == ["question", "bug", *HOSTILE]
    assert issue.label_events[1:] == [("labeled", name, ACTIONS_BOT) for name in ("bug", *HOSTILE)]
    assert len(demo.labels) == 3 + len(HOSTILE)


def test_a_request_without_labels_is_never_sent(github: FakeGitHub, demo: Repository) -> None:
    """An empty list means "remove all" elsewhere in GitHub's API."""
    issue = demo.add_issue("Crash", labels=["bug"])
    with pytest.raises(ValueError, match="a request to set no labels must not be sent"):
        tracker_of(github).add_labels(issue.node_id, [])
    assert (issue.label_names, github.requests) == (["bug"], [])


def test_one_label_is_taken_away_and_no_other(github: FakeGitHub, demo: Repository) -> None:
    """Taking away what is gone already changes nothing."""
    issue = demo.add_issue("Crash", labels=["bug", "docs"])
    tracker = tracker_of(github)
    for _ in range(2):
        tracker.remove_label(issue.node_id, tracker.labels()["docs"].id)
    assert issue.label_names == ["bug"]
    assert issue.label_events[-1] == ("unlabeled", "docs", ACTIONS_BOT)


@pytest.mark.parametrize("kind", [Drop("before"), Drop("after"), outage(502, "after")])
def test_labelling_survives_a_lost_answer(github: FakeGitHub, demo: Repository, kind: Drop) -> None:
    """Sent again whether or not it was carried out, each label is set once."""
    issue = demo.add_issue("Crash")
    github.faults.add(kind, operation="mutation")
    tracker_of(github).add_labels(issue.node_id, [demo.labels["bug"].node_id])
    assert issue.label_events == [("labeled", "bug", ACTIONS_BOT)]


def test_a_label_or_an_issue_that_went_meanwhile_is_told_apart(github: FakeGitHub, demo: Repository) -> None:
    """Nothing else is set then."""
    issue, label, other = demo.add_issue("Crash"), demo.labels["bug"], demo.labels["docs"]
    demo.delete_label("bug")
    with pytest.raises(LabelGone):
        tracker_of(github).add_labels(issue.node_id, [other.node_id, label.node_id])
    assert issue.label_names == []
    issue.delete()
    with pytest.raises(IssueGone):
        tracker_of(github).add_labels(issue.node_id, [other.node_id])


def test_a_label_is_created_once(github: FakeGitHub, demo: Repository) -> None:
    """One that is there already, in whatever case, is left as it is."""
    tracker = tracker_of(github)
    made = tracker.create_label("needs-triage", "d93f0b", "For a person to look at")
    assert made == tracker.labels()["needs-triage"]
    assert (demo.labels["needs-triage"].color, made.description) == ("d93f0b", "For a person to look at")
    assert tracker.create_label("BUG", "000000", "other").description == "Something is broken"
    assert [label.name for label in demo.labels.values()] == ["bug", "docs", "question", "needs-triage"]


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
    tracker.put_comment(issue.node_id, "triage", "first")
    tracker.put_comment(issue.node_id, "triage", "second")
    tracker.put_comment(issue.node_id, "triage", "second")
    assert [comment.body for comment in issue.comments] == [*others, "<!-- triage -->\nsecond"]
    assert github.log.count("mutation updateIssueComment") == 1


def test_permissions_are_found_out_without_writing(github: FakeGitHub, demo: Repository) -> None:
    """A workflow's token as recommended, one that may do nothing, and one that may do all."""
    demo.add_issue("Crash")
    demo.private = True
    github.world.add_token("label", ACTIONS_BOT, issues="write", contents="read", metadata="read")
    github.world.add_token("blind", ACTIONS_BOT, metadata="read")
    answers = {
        token: tracker_of(github, token=token).permissions() for token in ("label", "blind", BOT_TOKEN)
    }
    assert answers == {
        "label": Permissions(read_issues=True, write_labels=True, read_contents=True, write_contents=False),
        "blind": Permissions(
            read_issues=False, write_labels=False, read_contents=False, write_contents=False
        ),
        BOT_TOKEN: Permissions(read_issues=True, write_labels=True, read_contents=True, write_contents=True),
    }
    assert not [str(request) for request in github.requests if request.writes]


def test_a_half_answer_is_no_answer(github: FakeGitHub, demo: Repository) -> None:
    """A page with a hole in it is read again; a hole that may not be seen is an error."""
    for n in range(3):
        demo.add_issue(f"Issue {n}")
    hole = Partial([{"message": "Something went wrong"}], [["repository", "found", "nodes", 1]])
    github.faults.add(hole, operation="query repository")
    assert found(tracker_of(github).pages(Filter())) == [3, 2, 1]
    github.faults.add(
        replace(hole, errors=[{"type": "FORBIDDEN", "message": "Resource protected by organization SAML"}]),
        operation="query repository",
    )
    with pytest.raises(AccessError, match="cannot list issues in octo/demo: Resource protected by"):
        found(tracker_of(github).pages(Filter()))
