"""The one request that a run begins with: what is taken from it, and what is requested by itself all the same."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import sleep

import pytest

from tests.fake_github.faults import Hook, Partial, error, outage, secondary_limit
from tests.fake_github.fixtures import DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json
from tests.storing import ACTIVE, activate, git_store, tiny
from tests.tracking import tracker_of
from triage.bundle.bundle import to_files
from triage.bundle.store import StoreName
from triage.config import Config
from triage.errors import AccessError
from triage.github.client import Opening
from triage.github.errors import RateLimited
from triage.github.git_store import GitStore
from triage.github.open import open_repository
from triage.options import ConfigSource

FILES = (".github/triage.yml", ".github/triage.yaml")
OPENING = Opening(FILES, ACTIVE, issue=1)
CONFIG = "labels: {max: 2}\n"


@pytest.fixture
def furnished(github: FakeGitHub, demo: Repository) -> Repository:
    """A configuration, an issue with a label, and an active bundle."""
    demo.put_file(FILES[0], CONFIG)
    demo.add_issue("Crash", labels=["bug"])
    activate(git_store(github), tiny(1))
    github.requests.clear()
    return demo


def test_one_request_has_all_that_a_run_begins_with(github: FakeGitHub, furnished: Repository) -> None:
    """The bundle's blobs are one more."""
    tracker = tracker_of(github)
    tracker.open(OPENING)
    store = GitStore(tracker)
    assert (tracker.viewer().login, tracker.repository.name) == (ACTIONS_BOT, DEMO)
    assert [tracker.read_file(path) for path in FILES] == [CONFIG, None]
    assert sorted(tracker.labels()) == ["bug", "docs", "question"]
    assert tracker.issue(1).issue.labels == ("bug",)
    assert len(github.requests) == 1
    assert to_files(store.load(store.role("active") or "")) == to_files(tiny(1))
    assert len(github.requests) == 2


def test_what_was_read_first_is_used_once(github: FakeGitHub, furnished: Repository) -> None:
    """The second time it may have changed."""
    tracker = tracker_of(github)
    tracker.open(OPENING)
    before = tracker.labels(), tracker.issue(1), tracker.read_file(FILES[0]), tracker.tip(ACTIVE)
    furnished.add_label("new")
    furnished.issues[1].add_labels(["docs"], "maintainer")
    furnished.put_file(FILES[0], "labels: {max: 3}\n")
    assert ("new" in before[0], before[1].issue.labels, before[2]) == (False, ("bug",), CONFIG)
    assert "new" in tracker.labels()
    assert tracker.issue(1).issue.labels == ("bug", "docs")
    assert tracker.read_file(FILES[0]) == "labels: {max: 3}\n"
    assert before[3] is not None
    assert tracker.tip(ACTIVE) is None


REFUSED: list[dict[str, Json]] = [{"type": "FORBIDDEN", "message": "No", "path": ["repository", "active"]}]


@pytest.mark.parametrize(
    "fault",
    [error(403, "No"), outage(502), Partial(REFUSED, [["repository", "active"]])],
    ids=["refused", "an outage", "a part refused"],
)
def test_where_it_fails_each_part_is_requested_by_itself(
    github: FakeGitHub, furnished: Repository, fault: Partial
) -> None:
    """A server of an older version may not know all of its fields."""
    github.faults.add(fault, operation="query viewer,repository")
    tracker = tracker_of(github)
    tracker.open(OPENING)
    assert (tracker.viewer().login, tracker.read_file(FILES[0])) == (ACTIONS_BOT, CONFIG)
    assert (len(tracker.labels()), tracker.issue(1).issue.title) == (3, "Crash")
    assert GitStore(tracker).role("active") == GitStore(tracker_of(github)).role("active")


def test_a_rate_limit_is_not_asked_twice(github: FakeGitHub, furnished: Repository) -> None:
    """The parts would meet the same one."""
    github.faults.add(secondary_limit(600), times=None)
    with pytest.raises(RateLimited):
        tracker_of(github, max_wait=60).open(OPENING)
    assert len(github.requests) == 1


def test_labels_beyond_a_hundred_are_read_too(github: FakeGitHub, furnished: Repository) -> None:
    """The first hundred come with the rest."""
    for n in range(150):
        furnished.add_label(f"label {n}")
    tracker = tracker_of(github)
    tracker.open(OPENING)
    assert (len(tracker.labels()), len(github.requests)) == (153, 2)


@pytest.mark.parametrize("text", ["../shared/triage.yml", "", "# nothing yet\n"])
def test_a_text_that_may_be_a_link_is_read_by_rest(
    github: FakeGitHub, furnished: Repository, text: str
) -> None:
    """GraphQL gives a link's path for its text."""
    furnished.put_file(FILES[0], text)
    tracker = tracker_of(github)
    tracker.open(OPENING)
    assert tracker.read_file(FILES[0]) == text
    assert github.log[-1] == f"GET /repos/{DEMO}/contents/{FILES[0]}"


def test_a_configuration_that_the_token_may_not_read_is_not_taken_for_none(
    github: FakeGitHub, furnished: Repository, monkeypatch: pytest.MonkeyPatch, reach: Callable[[str], None]
) -> None:
    """Its rules would be ignored."""
    furnished.private = True
    github.world.add_token("blind", ACTIONS_BOT, issues="write", metadata="read")
    reach("blind")
    with pytest.raises(AccessError, match="contents"):
        open_repository(DEMO, ConfigSource())


def test_nothing_follows_from_what_is_not_there_before_the_first_commit(
    github: FakeGitHub, demo: Repository, reach: Callable[[str], None]
) -> None:
    """Each file and the ref are requested by themselves."""
    tracker, config = open_repository(DEMO, ConfigSource(), store=StoreName(repo=DEMO))
    assert (config, GitStore(tracker).role("active")) == (Config(), None)
    assert "GET /repos/octo/demo/git/ref/triage/active" in github.log


def test_a_publisher_that_is_named_is_looked_up(github: FakeGitHub, furnished: Repository) -> None:
    """GraphQL does not tell which App made a commit."""
    tracker = tracker_of(github)
    tracker.open(OPENING)
    store = GitStore(tracker, [ACTIONS_BOT])
    assert store.load(store.role("active") or "").manifest.issues == 2
    assert [request for request in github.log if "/commits" in request] == [f"GET /repos/{DEMO}/commits"]


def test_blobs_are_fetched_side_by_side(
    github: FakeGitHub, furnished: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at once as there are, up to four; the rest follow."""
    monkeypatch.setattr("triage.github.git_store.SMALL", 0)
    activate(git_store(github), tiny(2))
    running, most, lock = [0], [0], Lock()

    def enter(_: object) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        sleep(0.1)
        with lock:
            running[0] -= 1

    github.faults.add(Hook(enter), times=None, path="/blobs/")
    store = git_store(github)
    assert store.load(store.role("active") or "").manifest.issues == 2
    assert 2 <= most[0] <= 4
