"""What GitHub refuses, where it redirects to, and where the token goes: nowhere else."""

from __future__ import annotations

import logging
import traceback

import pytest

from tests.fake_github.faults import (
    Answer,
    bad_token,
    error,
    forbidden,
    redirect,
)
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.loopback import Stranger
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.tracking import Sleeps, add_labels, git_of, tracker_of
from triage.errors import AccessError, TriageError, UsageError
from triage.github.errors import NotFound, Rejected
from triage.github.git_objects import GitObjects
from triage.github.http import graphql_url_of


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            bad_token(),
            "cannot add labels in octo/demo: GitHub does not accept the token (Bad credentials)\n"
            "  likely cause: the token has expired, was revoked or belongs to another host\n"
            "  next step: check GITHUB_TOKEN (in a workflow, the `token` input), and GITHUB_API_URL",
        ),
        (
            forbidden(),
            "cannot add labels in octo/demo: Resource not accessible by integration\n"
            "  likely cause: the token lacks the permission `issues: write`\n"
            "  next step: grant it under `permissions:` in the workflow, or to the App or token",
        ),
        (
            error(403, "Nope", x_accepted_github_permissions="issues=write; pull_requests=write"),
            "cannot add labels in octo/demo: Nope\n"
            "  likely cause: the token lacks the permission `issues: write` or `pull-requests: write`\n"
            "  next step: grant it under `permissions:` in the workflow, or to the App or token",
        ),
        (
            error(404, "Not Found"),
            "cannot add labels in octo/demo: Not Found\n"
            "  likely cause: the issue was deleted or transferred\n  next step: nothing to do: the issue is skipped",
        ),
        (
            error(410, "Issues are disabled for this repo"),
            "cannot add labels in octo/demo: Issues are disabled for this repo\n"
            "  likely cause: issues are switched off in the repository's settings\n"
            "  next step: switch them on, or remove the workflow",
        ),
        (
            error(422, "Validation\nFailed"),
            "cannot add labels in octo/demo: Validation Failed\n"
            "  likely cause: a name, reference or state that GitHub does not allow\n"
            "  next step: see GitHub's message above",
        ),
        (
            error(418, "I am a teapot"),
            "cannot add labels in octo/demo: I am a teapot (status 418)\n"
            "  likely cause: the token lacks a permission, has expired or belongs to another host\n"
            "  next step: run `triage check --repo OWNER/NAME` to see which permission is missing",
        ),
    ],
)
def test_a_refusal_is_told_in_words_and_not_tried_again(
    github: FakeGitHub, demo: Repository, fault: Answer, words: str
) -> None:
    """What was being done, why it failed, what to do; the issue is as it was."""
    issue, sleeps = demo.add_issue("Crash"), Sleeps()
    github.faults.add(fault, operation="mutation")
    with pytest.raises(AccessError) as raised:
        add_labels(tracker_of(github, sleeps=sleeps), issue.node_id, [demo.labels["bug"].node_id])
    assert str(raised.value) == words
    assert (raised.value.exit_code, issue.label_names, sleeps.seconds) == (8, [], [])


def test_a_token_without_permission_is_told_which_one_it_lacks(github: FakeGitHub, demo: Repository) -> None:
    """Over GraphQL by what was being done, over REST as GitHub's header says."""
    issue = demo.add_issue("Crash")
    github.world.add_token("reader", ACTIONS_BOT, issues="read", contents="read")
    tracker = tracker_of(github, token="reader")
    with pytest.raises(AccessError) as labelling:
        add_labels(tracker, issue.node_id, [demo.labels["bug"].node_id])
    with pytest.raises(AccessError) as publishing:
        GitObjects(tracker).create_blob(b"words")
    assert labelling.value.likely == "the token lacks the permission `issues: write`"
    assert publishing.value.likely == "the token lacks the permission `contents: write`"


def test_a_missing_repository_and_an_unseen_one_look_alike(github: FakeGitHub) -> None:
    """The words name both causes."""
    github.world.add_repository("octo/secret", private=True)
    github.world.add_token("narrow", "a-person", repositories=frozenset({"octo/demo"}), issues="read")
    for repo in ("octo/none", "octo/secret"):
        with pytest.raises(NotFound) as raised:
            tracker_of(github, repo=repo, token="narrow").issue(1)
        assert str(raised.value) == (
            f"cannot find {repo}: Could not resolve to a Repository with the name '{repo}'.\n"
            "  likely cause: it does not exist, or the token cannot see it\n"
            "  next step: check the spelling, and that the token's owner or App can see the repository"
        )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("api", ["rest", "graphql"])
