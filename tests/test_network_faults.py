"""Whatever answers in GitHub's place, each request ends within its deadline, in words, with a documented exit code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from tests.fake_github.faults import Kind, error, raw
from tests.fake_github.server import FakeGitHub
from tests.faulty import ENDLESS, LIMITS, PASSING, PERMANENT, flood, with_strange_headers
from tests.tracking import Sleeps, add_labels, tracker_of
from triage.errors import DataError, TriageError
from triage.github import transport
from triage.github.client import Tracker
from triage.github.errors import Overloaded, RateLimited, Unreachable
from triage.github.git_objects import GitObjects

READS: dict[str, Callable[[Tracker], object]] = {
    "GraphQL": lambda tracker: tracker.labels(),
    "REST": lambda tracker: GitObjects(tracker).read_ref("refs/heads/main"),
}


Outcome = tuple[TriageError, Sleeps, int]


@pytest.fixture(params=READS)
def read(
    request: pytest.FixtureRequest, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Read under a fault that stays: the error, the waits, and the number of requests."""

    def reading(fault: Kind, max_wait: float = 600.0, deadline: float = 120.0) -> Outcome:
        sleeps = Sleeps()
        tracker = tracker_of(github, sleeps=sleeps, max_wait=max_wait)
        assert tracker.repository.name == "octo/demo"
        monkeypatch.setattr(transport, "DEADLINE", deadline)
        github.requests.clear()
        github.faults.add(fault, times=None)
        with pytest.raises(TriageError) as raised, tracker:
            READS[request.param](tracker)
        assert len(str(raised.value)) < 1_200
        return raised.value, sleeps, len(github.requests)

    return reading


@pytest.mark.parametrize("name", PERMANENT)
def test_what_stays_wrong_is_tried_once(read: Callable[..., Outcome], name: str) -> None:
    """With exit code 8, or 5 where the content is at fault."""
    failed, sleeps, requests = read(PERMANENT[name])
    assert failed.exit_code in {5, 8}
    assert (sleeps.seconds, requests) == ([], 1)


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_five_times(read: Callable[..., Outcome], name: str) -> None:
    """And then it is an outage, with exit code 9."""
    failed, sleeps, requests = read(PASSING[name])
    assert isinstance(failed, Overloaded)
    assert (sleeps.seconds, requests) == ([0.5, 1.0, 2.0, 4.0], 5)


@pytest.mark.parametrize("name", LIMITS)
def test_absurd_times_are_waited_for_within_bounds(read: Callable[..., Outcome], name: str) -> None:
    """As long as is allowed, as after a limit without a time."""
    failed, sleeps, _ = read(LIMITS[name])
    assert isinstance(failed, RateLimited)
    assert sum(sleeps.seconds) <= 600


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_takes_too_long_is_cut_off(read: Callable[..., Outcome], name: str) -> None:
    """However steadily it comes: the deadline is for the whole of it."""
    failed, _, requests = read(ENDLESS[name], deadline=0.1)
    assert "no whole answer from 127.0.0.1:" in failed.what
    assert failed.what.endswith(" within 0.1 s")
    assert (type(failed), requests) == (Overloaded, 5)


def test_the_time_that_failures_take_counts_as_waiting(
    read: Callable[..., Outcome],
) -> None:
    """Slow failures do not multiply by the number of attempts."""
    _, sleeps, requests = read(ENDLESS["a byte at a time"], max_wait=0.6, deadline=0.2)
    assert (sleeps.seconds, requests) == ([], 1)


