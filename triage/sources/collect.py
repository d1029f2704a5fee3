"""Reading a repository's issues with their label history in bulk, resumable and incremental; and its cost.

A pass reads the issues newest first by creation date, an order that does not change: no issue is skipped or read
twice while others come and go. Issues that change behind a pass are read by the next one, which asks for all
changes since the first page of this one. That moment is the latest change on that page: GitHub's clock dates it,
and this machine's clock never matters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from triage.github.client import PAGE, Tracker
from triage.github.errors import NotFound, Rejected
from triage.github.graphql import ANSWERS_POINTS, PAGE_POINTS, IssueFilter, Label, LiveIssue, Page
from triage.github.issue_types import with_types
from triage.github.rate_limit import Quota
from triage.issue import FILES_LEARNT, KINDS, Issue, Kind, Names, RepositoryIds, format_time
from triage.progress import duration
from triage.schema import parse_time
from triage.sources.cache import Cache, Reading, Row, opened, peek

# GitHub's replicas and search index may show a change later than the time that it is dated with.
OVERLAP = timedelta(hours=3)
# With a weekly run, every fourth one.
BETWEEN_COUNTS = timedelta(days=27)

Progress = Callable[[int], Callable[[int], None]]


@dataclass(frozen=True)
class Collected:
    """All issues with their events and the present names of their labels, newest first; the repository's labels by
    name, and what is recorded of both.
    """

    issues: list[Issue]
    labels: Mapping[str, Label] = field(default_factory=dict, compare=False)
    ids: RepositoryIds = field(default=RepositoryIds("", ""), compare=False)


def folder_of(work: Path, tracker: Tracker) -> Path:
    """The folder in `work` with the issues of the tracker's repository."""
    return work / tracker.repository.name.replace("/", "__")


def due(counted_at: str | None, now: datetime) -> bool:
    """Whether it is time to compare numbers; a clock that was set back counts as time passed."""
    return counted_at is not None and abs(now - parse_time(counted_at)) >= BETWEEN_COUNTS


def since(reading: Reading) -> datetime | None:
    """The moment from which changes are read; None: read all issues."""
    return parse_time(reading.watermark) - OVERLAP if reading.watermark else None


def collect(
    tracker: Tracker,
    work: Path,
    *,
    now: datetime,
    kinds: Collection[Kind] = frozenset({"issue"}),
    answers: bool = False,
    types: bool = False,
    progress: Progress | None = None,
) -> Collected:
    """Bring the folder `work`/OWNER__NAME up to date and return its issues; pull requests with FILES_LEARNT files.

    An interrupted run resumes; later runs read only changes. If issue numbers were last compared 27 days or more before
    `now`, deleted and transferred issues are found as well. `answers` as in `IssueFilter`. With `types`, the
    types of issues are read too, all of them each time. `progress` is called with a number of issues and returns a
    function to call with the number done. Raises what the tracker raises, UsageError where another run uses the folder,
    and DataError where it is damaged or cannot be written; the folder stays usable.
    """
    repository = tracker.repository
    tracker.most_files = FILES_LEARNT
    with opened(folder_of(work, tracker), repository.node_id) as cache:
        for kind in (kind for kind in KINDS if kind in kinds):
            _catch_up(tracker, cache, IssueFilter(kind=kind, answers=answers), progress)
        rows = _settle(tracker, cache, now, kinds)
    # Only from here on, since a row that was read without its type is not read again.
    tracker.with_types = types
    labels = tracker.labels()
    names = {label.id: label.name for label in labels.values()}
    present = sorted(rows.values(), key=lambda row: row.issue.number, reverse=True)
    issues = [_renamed(row, repository.name, names) for row in present if row.issue.kind in kinds]
    if tracker.with_types and issues:
        issues = with_types(tracker, issues, names)
    return Collected(issues, labels, tracker.ids(labels))


def _catch_up(tracker: Tracker, cache: Cache, wanted: IssueFilter, progress: Progress | None) -> None:
    """Finish an interrupted pass, if there is one; then read the changes since it began."""
    kind = wanted.kind
    if cache.state.reading(kind).cursor is not None:
        try:
            _pass(tracker, cache, wanted, progress)
        except Rejected:
            # GitHub no longer accepts the cursor: start again over the rows read so far.
            cache.advance(kind, (), Reading(watermark=cache.state.reading(kind).watermark))
    _pass(tracker, cache, wanted, progress)


def _pass(tracker: Tracker, cache: Cache, wanted: IssueFilter, progress: Progress | None) -> None:
    kind, reading = wanted.kind, cache.state.reading(wanted.kind)
    wanted = dataclasses.replace(wanted, updated_since=since(reading))
    listen: Callable[[int], None] | None = None
    for page in tracker.pages(wanted, reading.cursor):
        reading = _after(reading, page)
        cache.advance(kind, map(_row, page.items), reading)
        if progress and page.total:
            listen = listen or progress(page.total)
            listen(reading.done if page.more else page.total)


