"""The fake GitHub lets tokens do what they may, and notes what GitHub does not publish."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import requests
from github import BadCredentialsException, Github, GithubException, UnknownObjectException

from tests.fake_github.asking import PAGE, add, ask
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.graphql import GraphQL
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT as BOT
from tests.fake_github.validate import OpenApi


def test_tokens_do_only_what_they_may(github: FakeGitHub, demo: Repository) -> None:
    """A wrong token is 401, a missing permission 403 by REST and FORBIDDEN by GraphQL, nothing changes."""
    issue = demo.add_issue("Crash")
    github.world.add_token("reader", BOT, issues="read", contents="read")
    with pytest.raises(BadCredentialsException):
        github.client("nonsense").get_repo(DEMO)
    with pytest.raises(GithubException) as rest:
        github.client("reader").get_repo(DEMO).get_issue(1).add_to_labels("bug")
    assert (rest.value.status, rest.value.message) == (403, "Resource not accessible by integration")
    with pytest.raises(GithubException) as graphql:
        add(github, issue.node_id, demo.labels["bug"].node_id, token="reader")
    assert graphql.value.data["errors"][0]["type"] == "FORBIDDEN"
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        github.client("reader").get_repo(DEMO).create_git_blob("text", "utf-8")
    assert (issue.label_events, demo.git.blobs) == ([], {})


def test_a_private_repository_hides_from_other_tokens(github: FakeGitHub) -> None:
    """Out of a token's reach it is 404 by REST and NOT_FOUND by GraphQL."""
    github.world.add_repository("octo/secret", private=True)
    github.world.add_token("elsewhere", BOT, repositories=frozenset({DEMO}), issues="write")
    with pytest.raises(UnknownObjectException, match="Not Found"):
        github.client("elsewhere").get_repo("octo/secret")
    with pytest.raises(UnknownObjectException, match="Could not resolve to a Repository"):
        ask(github, PAGE, "elsewhere", owner="octo", name="secret")


def test_who_one_is_depends_on_the_token(github: FakeGitHub) -> None:
    """An app has no GET /user, but is GraphQL's viewer; a person is both."""
    github.world.add_token("person", "ann", issues="write")
    with pytest.raises(GithubException, match="Resource not accessible by integration"):
        github.client(BOT_TOKEN).get_user().login  # noqa: B018 - the attribute is what asks
    assert github.client("person").get_user().login == "ann"
    viewer = ask(github, "{ viewer { login databaseId } rateLimit { cost remaining limit resetAt } }")
    assert viewer["data"]["viewer"] == {"login": BOT, "databaseId": 41898282}
    assert github.client(BOT_TOKEN).get_rate_limit().rate.limit == 5000


@pytest.mark.parametrize(
    ("send", "violation"),
    [
        (
            lambda client: client.requester.requestJson("GET", f"/repos/{DEMO}/labels?size=3"),
            f"GET /repos/{DEMO}/labels: unknown query parameter 'size'",
        ),
        (
            lambda client: client.requester.requestJson("GET", f"/repos/{DEMO}/labels?per_page=many"),
            f"GET /repos/{DEMO}/labels: ?per_page: 'many' is not of type 'integer'",
        ),
        (
            lambda client: client.requester.requestJson("GET", "/repos/octo/demo/lables"),
            "the fake does not serve GET /repos/octo/demo/lables",
        ),
        (
            lambda client: client.requester.requestJson("POST", f"/repos/{DEMO}/git/refs", input={"ref": 3}),
            f"POST /repos/{DEMO}/git/refs: request body: 'sha' is a required property",
        ),
        (
            lambda client: client.requester.graphql_query("{ viewer { logon } }", {}),
            "GraphQL document does not fit the schema: "
            "Cannot query field 'logon' on type 'User'. Did you mean 'login'?",
        ),
    ],
)
def test_what_github_does_not_publish_is_a_violation(
    github: FakeGitHub, send: Callable[[Github], object], violation: str
) -> None:
    """A request that GitHub's descriptions do not know is noted, whatever the fake answered."""
    with contextlib.suppress(GithubException):
        send(github.client(BOT_TOKEN))
    assert violation in github.violations
    github.violations.clear()


def test_what_the_fake_answers_is_checked_too(published: tuple[OpenApi, GraphQL]) -> None:
    """A response that lacks what GitHub promises, or has it of another type, is noted with its place."""
    with FakeGitHub(*published) as server:
        demo = server.world.add_repository(DEMO)
        demo.add_label("bug", color=7)  # type: ignore[arg-type] # the wrong type is the point
        demo.add_issue("Crash", labels=["bug"]).title = None  # type: ignore[assignment] # as above
        requests.get(f"{server.url}/repos/{DEMO}/issues", timeout=10)
        requests.get(f"{server.url}/repos/{DEMO}/labels", timeout=10)
    path, wrong = f"GET /repos/{DEMO}", "is not of type 'string'"
    assert f"{path}/issues: response 200[0].title: None {wrong}" in server.violations
    assert server.violations[-1] == f"{path}/labels: response 200[0].color: 7 {wrong}"