def test_an_answer_without_end_is_cut_off_at_its_greatest_size(
    read: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read again."""
    monkeypatch.setattr(transport, "MOST_BYTES", 5 * 2**20)
    failed, _, requests = read(flood())
    assert str(failed) == (
        "GitHub's answer is larger than 5 MB\n"
        "  likely cause: a proxy or another server answers in GitHub's place\n"
        "  next step: check GITHUB_API_URL and GITHUB_GRAPHQL_URL and the proxy"
    )
    assert (failed.exit_code, requests) == (5, 1)


def test_a_web_page_in_place_of_an_answer_is_named(
    read: Callable[..., Outcome],
) -> None:
    """By its title: whoever mistyped the address knows the page."""
    failed, *_ = read(PERMANENT["a web page"])
    assert isinstance(failed, Unreachable)
    assert failed.what.endswith(": a web page came in place of an answer (Sign in · Example), status 200")
    assert failed.next_step == "set GITHUB_API_URL to the address of the API itself"


def test_a_long_message_is_cut_between_words(github: FakeGitHub) -> None:
    """And says so."""
    github.faults.add(error(422, "word " * 200))
    with pytest.raises(TriageError, match=r"word (word )+…"):
        tracker_of(github).labels()


def test_strange_headers_do_no_harm_to_a_good_answer(github: FakeGitHub) -> None:
    """Headers that make no sense count as missing."""
    labels = {
        "nodes": [{"id": "L", "name": "bug", "description": None}],
        "info": {"more": False, "cursor": None},
    }
    github.faults.add(with_strange_headers({"data": {"repository": {"labels": labels}}}))
    tracker = tracker_of(github)
    assert list(tracker.labels()) == ["bug"]
    assert abs((tracker.now() - github.world.clock.now).days) < 4_000


def test_a_compressed_answer_is_read(github: FakeGitHub) -> None:
    """GitHub compresses most; no content at all may be declared as compressed too."""
    labels = {"nodes": [{"id": "L", "name": "bug"}], "info": {"more": False}}
    answer = gzip.compress(json.dumps({"data": {"repository": {"labels": labels}}}).encode())
    github.faults.add(raw(answer, Content_Encoding="gzip"))
    tracker = tracker_of(github)
    assert list(tracker.labels()) == ["bug"]
    assert tracker.repository
    github.faults.add(raw(b"", "204 No Content", Content_Encoding="gzip"))
    GitObjects(tracker).delete_ref("refs/triage/staged")
    assert github.requests[-1].method == "DELETE"


@pytest.mark.parametrize("content", ["ä", "####", "YQ", "YQ==x"])
def test_a_file_that_is_not_base64_is_refused(github: FakeGitHub, content: str) -> None:
    """It is never read as another file."""
    tracker = tracker_of(github)
    assert tracker.repository
    github.faults.add(with_strange_headers({"encoding": "base64", "content": content}))
    with pytest.raises(DataError, match="GitHub's answer contains invalid base64"):
        tracker.read_file(".github/triage.yml")


@pytest.mark.parametrize("cursor", ["same", "", None])
def test_pages_that_lead_back_to_themselves_end(github: FakeGitHub, cursor: str | None) -> None:
    """A server that repeats a page is not asked for ever."""
    labels = {"nodes": [], "info": {"more": True, "cursor": cursor}}
    github.faults.add(with_strange_headers({"data": {"repository": {"labels": labels}}}), times=None)
    with pytest.raises(DataError, match="a page that is followed by itself"):
        tracker_of(github).labels()
    assert len(github.requests) <= 2


@pytest.mark.parametrize("answer", [{"data": {}}, {"data": {"addLabelsToLabelable": None}}, {"data": None}])
def test_a_change_counts_as_made_only_where_the_answer_says_so(github: FakeGitHub, answer: object) -> None:
    """An empty success is none."""
    github.faults.add(with_strange_headers(answer))
    with pytest.raises(DataError):
        add_labels(tracker_of(github), "I_1", ["L_1"])


def test_a_date_in_retry_after_is_a_time_too(github: FakeGitHub) -> None:
    """HTTP allows both."""
    sleeps = Sleeps()
    limit = error(
        429, "slow", Date="Thu, 01 Jan 2026 12:00:00 GMT", Retry_After="Thu, 01 Jan 2026 12:00:30 GMT"
    )
    github.faults.add(limit)
    tracker_of(github, sleeps=sleeps).labels()
    assert sleeps.seconds == [30.0]
