"""The fake GitHub keeps GitHub's habits with issues and labels, seen through the real PyGithub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from github import GithubException, UnknownObjectException
from graphql import parse

from tests.fake_github.allowance import points
from tests.fake_github.asking import ADD, PAGE, add, ask
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT as BOT


def test_an_issue_is_read_with_its_labels_and_author(github: FakeGitHub, demo: Repository) -> None:
    """An issue comes with number, title, state, labels and author."""
    demo.add_issue("Crash", "It crashes", "ann", labels=["bug"])
    issue = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    assert (issue.number, issue.title, issue.state, issue.user.login) == (1, "Crash", "open", "ann")
    assert [label.name for label in issue.labels] == ["bug"]
    assert github.log == ["GET /repos/octo/demo", "GET /repos/octo/demo/issues/1"]


def test_dotcom_style_addresses_are_served_too(github: FakeGitHub, demo: Repository) -> None:
    """Without `/api/v3` REST lies at the root and GraphQL at /graphql."""
    issue = demo.add_issue("Crash")
    client = github.client(BOT_TOKEN, base_url=github.server_url)
    assert client.get_repo(DEMO).get_issue(1).title == "Crash"
    client.requester.graphql_query(ADD, {"issue": issue.node_id, "labels": [demo.labels["bug"].node_id]})
    assert issue.label_names == ["bug"]


def test_labels_come_page_by_page(github: FakeGitHub, demo: Repository) -> None:
    """More than one page of labels is followed to its end."""
    for number in range(70):
        demo.add_label(f"area/{number}")
    names = [label.name for label in github.client(BOT_TOKEN).get_repo(DEMO).get_labels()]
    assert names == [label.name for label in demo.labels.values()]
    pages = [request.query.get("page") for request in github.requests if request.path.endswith("/labels")]
    assert pages == [None, "2", "3"]


def test_a_label_is_found_by_its_address_whatever_its_name(github: FakeGitHub, demo: Repository) -> None:
    """Slashes, spaces, commas and emoji in a label's name survive the way through its URL."""
    demo.add_label("area/a, b: 🐛")
    repo = github.client(BOT_TOKEN).get_repo(DEMO)
    assert repo.get_label("area/a, b: 🐛").name == "area/a, b: 🐛"
    answer = repo.requester.requestJsonAndCheck("GET", repo.get_label("area/a, b: 🐛").url)
    assert answer[1]["name"] == "area/a, b: 🐛"


def test_rest_creates_a_label_that_does_not_exist(github: FakeGitHub, demo: Repository) -> None:
    """POST labels makes up a missing label, and finds an existing one whatever its case."""
    issue = demo.add_issue("Crash")
    github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1).add_to_labels("BUG", "invented")
    assert issue.label_names == ["bug", "invented"]
    assert demo.labels["invented"].color == "ededed"
    assert issue.label_events == [("labeled", "bug", BOT), ("labeled", "invented", BOT)]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_empty_list_removes_every_label(github: FakeGitHub, demo: Repository, method: str) -> None:
    """POST and PUT with an empty list leave the issue without labels, which no client here should ask."""
    issue = demo.add_issue("Crash", author="ann", labels=["bug", "docs"])
    client = github.client(BOT_TOKEN)
    client.requester.requestJsonAndCheck(method, f"/repos/{DEMO}/issues/1/labels", input=[])
    assert issue.label_names == []
    assert issue.label_events[2:] == [("unlabeled", "bug", BOT), ("unlabeled", "docs", BOT)]
    assert len(github.violations) == 1
    github.violations.clear()


def test_labels_are_set_and_removed_one_by_one(github: FakeGitHub, demo: Repository) -> None:
    """PUT replaces the set, DELETE takes one label away and answers 404 the second time."""
    issue = demo.add_issue("Crash", author="ann", labels=["bug"])
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    seen.set_labels("docs", "question")
    seen.remove_from_labels("docs")
    assert issue.label_names == ["question"]
    with pytest.raises(GithubException, match="Label does not exist: 404"):
        seen.remove_from_labels("docs")


def test_graphql_adds_labels_by_id_once(github: FakeGitHub, demo: Repository) -> None:
    """A label added twice by id leaves one event, in the name of the token's actor."""
    issue = demo.add_issue("Crash")
    for _ in range(2):
        add(github, issue.node_id, demo.labels["bug"].node_id)
    assert issue.label_events == [("labeled", "bug", BOT)]
    assert github.log == ["mutation addLabelsToLabelable"] * 2