def _after(reading: Reading, page: Page) -> Reading:
    """The state of reading after this page."""
    reached = reading.reached
    if reading.cursor is None:
        moments = [format_time(live.updated_at) or "" for live in page.items]
        reached = max([*moments, reading.watermark or ""]) or None
    if page.more:
        return Reading(reading.watermark, page.cursor, reached, reading.done + len(page.items))
    return Reading(watermark=reached)


def _settle(tracker: Tracker, cache: Cache, now: datetime, kinds: Collection[Kind]) -> dict[int, Row]:
    """The rows, rewritten as one part, after numbers are compared if that is due."""
    rows, counted_at = cache.rows(), cache.state.counted_at
    if due(counted_at, now):
        _compare(tracker, rows, kinds)
        counted_at = None
    # A first pass has just read every number.
    if counted_at is None or len(cache.state.parts) > 1:
        cache.rewrite(rows.values(), counted_at or format_time(now))
    return rows


def _compare(tracker: Tracker, rows: dict[int, Row], kinds: Collection[Kind]) -> None:
    """Drop issues from `rows` that the repository no longer has, and add those that `rows` lacks.

    Deletion and transfer leave no trace in `updatedAt`, and neither does every issue transferred from elsewhere.
    """
    for kind in kinds:
        there = tracker.numbers(kind)
        gone = [n for n, row in rows.items() if row.issue.kind == kind and there.get(n) != row.node_id]
        for number in gone:
            del rows[number]
        for live in tracker.issues(sorted(set(there) - set(rows))):
            if not isinstance(live, NotFound):
                rows[live.issue.number] = _row(live)


def _row(live: LiveIssue) -> Row:
    return Row(live.issue, live.node_id, live.label_ids)


def _renamed(row: Row, repo: str, names: Mapping[str, str]) -> Issue:
    """The issue with the present names of repository and labels (`names` by id), without deleted labels."""
    present = Names({old: names.get(label_id) for old, label_id in row.label_ids.items()})
    events = [(event, present.get(event.label, event.label)) for event in row.issue.events or ()]
    labels = (present.get(name, name) for name in row.issue.labels)
    return dataclasses.replace(
        row.issue,
        repo=repo,
        labels=tuple(dict.fromkeys(name for name in labels if name)),
        events=tuple(dataclasses.replace(event, label=name) for event, name in events if name),
    )


@dataclass(frozen=True)
class ReadEstimate:
    """What reading one repository will take: `issues` in all, with those that an interrupted run has read already;
    the `pages` still to read, and the `points` of GitHub's hourly allowance that these cost.
    """

    issues: int
    pages: int
    points: int


def estimate_of(
    tracker: Tracker, work: Path, now: datetime, kinds: Collection[Kind], *, answers: bool = False
) -> ReadEstimate:
    """The estimate from GitHub's counts and the state of the folder in `work`, with one request."""
    state = peek(folder_of(work, tracker), tracker.repository.node_id)
    counts = tracker.counts(since(state.issues))
    passes = [_ahead(state.reading(kind), counts.items[kind], counts.changed[kind]) for kind in kinds]
    numbers = sum(_pages(counts.items[kind]) for kind in kinds) if due(state.counted_at, now) else 0
    pages = sum(pages for _, pages in passes)
    points = sum(
        pages * (PAGE_POINTS[kind] + answers * ANSWERS_POINTS[kind])
        for kind, (_, pages) in zip(kinds, passes, strict=True)
    )
    return ReadEstimate(
        issues=sum(issues for issues, _ in passes),
        pages=pages,
        points=points + numbers + _pages(counts.labels),
    )


def describe(estimates: Sequence[ReadEstimate], what: str, allowance: Quota | None) -> str:
    """The cost of reading `what`, in one line."""
    issues = sum(estimate.issues for estimate in estimates)
    pages = sum(estimate.pages for estimate in estimates)
    points = sum(estimate.points for estimate in estimates)
    start = f"reading {what}: {issues:,} issues on about {pages:,} pages, {points:,} points"
    if allowance is None:
        return f"{start}; this GitHub sets no limit"
    left = f"{allowance.remaining:,} of {allowance.limit:,} points are left until {allowance.reset:%H:%M} UTC"
    waits = allowance.waiting(points).total_seconds()
    tail = f"waiting for more takes about {duration(waits)}" if waits else "no wait is needed"
    return f"{start}; {left}, {allowance.reserve:,} an hour are kept for labelling; {tail}"


def _ahead(reading: Reading, count: int, changed: int) -> tuple[int, int]:
    """(issues, pages) of the passes still to be made."""
    if reading.cursor is not None:
        # Another pass follows, over the changes since the interrupted one began.
        return count, _pages(count - reading.done) + 1
    wanted = changed if reading.watermark else count
    return wanted, _pages(wanted)


def _pages(items: int) -> int:
    return max(1, math.ceil(items / PAGE))
