"""What connections that share one token's allowance have to know of each other, so that together they stay polite.

GitHub's rules (docs.github.com, rate limits of the GraphQL API): so many points an hour, told with every answer;
and secondary limits on requests at the same time and on computing time, told only when they are broken. So few
requests run at once, a refusal stops all of them, and after a secondary one half as many go on. The last part of
the hour's points is left to others with the same token: a bot that labels new issues must not wait for learning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from triage.github.errors import RateLimited
from triage.github.response import Purpose, Response
from triage.progress import duration

WIDTH = 4
# Of the points of an hour; left to others.
RESERVE = 0.1
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Quota:
    """Points of GraphQL as GitHub told them at `told`: `remaining` of `limit` until `reset`, all by its clock."""

    limit: int
    remaining: int
    reset: datetime
    told: datetime

    @property
    def reserve(self) -> int:
        """The points that are left to others."""
        return int(self.limit * RESERVE)

    @property
    def ours(self) -> int:
        """What can be spent before the reset."""
        return max(0, self.remaining - self.reserve)

    def waiting(self, points: int) -> timedelta:
        """How long so many points have to be waited for, when every hour brings the same again."""
        missing = points - self.ours
        hours = -(-missing // max(1, self.limit - self.reserve))
        return self.reset - self.told + (hours - 1) * HOUR if missing > 0 else timedelta(0)


class RateLimiter:
    """Lets at most `width` requests run at once, and none while GitHub wants rest; safe to use from any thread.

    `wait` is told how many seconds to rest and may return sooner; `clock` gives seconds; `say` hears of long rests.
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
    def turn(self, purpose: Purpose, allowed: float) -> Iterator[None]:
        """Hold a request until it may be sent. Raises RateLimited where that is more than `allowed` seconds away,
        KeyboardInterrupt once `close` was called.
        """
        with self._changed:
            while self._closed or self._running >= self.width or self._opens > self._clock():
                if self._closed:
                    raise KeyboardInterrupt
                left = self._opens - self._clock()
                if left > allowed:
                    raise _too_long(purpose, left, allowed)
                # Those under way tell when they are through.
                self._wait(left) if left > 0 else self._changed.wait()
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def heard(self, reply: Response) -> None:
        """Take note of what is left; at the reserve, all rest until the reset."""
        allowance = _allowance(reply)
        if allowance is None:
            return
        with self._changed:
            self.allowance = allowance
            if allowance.ours == 0:
                seconds = (allowance.reset - allowance.told).total_seconds()
                words = f"{allowance.remaining} of {allowance.limit} points are left, which are kept for labelling"
                # It is not told when within that second.
                self._rest(seconds + 1, words)

    def stop(self, seconds: float, *, spent: bool) -> None:
        """Let all rest; where it was no matter of the hour's points, half as many go on afterwards."""
        with self._changed:
            if not spent and self._opens <= self._clock():
                self.width = max(1, self.width // 2)
            self._rest(seconds, "GitHub asks for a pause")

    def close(self) -> None:
        """Send no further request: whoever waits is woken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _rest(self, seconds: float, why: str) -> None:
        opens = self._clock() + seconds
        # Several are refused for the same reason at nearly the same time.
        if opens > self._opens + 1:
            self._say(f"{why}: waiting {duration(seconds)}")
        self._opens = max(self._opens, opens)


def _allowance(reply: Response) -> Quota | None:
    """None where GitHub says nothing of it, as a server without limits, or speaks of another one (REST)."""
    told = [reply.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if reply.headers.get("x-ratelimit-resource", "graphql") != "graphql" or not all(map(str.isdecimal, told)):
        return None
    limit, remaining, reset = map(int, told)
    return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC), reply.now)


def _too_long(purpose: Purpose, left: float, allowed: float) -> RateLimited:
    return RateLimited(
        f"cannot {purpose.doing}: GitHub has to be left alone for {left:.0f} s, and a wait may take {allowed:.0f} s",
        likely="the hourly allowance is used up, but for what is kept for labelling",
        retry_at=datetime.now(UTC) + timedelta(seconds=left),
    )
