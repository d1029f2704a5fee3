"""The fake GitHub fails in the ways GitHub and the network fail."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from email.utils import parsedate_to_datetime

import pytest
import requests
from github import GithubException, GithubRetry

from tests.fake_github import faults
from tests.fake_github.asking import ADD, PAGE, add, ask
from tests.fake_github.fixtures import BOT_TOKEN, DEMO
from tests.fake_github.loopback import Stranger
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT as BOT
from tests.fake_github.wire import Json, Request


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (faults.bad_token(), 401, "Bad credentials"),
        (faults.forbidden(), 403, "Resource not accessible by integration"),
        (faults.secondary_limit(retry_after=7), 403, faults.SECONDARY),
        (faults.secondary_limit(status=429), 429, faults.SECONDARY),
        (faults.primary_limit(), 403, "API rate limit exceeded for installation ID 1."),
        (faults.outage(500), 500, "<html><title>Unicorn!</title></html>"),
        (faults.outage(502), 502, "<html><title>Unicorn!</title></html>"),
    ],
)
def test_a_fault_strikes_once(
    github: FakeGitHub, demo: Repository, fault: faults.Answer, status: int, words: str
) -> None:
    """The next matching request fails without being applied, the one after it succeeds."""
    issue = demo.add_issue("Crash")
    github.faults.add(fault, method="POST", path="/labels$")
    seen = github.client(BOT_TOKEN).get_repo(DEMO).get_issue(1)
    with pytest.raises(GithubException) as caught:
        seen.add_to_labels("bug")
    data = caught.value.data
    assert (caught.value.status, data.get("message", data.get("data"))) == (status, words)
    assert issue.label_names == []
    seen.add_to_labels("bug")
    assert issue.label_names == ["bug"]
    assert [request.status for request in github.requests[2:]] == [status, 200]


def test_limits_carry_the_headers_to_wait_by(github: FakeGitHub) -> None:
    """A secondary limit says Retry-After, a primary one that nothing remains and when it resets."""
    client = github.client(BOT_TOKEN)
    github.faults.add(faults.secondary_limit(retry_after=7))
    github.faults.add(faults.primary_limit(reset_in=60))
    with pytest.raises(GithubException) as secondary:
        client.get_repo(DEMO)
    with pytest.raises(GithubException) as primary:
        client.get_repo(DEMO)
    assert secondary.value.headers is not None
    assert primary.value.headers is not None
    assert secondary.value.headers["retry-after"] == "7"
    assert primary.value.headers["x-ratelimit-remaining"] == "0"
    shown = parsedate_to_datetime(primary.value.headers["date"]).timestamp()
    assert int(primary.value.headers["x-ratelimit-reset"]) == shown + 60


@pytest.mark.parametrize(("when", "events"), [("before", []), ("after", [("labeled", "bug", BOT)])])
def test_a_connection_drops_before_or_after_the_write(
    github: FakeGitHub, demo: Repository, when: faults.When, events: list[tuple[str, str, str]]
) -> None:
    """The client cannot tell the two apart; the state can."""
    issue = demo.add_issue("Crash")
    github.faults.add(faults.Drop(when), operation="mutation")
    with pytest.raises(requests.ConnectionError):
        add(github, issue.node_id, demo.labels["bug"].node_id)
    assert issue.label_events == events


def test_an_outage_may_hide_a_write_that_was_done(github: FakeGitHub, demo: Repository) -> None:
    """502 after the write was applied, and PyGithub's own retry does it again without a second event."""
    issue = demo.add_issue("Crash")
    github.faults.add(faults.outage(502, "after"), operation="mutation")
    client = github.client(BOT_TOKEN, retry=GithubRetry(total=1, backoff_factor=0))
    client.requester.graphql_query(ADD, {"issue": issue.node_id, "labels": [demo.labels["bug"].node_id]})
    assert issue.label_events == [("labeled", "bug", BOT)]
    assert [request.status for request in github.requests] == [502, 200]


