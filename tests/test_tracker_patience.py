"""Limits, outages and answers of another shape between the tracker and GitHub."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.fake_github.faults import (
    SECONDARY,
    Answer,
    Cut,
    Drop,
    Kind,
    Partial,
    Slow,
    error,
    graphql_limit,
    outage,
    primary_limit,
    secondary_limit,
)
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.wire import Json, Reply
from tests.tracking import Sleeps, tracker_of
from triage.errors import DataError, UnavailableError
from triage.github.errors import Overloaded, RateLimited

BROKEN = Partial([{"message": "Something went wrong while executing your query."}], [["repository"]])
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "slept"),
    [
        (secondary_limit(7), [7.0]),
        (secondary_limit(7, status=429), [7.0]),
        (primary_limit(9), [10.0]),
        (primary_limit(9, status=429), [10.0]),
        (graphql_limit(9), [10.0]),
        (error(403, SECONDARY), [60.0]),
        (outage(500), [0.5]),
        (outage(502), [0.5]),
        (outage(503), [0.5]),
        (Answer(Reply(200, "{")), [0.5]),
        (Drop(), [0.5]),
        (Cut(), [0.5]),
        (BROKEN, [0.5]),
        (Slow(0.01), []),
    ],
)
def test_a_read_waits_as_asked_and_then_succeeds(github: FakeGitHub, fault: Kind, slept: list[float]) -> None:
    """As long as GitHub names, a minute where it names no time, half a second after an outage."""
    sleeps = Sleeps()
    github.faults.add(fault)
    assert len(tracker_of(github, sleeps=sleeps).labels()) == 3
    assert sleeps.seconds == slept


def test_a_rest_read_is_as_patient(github: FakeGitHub, demo: Repository) -> None:
    """Limits and drops one after the other, each waited for."""
    demo.put_file("notes.txt", "words")
    sleeps = Sleeps()
    for fault in (secondary_limit(3), primary_limit(4), Drop(), outage(502)):
        github.faults.add(fault, path="contents")
    assert tracker_of(github, sleeps=sleeps).read_file("notes.txt") == "words"
    assert sleeps.seconds == [3.0, 5.0, 2.0, 4.0]


def test_waits_are_spread_but_never_shorter_than_asked(github: FakeGitHub) -> None:
    """Jitter comes on top of what GitHub asks."""
    sleeps, tracker = Sleeps(), tracker_of(github)
    tracker._sleep, tracker._jitter = sleeps, lambda: 1.0
    github.faults.add(secondary_limit(50))
    github.faults.add(outage())
    tracker.labels()
    assert sleeps.seconds == [pytest.approx(55.0), 3.0]


def test_a_limit_beyond_the_cap_says_when_to_come_back(github: FakeGitHub) -> None:
    """Nothing is waited for in vain; the time is the server's, whatever this machine's clock says."""
    sleeps = Sleeps()
    reset, date = str(int(NOON.timestamp()) + 2399), format_datetime(NOON, usegmt=True)
    spent = error(
        403, "API rate limit exceeded", Date=date, x_ratelimit_remaining="0", x_ratelimit_reset=reset
    )
    github.faults.add(spent)
    with pytest.raises(RateLimited) as raised:
        tracker_of(github, sleeps=sleeps).labels()
    assert str(raised.value) == (
        "cannot list the labels in octo/demo: GitHub asks to wait 2400 s, and only 600 s of waiting are left\n"
        "  likely cause: the hourly limit is used up, by this or another job with the same token\n"
        "  next step: run the job again after 2026-01-01 12:40:00 UTC, or raise `max_rate_limit_wait`"
    )
    assert (raised.value.exit_code, raised.value.retry_at, sleeps.seconds) == (9, NOON.replace(minute=40), [])


def test_waits_for_one_request_add_up_to_the_cap(github: FakeGitHub) -> None:
    """A limit that comes again and again ends too."""
    sleeps = Sleeps()
    github.faults.add(secondary_limit(25), times=None)
    with pytest.raises(RateLimited, match="GitHub asks to wait 25 s, and only 10 s of waiting are left"):
        tracker_of(github, sleeps=sleeps, max_wait=60.0).labels()
    assert sleeps.seconds == [25.0, 25.0]


def test_a_limit_without_any_time_is_given_up_too(github: FakeGitHub) -> None:
    """`Retry-After: 0` for ever is no endless loop."""
    sleeps = Sleeps()
    github.faults.add(secondary_limit(0), times=None)
    with pytest.raises(RateLimited):
        tracker_of(github, sleeps=sleeps, max_wait=60.0).labels()
    assert sleeps.seconds == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (outage(502), "an answer that is not JSON (status 502)"),
        (Drop(), "(Remote end closed connection without response)"),
        (BROKEN, "Something went wrong while executing your query."),
    ],
)
def test_an_outage_that_lasts_is_given_up_after_five_tries(
    github: FakeGitHub, fault: Kind, said: str
) -> None:
    """The words say what was being done and that GitHub is the cause."""
    sleeps = Sleeps()
    github.faults.add(fault, times=None)
    with pytest.raises(Overloaded) as raised:
        tracker_of(github, sleeps=sleeps).labels()
    assert raised.value.what.startswith("cannot list the labels in octo/demo: ")
    assert said in raised.value.what
    assert isinstance(raised.value, UnavailableError)
    assert (sleeps.seconds, len(github.requests)) == ([0.5, 1.0, 2.0, 4.0], 5)


def test_a_host_that_is_not_there_is_named(github: FakeGitHub) -> None:
    """No connection at all is an outage, not a defect of this program."""
    with pytest.raises(Overloaded, match=r"no answer from 127.0.0.1:9 \(Connection refused\)"):
        tracker_of(github, api_url="http://127.0.0.1:9/api/v3").labels()


def test_pygithub_is_loaded_only_for_those_who_talk_to_github() -> None:
    """Importing the tracker costs nothing of its third of a second."""
    code = "import sys, triage.github.client; print({'github', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_outage_is_not_waited_for_beyond_the_cap(github: FakeGitHub) -> None:
    """The cap holds for every kind of wait."""
    sleeps = Sleeps()
    github.faults.add(outage(), times=None)
    with pytest.raises(Overloaded):
        tracker_of(github, sleeps=sleeps, max_wait=2.0).labels()
    assert sleeps.seconds == [0.5, 1.0]


def test_a_limit_is_waited_for_by_this_machines_clock_where_the_server_shows_none(github: FakeGitHub) -> None:
    """A proxy may take the date away."""
    sleeps, before = Sleeps(), time.time()
    reset = int(before) + 300
    spent = error(
        403, "API rate limit exceeded", Date="", x_ratelimit_remaining="0", x_ratelimit_reset=str(reset)
    )
    github.faults.add(spent)
    tracker_of(github, sleeps=sleeps).labels()
    [slept] = sleeps.seconds
    assert reset + 1 - time.time() < slept < reset + 1 - before


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({}, "': expected a list, found None"),
        ({"repository": {"labels": []}}, "': expected a list, found None"),
        (
            {"repository": {"labels": {"nodes": [{"id": 7}], "pageInfo": {}}}},
            "[0].id': expected a string, found 7",
        ),
        ({"repository": {"labels": {"nodes": 7}}}, "': expected a list, found 7"),
    ],
)
def test_an_answer_of_another_shape_is_named(github: FakeGitHub, data: Json, place: str) -> None:
    """What came instead is never taken for labels."""
    github.faults.add(Answer(Reply(200, {"data": data})))
    with pytest.raises(DataError) as raised:
        tracker_of(github).labels()
    assert str(raised.value) == (
        f"GitHub's answer is not as expected: in 'data.repository.labels.nodes{place}\n"
        "  likely cause: a proxy between this machine and GitHub, or an "
        "unsupported version of GitHub Enterprise Server\n"
        "  next step: check GITHUB_API_URL, then report the output of `triage check --repo OWNER/NAME`"
    )


def test_a_date_that_is_none_is_named(github: FakeGitHub, demo: Repository) -> None:
    """An issue is never read with a made-up moment."""
    demo.add_issue("Crash")
    issue: Json = {
        "type": "Issue",
        "id": "I_1",
        "repository": {"name": "octo/demo"},
        "number": 1,
        "title": "Crash",
        "body": "",
        "closed": False,
        "locked": False,
        "created_at": "yesterday",
        "updated_at": "2026-01-01T00:00:00Z",
        "labels": {"nodes": []},
        "timeline": {"nodes": [], "info": {"more": False}},
    }
    github.faults.add(Answer(Reply(200, {"data": {"repository": {"issueOrPullRequest": issue}}})))
    with pytest.raises(DataError, match="expected a date in ISO 8601, found 'yesterday'"):
        tracker_of(github).issue(1)


def test_the_time_is_githubs_once_it_has_answered(github: FakeGitHub) -> None:
    """And goes on from there by this machine's clock; before any answer there is only that."""
    tracker = tracker_of(github)
    assert abs(tracker.now() - datetime.now(UTC)) < timedelta(minutes=1)
    tracker.labels()
    assert abs(tracker.now() - github.world.clock.now) < timedelta(minutes=1)
    github.faults.add(outage(), times=5)
    with pytest.raises(Overloaded):
        tracker.labels()
    assert abs(tracker.now() - github.world.clock.now) < timedelta(minutes=1)
