"""What reading repositories will cost of GitHub's hourly points, told before the first page is asked for."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from triage.github.client import PAGE, Tracker
from triage.github.graphql import PAGE_POINTS
from triage.github.rate_limit import Quota
from triage.issue import Kind
from triage.progress import duration
from triage.sources.cache import Reading, peek
from triage.sources.collect import due, folder_of, since


@dataclass(frozen=True)
class ReadEstimate:
    """What is ahead in one repository: `issues` to be met, those read before a run broke off among them; `pages`
    of them still to come; `points` in all.
    """

    issues: int
    pages: int
    points: int


def estimate_of(tracker: Tracker, work: Path, now: datetime, kinds: Collection[Kind]) -> ReadEstimate:
    """Told from GitHub's counts and from how far the folder in `work` got; one request. Raises what these do."""
    state = peek(folder_of(work, tracker), tracker.repository.node_id)
    counts = tracker.counts(since(state.issues))
    passes = [_ahead(state.reading(kind), counts.items[kind], counts.changed[kind]) for kind in kinds]
    numbers = sum(_pages(counts.items[kind]) for kind in kinds) if due(state.counted_at, now) else 0
    pages = sum(pages for _, pages in passes)
    return ReadEstimate(
        issues=sum(issues for issues, _ in passes),
        pages=pages,
        points=pages * PAGE_POINTS + numbers + _pages(counts.labels),
    )


def plan(loads: Sequence[ReadEstimate], what: str, allowance: Quota | None) -> str:
    """What is ahead, in one line; `what` is read."""
    issues, pages, points = (
        sum(getattr(load, part) for load in loads) for part in ("issues", "pages", "points")
    )
    start = f"reading {what}: {issues:,} issues on about {pages:,} pages, {points:,} points"
    if allowance is None:
        return f"{start}; GitHub names no limit here"
    left = f"{allowance.remaining:,} of {allowance.limit:,} points are left until {allowance.reset:%H:%M} UTC"
    waits = allowance.waiting(points).total_seconds()
    tail = f"about {duration(waits)} have to be waited for more" if waits else "no wait is needed"
    return f"{start}; {left}, {allowance.reserve:,} an hour are kept for labelling; {tail}"


def _ahead(reading: Reading, there: int, changed: int) -> tuple[int, int]:
    """(issues, pages) of the passes to come."""
    if reading.cursor is not None:
        # Another pass follows, over what changed since the one that was broken off began.
        return there, _pages(there - reading.done) + 1
    wanted = changed if reading.watermark else there
    return wanted, _pages(wanted)


def _pages(items: int) -> int:
    return max(1, math.ceil(items / PAGE))