def test_graphql_refuses_an_unknown_label(github: FakeGitHub, demo: Repository) -> None:
    """An id that names nothing is NOT_FOUND and changes nothing, the known ids beside it included."""
    issue = demo.add_issue("Crash")
    with pytest.raises(UnknownObjectException) as caught:
        add(github, issue.node_id, demo.labels["bug"].node_id, "LA_0")
    assert caught.value.data == {
        "data": {"addLabelsToLabelable": None},
        "errors": [
            {
                "message": "Could not resolve to a node with the global id of 'LA_0'",
                "locations": [{"line": 2, "column": 3}],
                "path": ["addLabelsToLabelable"],
                "type": "NOT_FOUND",
            }
        ],
    }
    assert issue.label_events == []


def test_a_locked_issue_can_be_labelled(github: FakeGitHub, demo: Repository) -> None:
    """Locking a conversation stops no one with write access from labelling."""
    issue = demo.add_issue("Crash")
    issue.lock("ann")
    add(github, issue.node_id, demo.labels["bug"].node_id)
    assert issue.label_names == ["bug"]


def test_events_say_who_did_what(github: FakeGitHub, demo: Repository) -> None:
    """Events and timeline carry the actor, its type, the app and the moment of the server's clock."""
    issue = demo.add_issue("Crash")
    github.world.clock.set(datetime(2026, 3, 1, tzinfo=UTC))
    issue.add_labels(["bug"], "ann")
    add(github, issue.node_id, demo.labels["docs"].node_id)
    issue.remove_labels(["docs"], "bob", app="some-app")
    issue.rename("Crash at start", "ann")
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    events = [(e.event, e.label and e.label.name, e.actor.login, e.actor.type) for e in seen.get_events()]
    assert events == [
        ("labeled", "bug", "ann", "User"),
        ("labeled", "docs", BOT, "Bot"),
        ("unlabeled", "docs", "bob", "User"),
        ("renamed", None, "ann", "User"),
    ]
    raw = [entry.raw_data for entry in seen.get_timeline()]
    assert raw[0]["created_at"] == "2026-03-01T00:00:01Z"
    assert [
        entry["performed_via_github_app"] and entry["performed_via_github_app"]["slug"] for entry in raw
    ] == [
        None,
        None,
        "some-app",
        None,
    ]
    assert raw[3]["rename"] == {"from": "Crash", "to": "Crash at start"}


def test_issues_come_by_graphql_with_events_and_edits(github: FakeGitHub, demo: Repository) -> None:
    """A bulk query carries labels, label events with actors (an app without `[bot]`), renames and edits."""
    issue = demo.add_issue("Crash", "It crashes", "ann")
    add(github, issue.node_id, demo.labels["bug"].node_id)
    issue.rename("Crash at start", "ann")
    issue.edit("It crashes at start")
    data = ask(github, PAGE, owner="octo", name="demo")["data"]
    node = data["repository"]["issues"]["nodes"][0]
    assert node["author"] == {"login": "ann", "__typename": "User"}
    assert node["userContentEdits"]["totalCount"] == 2
    labeled, renamed = node["timelineItems"]["nodes"]
    assert labeled["actor"] == {"login": "github-actions", "__typename": "Bot"}
    assert labeled["label"] == {"id": demo.labels["bug"].node_id, "name": "bug"}
    assert (renamed["previousTitle"], renamed["currentTitle"]) == ("Crash", "Crash at start")