def test_slow_and_cut_bodies(github: FakeGitHub) -> None:
    """A slow body arrives whole; a cut one is a broken connection."""
    github.faults.add(faults.Slow(pause=0.01))
    assert github.client(BOT_TOKEN).get_repo(DEMO).full_name == DEMO
    github.faults.add(faults.Cut())
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        github.client(BOT_TOKEN).get_repo(DEMO)


def test_partial_graphql_errors(github: FakeGitHub, demo: Repository) -> None:
    """Some of the data is null and the errors say why; the rest is there."""
    demo.add_issue("One")
    demo.add_issue("Two")
    where: list[str | int] = ["repository", "issues", "nodes", 0]
    problem: dict[str, Json] = {"type": "SERVICE_UNAVAILABLE", "path": [*where], "message": "Sorry"}
    github.faults.add(faults.Partial([problem], [where]))
    with pytest.raises(GithubException) as caught:
        ask(github, PAGE, owner="octo", name="demo")
    data = caught.value.data
    assert data["errors"] == [problem]
    nodes = data["data"]["repository"]["issues"]["nodes"]
    assert [node and node["title"] for node in nodes] == [None, "Two"]


def test_graphql_says_its_rate_limit_with_status_200(github: FakeGitHub) -> None:
    """The primary limit of GraphQL is an error of type RATE_LIMITED."""
    github.faults.add(faults.graphql_limit())
    with pytest.raises(GithubException) as caught:
        ask(github, "{ viewer { login } }")
    assert caught.value.data["errors"][0]["type"] == "RATE_LIMITED"


def test_a_redirect_to_another_host_shows_what_it_was_given(github: FakeGitHub, stranger: Stranger) -> None:
    """The stranger keeps the credentials that came with the request, so that tests can ask for None."""
    github.faults.add(faults.redirect(f"{stranger.url}/elsewhere"), path="/labels$")
    headers = {"Authorization": f"token {BOT_TOKEN}"}
    answer = requests.get(f"{github.url}/repos/{DEMO}/labels", headers=headers, timeout=10)
    assert (answer.url, stranger.credentials) == (f"{stranger.url}/elsewhere", [None])


def test_a_hook_runs_at_its_point(github: FakeGitHub, demo: Repository) -> None:
    """A test's own code sees the state before or after a request was applied, and may change it."""
    issue = demo.add_issue("Crash")
    seen: list[tuple[str, list[str]]] = []

    def note(request: Request) -> None:
        seen.append((str(request), issue.label_names))

    github.faults.add(faults.Hook(note), operation="mutation")
    github.faults.add(faults.Hook(note, "after"), operation="mutation")
    add(github, issue.node_id, demo.labels["bug"].node_id)
    assert seen == [("mutation addLabelsToLabelable", []), ("mutation addLabelsToLabelable", ["bug"])]


def test_a_client_may_be_killed_at_a_hook(github: FakeGitHub, demo: Repository) -> None:
    """A client killed after its write was applied leaves the write and no defect of the fake."""
    issue = demo.add_issue("Crash")
    process: list[subprocess.Popen[bytes]] = []
    document = ADD.replace("\n", " ")
    program = (
        "from github import Auth, Github\n"
        f"client = Github(auth=Auth.Token({BOT_TOKEN!r}), base_url={github.url!r}, retry=None)\n"
        f"given = {{'issue': {issue.node_id!r}, 'labels': [{demo.labels['bug'].node_id!r}]}}\n"
        f"client.requester.graphql_query({document!r}, given)\n"
    )
    github.faults.add(faults.Hook(lambda _: process[0].kill(), "after"), operation="mutation")
    process.append(subprocess.Popen([sys.executable, "-c", program]))
    assert process[0].wait() == -signal.SIGKILL
    assert issue.label_events == [("labeled", "bug", BOT)]


def test_two_writers_at_once_leave_one_event(github: FakeGitHub, demo: Repository) -> None:
    """Requests are applied one after the other, however they arrive."""
    issue, meeting = demo.add_issue("Crash"), threading.Barrier(2, timeout=30)
    github.faults.add(faults.Hook(lambda _: meeting.wait()), times=2, operation="mutation")
    label = demo.labels["bug"].node_id
    writers = [threading.Thread(target=add, args=(github, issue.node_id, label)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert issue.label_events == [("labeled", "bug", BOT)]
