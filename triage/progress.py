"""Progress of long work: a bar on a terminal, plain lines in a log, and a sign of life where nothing can be counted."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from triage import console
from triage.console import harmless, status

T = TypeVar("T")
# Seconds between two lines of a bar in a log, and after which a stage speaks where none came: no five are silent.
SECONDS_BETWEEN_LINES = 4.0
MOST_SILENT = 4.8
# The time of work that is too short for any line.
AT_ONCE = 1.0
# Seconds after which a stage that must not speak looks again.
SOON = 0.1
# The stages that the program is in, the innermost last.
_stages: list[object] = []


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Say on standard error what goes on, and for how long, whenever nothing else was shown for almost five seconds.

    Of stages within each other the innermost speaks; what was silent before the outermost does not count.
    """
    if console.is_quiet():
        yield
        return
    mark, ended = object(), threading.Event()
    if not _stages:
        console.shown()
    _stages.append(mark)
    threading.Thread(target=_give_signs, args=(title, mark, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        _stages.remove(mark)


def _give_signs(title: str, mark: object, ended: threading.Event) -> None:
    started = time.monotonic()
    while not ended.wait(max(SOON, MOST_SILENT - console.silent_for())):
        if console.silent_for() >= MOST_SILENT and _stages[-1:] == [mark]:
            _between_bars(f"{title}: {duration(time.monotonic() - started)} so far")


def _between_bars(text: str) -> None:
    if not sys.stderr.isatty():
        status(text)
        return
    from tqdm import tqdm

    with tqdm.external_write_mode():
        status(text)


def counted(items: Iterable[T], report: Callable[[int], None] | None) -> Iterator[T]:
    """The items, with `report` called with how many there were so far."""
    for done, item in enumerate(items, start=1):
        if report:
            report(done)
        yield item


def bar(title: str, total: int, unit: str = "issues", *, start: int = 0) -> Callable[[int], None]:
    """A function that takes the number done of `total` and shows it on standard error.

    `start` were done by an earlier run and do not count for the speed.
    """
    if console.is_quiet():
        return lambda _: None
    if not sys.stderr.isatty():
        return _Lines(title, total, start)
    from tqdm import tqdm

    # tqdm writes to the terminal itself; only the title may hold text from outside.
    shown = tqdm(total=total, initial=start, desc=harmless(title), unit=f" {unit}", leave=True)

    def update(done: int) -> None:
        console.shown()
        shown.update(done - shown.n)
        if done >= total:
            shown.close()

    return update


class Shared:
    """One progress bar for parts that are processed at the same time."""

    def __init__(self, title: str, total: int) -> None:
        self._report, self._total, self._done = bar(title, total), total, 0
        self._lock = threading.Lock()

    def part(self, _total: int) -> Callable[[int], None]:
        """A function, for any thread, that takes the number done of a part."""
        before = 0

        def report(done: int) -> None:
            nonlocal before
            with self._lock:
                self._done, before = self._done + done - before, done
                # A part may be larger than estimated; only `finish` reports the end.
                self._report(min(self._done, self._total - 1))

        return report

    def finish(self) -> None:
        """Report the end of all parts."""
        self._report(self._total)


def duration(seconds: float) -> str:
    """A rounded duration: 40 s, 12 minutes, 3.5 hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


class _Lines:
    def __init__(self, title: str, total: int, start: int) -> None:
        self.title, self.total, self.start = title, total, start
        self.started = self.said = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        too_soon = now - self.said < SECONDS_BETWEEN_LINES and done < self.total
        if too_soon or now - self.started < AT_ONCE:
            return
        self.said = now
        rate = (done - self.start) / max(1e-6, now - self.started)
        left = (self.total - done) / max(1e-6, rate)
        tail = f", {duration(left)} left" if done < self.total else f" in {duration(now - self.started)}"
        speed = f"{rate:.0f}/s" if rate >= 1 else f"{60 * rate:.2g}/min"
        status(f"{self.title}: {done} of {self.total}, {speed}{tail}")
