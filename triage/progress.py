"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

# In a log, one line this often.
SECONDS_BETWEEN_LINES = 15.0


def bar(title: str, total: int) -> Callable[[int], None]:
    """A function to be told how much of `total` is done; draws on standard error."""
    return _Bar(title, total) if sys.stderr.isatty() else _Lines(title, total)


class _Bar:
    def __init__(self, title: str, total: int) -> None:
        self._bar = tqdm(total=total, desc=title, unit=" issues", leave=True)

    def __call__(self, done: int) -> None:
        self._bar.update(done - self._bar.n)
        if done >= (self._bar.total or 0):
            self._bar.close()


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.said = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if done < self.total and now - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = now
        took = now - self.started
        # What came with the first look took no time that could be told.
        speed = f", {done / took:.0f}/s" if took >= 1 else ""
        left = (self.total - done) * took / max(1, done)
        tail = f", {left:.0f} s left" if done < self.total else f" in {took:.0f} s"
        print(f"{self.title}: {done} of {self.total}{speed}{tail}", file=sys.stderr, flush=True)