def test_a_list_may_change_while_it_is_paged(github: FakeGitHub, demo: Repository) -> None:
    """A cursor is a place in the order: an issue that moves to the end is met again, none is lost."""
    issues = [demo.add_issue(f"Issue {number}") for number in range(1, 6)]
    seen, after = [], None
    while True:
        page = ask(github, PAGE, owner="octo", name="demo", after=after)["data"]["repository"]["issues"]
        seen += [node["number"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if len(seen) == 2:
            issues[0].edit("changed")
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [1, 2, 3, 4, 5, 1]


def test_issues_are_filtered_since_a_moment(github: FakeGitHub, demo: Repository) -> None:
    """`since` means changed since, by REST and by GraphQL; pull requests are issues to REST alone."""
    old, _, pull = (demo.add_issue(title, pull=title == "Pull") for title in ("Old", "New", "Pull"))
    cut = pull.updated_at
    old.edit("changed")
    found = github.client(BOT_TOKEN).get_repo(DEMO).get_issues(state="all", since=cut, sort="updated")
    assert [(issue.title, issue.pull_request is not None) for issue in found] == [
        ("Old", False),
        ("Pull", True),
    ]
    query = """query($since: DateTime) { repository(owner: "octo", name: "demo") {
      issues(first: 10, filterBy: {since: $since}) { nodes { title } }
      pullRequests(first: 10) { nodes { title } } } }"""
    data = ask(github, query, since=cut.isoformat())["data"]["repository"]
    assert data == {"issues": {"nodes": [{"title": "Old"}]}, "pullRequests": {"nodes": [{"title": "Pull"}]}}


def test_a_deleted_issue_is_gone(github: FakeGitHub, demo: Repository) -> None:
    """REST says 410, GraphQL NOT_FOUND."""
    issue = demo.add_issue("Crash")
    issue.delete()
    with pytest.raises(GithubException) as caught:
        github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    assert (caught.value.status, caught.value.message) == (410, "This issue was deleted")
    with pytest.raises(UnknownObjectException):
        add(github, issue.node_id, demo.labels["bug"].node_id)


def test_a_transferred_issue_redirects(github: FakeGitHub, demo: Repository) -> None:
    """The old number leads to the new place, reading and writing alike."""
    other = github.world.add_repository("octo/other")
    other.add_label("bug")
    moved = demo.add_issue("Crash").transfer(other)
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    assert seen.raw_data["repository_url"].endswith("/repos/octo/other")
    github.client(BOT_TOKEN).requester.requestJsonAndCheck(
        "POST", f"/repos/{DEMO}/issues/1/labels", input={"labels": ["bug"]}
    )
    assert moved.label_names == ["bug"]


def test_a_renamed_repository_redirects(github: FakeGitHub, demo: Repository) -> None:
    """The former name still leads to the repository."""
    demo.add_issue("Crash")
    github.world.rename_repository(demo, "octo/renamed")
    assert github.client(BOT_TOKEN).get_repo(DEMO).full_name == "octo/renamed"


def test_renaming_and_deleting_labels_leaves_no_trace(github: FakeGitHub, demo: Repository) -> None:
    """Neither changes `updated_at`; a renamed label keeps its id, a deleted one is gone from its issues."""
    issue = demo.add_issue("Crash", labels=["bug", "docs"])
    before, label_id = issue.updated_at, demo.labels["bug"].node_id
    demo.rename_label("bug", "defect")
    demo.delete_label("docs")
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    assert [(label.name, label.raw_data["node_id"]) for label in seen.labels] == [("defect", label_id)]
    assert issue.updated_at == before


def test_comments_are_written_and_rewritten(github: FakeGitHub, demo: Repository) -> None:
    """A comment can be added and edited, by REST and by GraphQL."""
    issue = demo.add_issue("Crash")
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    seen.create_comment("first").edit("second")
    assert [(comment.body, comment.author.login) for comment in issue.comments] == [("second", BOT)]
    update = """mutation($id: ID!) { updateIssueComment(input: {id: $id, body: "third"}) {
      issueComment { body viewerDidAuthor } } }"""
    ask(github, update, id=issue.comments[0].node_id)
    assert [comment.body for comment in seen.get_comments()] == ["third"]


def test_points_are_reckoned_as_github_explains_it() -> None:
    """The example of its documentation: 1 + 100 + 100 * 50 requests, and a point for a hundred."""
    document = parse(
        "query($n: Int!) { viewer { repositories(first: 100) { edges { repository: node { issues(first: $n) {"
        " edges { node { labels(last: 60) { nodes { name } } } } } } } } } }"
    )
    assert points(document, {"n": 50}) == 51
    assert points(parse("{ viewer { login } }"), {}) == 1


def test_points_come_back_when_their_hour_is_over(github: FakeGitHub) -> None:
    """By the server's clock; they are told with every answer and by GraphQL itself."""
    github.points.remaining = 7
    told = ask(github, "{ rateLimit { cost remaining limit } }")["data"]["rateLimit"]
    assert told == {"cost": 1, "remaining": 6, "limit": 5000}
    github.world.clock.set(github.world.clock.now + timedelta(hours=1))
    assert ask(github, "{ rateLimit { remaining } }")["data"]["rateLimit"] == {"remaining": 4999}
