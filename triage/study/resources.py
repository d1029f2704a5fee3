"""What a piece of work costs: seconds by the clock and of the processor, and how far memory rises."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATM = Path("/proc/self/statm")
BETWEEN = 0.02


@dataclass
class Resources:
    """`seconds` by the clock, `cpu` of all cores together, which other work on the machine hardly changes; `memory`
    in MB above what was in use at the start (None: this system does not tell).
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: float | None = None


@contextmanager
def metered() -> Iterator[Resources]:
    """Fills in what it yields when the work is done; memory is looked at every 20 ms."""
    cost, done, start = Resources(), threading.Event(), _resident()
    peak = [start]

    def watch() -> None:
        while not done.wait(BETWEEN):
            peak[0] = max(peak[0] or 0.0, _resident() or 0.0)

    watcher = threading.Thread(target=watch, daemon=True) if start is not None else None
    if watcher:
        watcher.start()
    began, worked = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost.seconds, cost.cpu = time.perf_counter() - began, time.process_time() - worked
        done.set()
        if watcher and start is not None:
            watcher.join()
            cost.memory = max(0.0, max(peak[0] or 0.0, _resident() or 0.0) - start)


def _resident() -> float | None:
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return None