def test_the_token_follows_no_redirect_to_another_host(
    github: FakeGitHub, stranger: Stranger, status: int, api: str
) -> None:
    """Neither a read nor a write goes there at all."""
    tracker = tracker_of(github)
    assert tracker.repository.name == "octo/demo"
    github.faults.add(redirect(f"{stranger.url}/elsewhere", status), times=None)
    with pytest.raises(AccessError, match=r"^GitHub redirects .* the token was not sent there"):
        GitObjects(tracker).read_ref("refs/heads/main") if api == "rest" else tracker.labels()
    assert stranger.credentials == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_port_of_the_host_leads_nowhere(github: FakeGitHub, status: int) -> None:
    """Another port is another server, which may be another's."""
    with Stranger() as other:
        there = f"http://127.0.0.1:{other.port}/api/v3/repos/octo/demo/git/ref/heads/other"
        github.faults.add(redirect(there, status), times=None, path="git/ref")
        with pytest.raises(AccessError, match="the token was not sent there"):
            git_of(github).read_ref("refs/heads/main")
        assert other.credentials == []


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_within_the_host_is_followed(github: FakeGitHub, demo: Repository, status: int) -> None:
    """With its query; but not in circles."""
    demo.put_file("notes.txt", "words")
    tracker = tracker_of(github)
    there = f"{github.url}/repos/octo/demo/contents/notes.txt?ref=main"
    github.faults.add(redirect(there, status), path="contents")
    assert tracker.read_file("notes.txt") == "words"
    assert github.requests[-1].query == {"ref": "main"}
    github.faults.add(redirect(there, status), path="contents", times=None)
    with pytest.raises(AccessError, match="GitHub redirects again and again"):
        tracker.read_file("notes.txt")


def test_a_renamed_repository_is_found_under_its_new_name(github: FakeGitHub, demo: Repository) -> None:
    """Labels, issues and git data of a repository that is asked for by its former name."""
    demo.add_issue("Crash")
    commit = demo.put_file("notes.txt", "words")
    github.world.rename_repository(demo, "octo/better")
    tracker = tracker_of(github, repo="octo/demo")
    assert tracker.issue(1).issue.key == ("octo/better", 1)
    assert tracker.read_file("notes.txt") == "words"
    assert GitObjects(tracker).get_commit(commit).sha == commit


def test_the_token_is_in_no_log_and_no_error(
    github: FakeGitHub, demo: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at the most talkative level, not in a traceback."""
    for logger in ("", "github", "github.Requester", "urllib3"):
        caplog.set_level(logging.DEBUG, logger)
    told = []
    for fault in (bad_token(), forbidden(), error(422, "Invalid"), redirect("http://localhost/", 301)):
        github.faults.add(fault)
        github.faults.add(fault)
        for call in (tracker_of(github).labels, lambda: git_of(github).create_blob(b"words")):
            with pytest.raises(TriageError) as raised:
                call()
            told.append("".join(traceback.format_exception(raised.value)) + repr(tracker_of(github)))
    demo.add_issue("Crash")
    tracker_of(github).issue(1)
    assert len(told) == 8
    assert "'Authorization': 'token (oauth token removed)'" in caplog.text
    assert BOT_TOKEN not in caplog.text + "".join(told)


@pytest.mark.parametrize("token", ["", "  ", "two words", "a\nb", "tökén"])
def test_what_cannot_be_a_token_is_not_sent_and_not_quoted(github: FakeGitHub, token: str) -> None:
    """Empty, pasted with something else, or not of this alphabet."""
    with pytest.raises(AccessError) as raised:
        tracker_of(github, token=token)
    words = "the token contains characters that no token has"
    assert raised.value.what == (words if token.strip() else "there is no token for GitHub")
    assert github.requests == []


@pytest.mark.parametrize("repo", ["demo", "octo/demo/x", "octo/..%2f", "o c/to", "../", "octo/demo?x=1"])
def test_a_name_that_no_repository_has_is_refused(github: FakeGitHub, repo: str) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match="is not of the form OWNER/NAME"):
        tracker_of(github, repo=repo)


def test_an_address_that_is_none_is_refused(github: FakeGitHub) -> None:
    """The words name the variables to look at."""
    with pytest.raises(UsageError) as raised:
        tracker_of(github, api_url="ghe.example/api/v3")
    assert str(raised.value) == (
        "'ghe.example/api/v3' is not an address of GitHub's API\n"
        "  next step: set GITHUB_API_URL and GITHUB_GRAPHQL_URL to https://HOST/PATH, or unset them"
    )


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.github.com/", "https://api.github.com/graphql"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
        ("https://api.corp.ghe.com", "https://api.corp.ghe.com/graphql"),
    ],
)
def test_graphql_is_found_beside_rest(api: str, graphql: str) -> None:
    """On github.com, on GitHub Enterprise Server and on its cloud with data residency."""
    assert graphql_url_of(api) == graphql


def test_addresses_are_taken_as_given(github: FakeGitHub) -> None:
    """GraphQL at another address than REST, here even at another path and name of the host."""
    root, elsewhere = github.server_url, f"http://localhost:{github.port}/graphql"
    tracker = tracker_of(github, api_url=root, graphql_url=elsewhere)
    assert len(tracker.labels()) == 3
    assert GitObjects(tracker).read_ref("refs/heads/none") is None
    hosts = [request.headers["host"].partition(":")[0] for request in github.requests]
    assert hosts == ["localhost", "127.0.0.1"]


def test_a_secret_is_not_needed_twice(github: FakeGitHub) -> None:
    """Space around a token, as pasting leaves it, does no harm."""
    assert tracker_of(github, token=f" {BOT_TOKEN}\n").viewer().login == ACTIONS_BOT


def test_what_github_rejects_over_graphql_is_no_outage(github: FakeGitHub, demo: Repository) -> None:
    """A label of another repository is refused at once, with GitHub's words."""
    issue, sleeps = demo.add_issue("Crash"), Sleeps()
    foreign = github.world.add_repository("octo/other").add_label("foreign")
    with pytest.raises(Rejected, match="Label 'foreign' belongs to another repository"):
        add_labels(tracker_of(github, sleeps=sleeps), issue.node_id, [foreign.node_id])
    assert (issue.label_names, sleeps.seconds) == ([], [])
