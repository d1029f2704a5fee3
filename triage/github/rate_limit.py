"""Shares one token's rate limit between connections that run at the same time.

GitHub's rules (docs.github.com, rate limits of the GraphQL API): a number of points an hour, reported with every
response, and secondary limits on concurrent requests and computing time, reported only when they are exceeded.
Therefore few requests run at once, a refusal pauses all of them, and after a secondary limit half as many continue.
The last tenth of an hour's points is left to other jobs with the same token, so that learning never delays the
labelling of new issues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from triage.console import duration
from triage.github.errors import RateLimited

if TYPE_CHECKING:
    from triage.github.http import Purpose, Response

WIDTH = 4
# The share of an hour's points that is left to other jobs.
RESERVE = 0.1
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Quota:
    """GraphQL points as reported at `reported`: `remaining` of `limit` until `reset`. Times are GitHub's."""

    limit: int
    remaining: int
    reset: datetime
    reported: datetime

    @property
    def reserve(self) -> int:
        """The points that are left to other jobs."""
        return int(self.limit * RESERVE)

    @property
    def ours(self) -> int:
        """The points that can be spent before the reset."""
        return max(0, self.remaining - self.reserve)

    def waiting(self, points: int) -> timedelta:
        """How long the rate limit delays the spending of `points`, if every hour brings the same number."""
        missing = points - self.ours
        hours = -(-missing // max(1, self.limit - self.reserve))
        return self.reset - self.reported + (hours - 1) * HOUR if missing > 0 else timedelta(0)


class RateLimiter:
    """Runs at most `width` requests at once, and none during a pause. Thread-safe.

    `wait` gets the seconds to pause and may return early; `clock` returns seconds; `say` receives a message when a
    pause begins.
    """

    def __init__(
        self,
        width: int = WIDTH,
        *,
        say: Callable[[str], object] = lambda _: None,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.width, self._say, self._clock = width, say, clock
        self._changed = threading.Condition()
        self._wait: Callable[[float], object] = wait or self._changed.wait
        self._running, self._opens, self._closed = 0, clock(), False
        self.allowance: Quota | None = None

    @contextmanager
    def turn(self, purpose: Purpose, max_wait: float) -> Iterator[None]:
        """Delay a request until it may be sent. Raises RateLimited if that is more than `max_wait` seconds away,
        KeyboardInterrupt after `close`.
        """
        with self._changed:
            while self._closed or self._running >= self.width or self._opens > self._clock():
                if self._closed:
                    raise KeyboardInterrupt
                left = self._opens - self._clock()
                if left > max_wait:
                    raise _too_long(purpose, left, max_wait)
                # A request that ends wakes those that wait for a free place.
                self._wait(left) if left > 0 else self._changed.wait()
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def record(self, response: Response) -> None:
        """Note the points left; when only the reserve is left, pause all requests until the reset."""
        allowance = _allowance(response)
        if allowance is None:
            return
        with self._changed:
            last = self.allowance
            if last and last.reset == allowance.reset and last.remaining < allowance.remaining:
                # The response to an earlier request arrived later.
                return
            self.allowance = allowance
            if allowance.ours == 0:
                seconds = (allowance.reset - allowance.reported).total_seconds()
                reason = f"{allowance.remaining} of {allowance.limit} points are left, which are kept for labelling"
                # The reset is a whole second, and may come at its end.
                self._pause(seconds + 1, reason)

    def stop(self, seconds: float, *, exhausted: bool) -> None:
        """Pause all requests. If it was not the hour's points that were exhausted, continue with half as many."""
        with self._changed:
            if not exhausted and self._opens <= self._clock():
                self.width = max(1, self.width // 2)
            self._pause(seconds, "GitHub asks for a pause")

    def close(self) -> None:
        """Send no further request, and wake those that wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pause(self, seconds: float, reason: str) -> None:
        opens = self._clock() + seconds
        # Concurrent requests are refused for the same reason at nearly the same time: report it once.
        if opens > self._opens + 1:
            self._say(f"{reason}: waiting {duration(seconds)}")
        self._opens = max(self._opens, opens)


def _allowance(response: Response) -> Quota | None:
    """None where GitHub reports no limit, as a server without limits does, or that of another API (REST)."""
    limit, remaining = response.number("x-ratelimit-limit"), response.number("x-ratelimit-remaining")
    reset = response.reset()
    resource = response.headers.get("x-ratelimit-resource", "graphql")
    if resource != "graphql" or limit is None or remaining is None or reset is None:
        return None
    return Quota(limit, remaining, reset, response.now)


def _too_long(purpose: Purpose, left: float, max_wait: float) -> RateLimited:
    return RateLimited(
        f"cannot {purpose.doing}: no request may be sent for {left:.0f} s, longer than the {max_wait:.0f} s allowed",
        likely="this hour's points are used up, except for those kept for labelling",
        retry_at=datetime.now(UTC) + timedelta(seconds=left),
    )
