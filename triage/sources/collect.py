"""Issues of a repository with who labelled them and when, read in bulk: resumable and incremental.

A pass goes through the issues newest first, by when they were opened: an order that does not change, so that
nothing is skipped or met twice while issues come and go. What changes behind the pass's back is met by the next
one, which asks for everything that changed since this one's first page. That moment is the latest change seen on
that page, so it is told by GitHub's clock and this machine's never matters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from triage.github.client import Tracker
from triage.github.errors import NotFound, Rejected
from triage.github.graphql import IssueFilter, Label, LiveIssue, Page
from triage.issue import KINDS, Issue, Kind, format_time, parse_time
from triage.sources.cache import Cache, Reading, Row, opened

# GitHub's replicas and search index may show a change later than it carries as its time.
OVERLAP = timedelta(hours=3)
# With a weekly run, every fourth one.
BETWEEN_COUNTS = timedelta(days=27)

Progress = Callable[[int], Callable[[int], None]]


@dataclass(frozen=True)
class Collected:
    """All issues with their labels' present names and events, newest first.

    `read` counts the issues that were asked for this time, `gone` those found deleted or transferred; `labels`
    are those of the repository by name.
    """

    issues: list[Issue]
    read: int
    gone: int
    labels: Mapping[str, Label] = field(default_factory=dict, compare=False)


def folder_of(work: Path, tracker: Tracker) -> Path:
    """Where in `work` the issues of the tracker's repository lie."""
    return work / tracker.repository.name.replace("/", "__")


def due(counted_at: str | None, now: datetime) -> bool:
    """Whether it is time to compare numbers; a clock that was set back counts as time gone by."""
    return counted_at is not None and abs(now - parse_time(counted_at)) >= BETWEEN_COUNTS


def since(reading: Reading) -> datetime | None:
    """From when on changes are asked for; None where everything is."""
    return parse_time(reading.watermark) - OVERLAP if reading.watermark else None


def collect(
    tracker: Tracker,
    work: Path,
    *,
    now: datetime,
    kinds: Collection[Kind] = frozenset({"issue"}),
    progress: Progress | None = None,
) -> Collected:
    """Bring `work`/OWNER__NAME up to date and return what it holds.

    A run that was broken off goes on where it was; later ones ask only for what changed. When numbers were last
    compared 27 days before `now` or earlier, those that are gone or never told of themselves are found too.
    `progress` makes a listener for so many issues. Raises whatever the tracker does, UsageError where another
    run uses the folder, and DataError where it is damaged or cannot be written; nothing is half applied then.
    """
    repository = tracker.repository
    with opened(folder_of(work, tracker), repository.node_id) as cache:
        read = sum(_catch_up(tracker, cache, kind, progress) for kind in KINDS if kind in kinds)
        rows, gone = _settle(tracker, cache, now, kinds)
    labels = tracker.labels()
    names = {label.id: label.name for label in labels.values()}
    present = sorted(rows.values(), key=lambda row: row.issue.number, reverse=True)
    issues = [_renamed(row, repository.name, names) for row in present if row.issue.kind in kinds]
    return Collected(issues, read, gone, labels)


def _catch_up(tracker: Tracker, cache: Cache, kind: Kind, progress: Progress | None) -> int:
    """Finish the pass under way, if there is one; then read what changed since its beginning."""
    read = 0
    if cache.state.reading(kind).cursor is not None:
        try:
            read = _pass(tracker, cache, kind, progress)
        except Rejected:
            # GitHub does not know the cursor any more: from the top, over the rows that are there.
            started = cache.state.reading(kind)
            cache.advance(kind, (), Reading(watermark=started.watermark))
    return read + _pass(tracker, cache, kind, progress)


def _pass(tracker: Tracker, cache: Cache, kind: Kind, progress: Progress | None) -> int:
    reading = cache.state.reading(kind)
    wanted = IssueFilter(updated_since=since(reading), kind=kind)
    listen: Callable[[int], None] | None = None
    read = 0
    for page in tracker.pages(wanted, reading.cursor):
        reading = _after(reading, page)
        cache.advance(kind, map(_row, page.items), reading)
        read += len(page.items)
        if progress and page.total:
            listen = listen or progress(page.total)
            listen(reading.done if page.more else page.total)
    return read


def _after(reading: Reading, page: Page) -> Reading:
    """How far reading is with this page."""
    reached = reading.reached
    if reading.cursor is None:
        moments = [format_time(live.updated_at) or "" for live in page.items]
        reached = max([*moments, reading.watermark or ""]) or None
    if page.more:
        return Reading(reading.watermark, page.cursor, reached, reading.done + len(page.items))
    return Reading(watermark=reached)


def _settle(
    tracker: Tracker, cache: Cache, now: datetime, kinds: Collection[Kind]
) -> tuple[dict[int, Row], int]:
    """(the rows, how many were gone), in one part; numbers are compared where that is due."""
    rows, counted = cache.rows(), cache.state.counted_at
    # A first pass has just met every number.
    late = due(counted, now)
    gone = _compare(tracker, rows, kinds) if late else 0
    if late or counted is None or len(cache.state.parts) > 1:
        cache.rewrite(rows.values(), format_time(now) if late or counted is None else counted)
    return rows, gone


def _compare(tracker: Tracker, rows: dict[int, Row], kinds: Collection[Kind]) -> int:
    """Drop from `rows` what the repository no longer holds, and add what it holds besides.

    Deleting and transferring leave no trace in `updatedAt`, nor need an issue that came from elsewhere.
    """
    gone = 0
    for kind in kinds:
        there = tracker.numbers(kind)
        of_kind = {n for n, row in rows.items() if row.issue.kind == kind}
        lost = [n for n in of_kind if there.get(n) != rows[n].node_id]
        for number in lost:
            del rows[number]
        gone += len(lost)
        for live in tracker.issues(sorted(set(there) - set(rows))):
            if not isinstance(live, NotFound):
                rows[live.issue.number] = _row(live)
    return gone


def _row(live: LiveIssue) -> Row:
    return Row(live.issue, live.node_id, live.label_ids)


def _renamed(row: Row, repo: str, names: Mapping[str, str]) -> Issue:
    """The issue under its repository's and labels' present `names` by id; deleted labels are left out."""
    present = {old: names.get(label_id) for old, label_id in row.label_ids.items()}
    events = [(event, present.get(event.label, event.label)) for event in row.issue.events or ()]
    labels = (present.get(name, name) for name in row.issue.labels)
    return dataclasses.replace(
        row.issue,
        repo=repo,
        labels=tuple(dict.fromkeys(name for name in labels if name)),
        events=tuple(dataclasses.replace(event, label=name) for event, name in events if name),
    )
