"""Several connections with one token: one limit stops all, and the last points of the hour are left to others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_github.faults import Hook, primary_limit, secondary_limit
from tests.fake_github.server import FakeGitHub
from tests.tracking import tracker_of
from triage.console import duration
from triage.github.errors import RateLimited
from triage.github.http import Purpose
from triage.github.permissions import permissions_of
from triage.github.rate_limit import Quota, RateLimiter

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
READING = Purpose("read")


@dataclass
class Time:
    """A clock that only waiting moves on, the server's too."""

    github: FakeGitHub
    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.github.world.clock.set(self.github.world.clock.now + timedelta(seconds=seconds))

    def pace(self, width: int = 4, say: Callable[[str], object] = lambda _: None) -> RateLimiter:
        return RateLimiter(width, say=say, wait=self.wait, clock=lambda: self.now)


@pytest.mark.parametrize("fault", [secondary_limit(7), primary_limit(6)])
def test_a_limit_that_one_meets_stops_the_others(github: FakeGitHub, fault: object) -> None:
    """The other connection rests as long, though nobody refused it; and is not told twice."""
    time, said = Time(github), list[str]()
    pace = time.pace(say=said.append)
    met, other = tracker_of(github, limiter=pace), tracker_of(github, limiter=pace)
    github.faults.add(fault)  # type: ignore[arg-type] # of the two kinds above
    # The moment at which the first one has just been refused.
    pace_stop, heard = pace.stop, threading.Event()

    def stop(seconds: float, *, exhausted: bool) -> None:
        pace_stop(seconds, exhausted=exhausted)
        heard.set()
        other.labels()

    pace.stop = stop  # type: ignore[method-assign] # the other one comes right then
    met.labels()
    assert heard.is_set()
    assert (time.waits, said) == ([7.0], ["GitHub asks for a pause: waiting 7 s"])


def test_after_a_secondary_limit_half_as_many_go_on(github: FakeGitHub) -> None:
    """Down to one; a primary limit is no matter of how many there are."""
    time = Time(github)
    pace = time.pace(width=4)
    tracker = tracker_of(github, limiter=pace)
    widths = []
    for fault in (primary_limit(6), secondary_limit(7), secondary_limit(7), secondary_limit(7)):
        github.faults.add(fault)
        tracker.labels()
        widths.append(pace.width)
    assert widths == [4, 2, 1, 1]


def test_no_more_run_at_once_than_the_width(github: FakeGitHub) -> None:
    """Of eight connections in eight threads, two are ever answered at the same time."""
    pace, inside, most, lock = RateLimiter(2), 0, 0, threading.Lock()
    full = threading.Barrier(2, timeout=30)

    def arrive(_: object) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        # Each waits for a second one: so two do run at once.
        full.wait()
        with lock:
            inside -= 1

    github.faults.add(Hook(arrive), times=None)
    threads = [threading.Thread(target=tracker_of(github, limiter=pace).labels) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, len(github.requests)) == (2, 8)


def test_the_last_tenth_of_the_points_is_left_to_others(github: FakeGitHub) -> None:
    """At 500 of 5,000 reading rests until the reset, and goes on with the next hour's."""
    time, said = Time(github), list[str]()
    tracker = tracker_of(github, limiter=time.pace(say=said.append), max_wait=4000.0)
    github.points.remaining = 502
    tracker.labels()
    assert time.waits == []
    tracker.labels()
    tracker.labels()
    assert (time.waits, github.points.remaining) == ([3601.0], 4999)
    assert said == ["500 of 5000 points are left, which are kept for labelling: waiting 60 minutes"]


def test_a_rest_that_is_longer_than_allowed_is_refused(github: FakeGitHub) -> None:
    """At once, for every connection; nothing is asked of GitHub then."""
    time = Time(github)
    pace = time.pace()
    github.points.remaining = 500
    tracker_of(github, limiter=pace).labels()
    with pytest.raises(RateLimited) as refused:
        tracker_of(github, limiter=pace, max_wait=600.0).labels()
    assert refused.value.what == (
        "cannot list the labels in octo/demo: no request may be sent for 3601 s, longer than the 600 s allowed"
    )
    assert (time.waits, len(github.requests)) == ([], 1)


def test_rest_has_points_of_its_own(github: FakeGitHub, demo: object) -> None:
    """The calls of REST say nothing of GraphQL's points."""
    time = Time(github)
    pace = time.pace()
    github.calls.remaining = 3
    permissions_of(tracker_of(github, limiter=pace))
    assert pace.allowance is not None
    assert (pace.allowance.remaining, time.waits) == (github.points.remaining, [])


def test_closing_wakes_whoever_waits(github: FakeGitHub) -> None:
    """And nobody gets a turn any more: an interruption is not held up for an hour."""
    pace, raised = RateLimiter(), list[type[BaseException]]()
    pace.stop(3600.0, exhausted=True)

    def wait() -> None:
        try:
            with pace.turn(READING, 4000.0):
                raise AssertionError("it is not its turn")
        except KeyboardInterrupt as error:
            raised.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    pace.close()
    thread.join(timeout=30)
    assert raised == [KeyboardInterrupt]


@pytest.mark.parametrize(
    ("remaining", "points", "minutes"),
    [
        (5000, 4500, 0),
        (5000, 4501, 20),
        (5000, 9000, 20),
        (5000, 9001, 80),
        (400, 1, 20),
        (4870, 20_000, 20 + 3 * 60),
    ],
)
def test_how_long_points_have_to_be_waited_for(remaining: int, points: int, minutes: int) -> None:
    """Until the first reset, then by the hour; 4,500 of 5,000 points can be spent in each."""
    allowance = Quota(5000, remaining, NOON + timedelta(minutes=20), NOON)
    assert allowance.waiting(points) == timedelta(minutes=minutes)


def test_an_hour_is_said_in_minutes() -> None:
    """Rounded, without false precision."""
    assert [duration(s) for s in (40, 720, 3601, 12_600)] == ["40 s", "12 minutes", "60 minutes", "3.5 hours"]
