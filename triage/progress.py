"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

# In a log, one line this often, and none for what is done at once.
SECONDS_BETWEEN_LINES = 15.0
AT_ONCE = 1.0


def bar(title: str, total: int, unit: str = "issues") -> Callable[[int], None]:
    """A function to be told how much of `total` is done; draws on standard error."""
    return _Bar(title, total, unit) if sys.stderr.isatty() else _Lines(title, total)


class Shared:
    """One bar over parts that are worked on at the same time, each of which tells how much of itself is done."""

    def __init__(self, title: str, total: int) -> None:
        self._tell, self._total, self._done = bar(title, total), total, 0
        self._lock = threading.Lock()

    def part(self, _total: int) -> Callable[[int], None]:
        """A function to be told how much of a part is done, from any thread."""
        before = 0

        def tell(done: int) -> None:
            nonlocal before
            with self._lock:
                self._done, before = self._done + done - before, done
                # There may be more than was counted beforehand; the end is told once.
                self._tell(min(self._done, self._total - 1))

        return tell

    def finish(self) -> None:
        """All parts are done."""
        self._tell(self._total)


def duration(seconds: float) -> str:
    """In words, rounded: 40 s, 12 minutes, 3.5 hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


# Both take the first number that they are told as where this run began: an earlier one may have done that much.
class _Bar:
    def __init__(self, title: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc=title, unit=f" {unit}", leave=True)
        self._told = False

    def __call__(self, done: int) -> None:
        if not self._told and done < (self._bar.total or 0):
            self._bar.initial = self._bar.n = self._bar.last_print_n = done
            self._bar.refresh()
        self._told = True
        self._bar.update(done - self._bar.n)
        if done >= (self._bar.total or 0):
            self._bar.close()


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.said = time.monotonic()
        self.first: tuple[float, int] | None = None

    def __call__(self, done: int) -> None:
        now, ended = time.monotonic(), done >= self.total
        since, before = self.first or (self.started, 0)
        told = self.first is not None or ended
        self.first = self.first or (now, done)
        if now - self.started < AT_ONCE or not (ended or now - self.said >= SECONDS_BETWEEN_LINES):
            return
        self.said = now
        rate = (done - before) / max(1e-6, now - since)
        pace = f", {rate:.0f}/s" if told else ""
        left = f", {duration((self.total - done) / rate)} left" if told and rate else ""
        tail = f" in {duration(now - self.started)}" if ended else left
        print(f"{self.title}: {done} of {self.total}{pace}{tail}", file=sys.stderr, flush=True)
