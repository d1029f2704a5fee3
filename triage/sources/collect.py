"""Reading a repository's issues with their label history in bulk, resumable and incremental; and its cost.

A pass reads the issues newest first by creation date, an order that does not change: no issue is skipped or read
twice while others come and go. Issues that change behind a pass are read by the next one, which asks for all
changes since the first page of this one. That moment is the latest change on that page: GitHub's clock dates it,
and this machine's clock never matters.

What was read stays in a cache in the work folder, which is consistent if a run is killed at any moment:

    state.json            the state of reading, and the parts that are valid
    issues-000001.jsonl   rows in the order in which they were read; a later row of an issue replaces an earlier one
    lock                  held by the run that uses the folder

The rows of a page become valid when the new `state.json` replaces the old one; their part is written before. Issue
text is stored in this folder only, never in a bundle.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from triage.console import duration
from triage.errors import DataError
from triage.files import lock, read, write
from triage.github.client import PAGE, Tracker
from triage.github.errors import NotFound, Rejected
from triage.github.graphql import ANSWERS_POINTS, PAGE_POINTS, IssueFilter, Label, LiveIssue, Page
from triage.github.issue_types import with_types
from triage.github.rate_limit import Quota
from triage.issue import FILES_LEARNT, KINDS, Issue, Kind, Names, RepositoryIds, format_time
from triage.rows import from_row, to_row
from triage.schema import SchemaError, build, convert, decoded, option, parse_time

# GitHub's replicas and search index may show a change later than the time that it is dated with.
OVERLAP = timedelta(hours=3)
# With a weekly run, every fourth one.
BETWEEN_COUNTS = timedelta(days=27)
FORMAT = 3
STATE = "state.json"
PART = re.compile(r"issues-[0-9]{6}\.jsonl")
# A part has rows of issues with the history of their labels; the state names some thousands of parts.
MAX_LINE, MAX_STATE = 64_000_000, 16_000_000
START_OVER = "delete the folder; all issues are then read again"

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
    if answers:
        # What was answered is found under the present names of the labels.
        tracker.labels()
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
        latest = max((live.updated_at for live in page.items), default=None)
        reached = max(format_time(latest) or "", reading.watermark or "") or None
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
    then = (*row.issue.labels, *(event.label for event in row.issue.events or ()))
    present = Names({old: names.get(label_id) for old, label_id in row.label_ids.items()}).among(then)
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
    start = f"reading {what}: {issues:,} issues in about {pages:,} requests, for {points:,} points of the rate limit"
    if allowance is None:
        return f"{start}; this GitHub sets no limit"
    left = f"{allowance.remaining:,} of {allowance.limit:,} are left until {allowance.reset:%H:%M} UTC"
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


@dataclass(frozen=True)
class Row:
    """An issue as it was read; `label_ids` are the ids of its labels by their names at that time."""

    issue: Issue
    node_id: str
    label_ids: Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """The state of reading one kind of item. Moments are by GitHub's clock, in ISO 8601.

    The rows have all changes before `watermark` (None: no pass is complete yet). During a pass, `cursor` is where it
    resumes, `reached` becomes the watermark when it is complete, and `done` counts the items it has read.
    """

    watermark: str | None = None
    cursor: str | None = None
    reached: str | None = None
    done: int = option(0, "", low=0)


@dataclass(frozen=True)
class State:
    """`repository` is the node id; `counted_at` is when numbers were last compared, by this machine's clock."""

    repository: str
    format: int = FORMAT
    parts: tuple[str, ...] = ()
    issues: Reading = field(default_factory=Reading)
    pull_requests: Reading = field(default_factory=Reading)
    counted_at: str | None = None

    def reading(self, kind: Kind) -> Reading:
        """The state of reading this kind of item."""
        return {"issue": self.issues, "pull request": self.pull_requests}[kind]

    def with_reading(self, kind: Kind, reading: Reading) -> State:
        """This state with another state of reading for one kind of item."""
        if kind == "pull request":
            return dataclasses.replace(self, pull_requests=reading)
        return dataclasses.replace(self, issues=reading)


class Cache:
    """The rows of one repository and the state of reading them; see `opened`."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder, self.state = folder, state

    def advance(self, kind: Kind, rows: Iterable[Row], reading: Reading) -> None:
        """Store a page's rows and the state after it, both or neither."""
        parts = (*self.state.parts, *self._part(rows))
        self._replace(dataclasses.replace(self.state.with_reading(kind, reading), parts=parts))

    def rows(self) -> dict[int, Row]:
        """The newest row of every issue, by number. Raises DataError for a damaged part."""
        rows: dict[int, Row] = {}
        for part in self.state.parts:
            path = self.folder / part
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=1):
                    row = _parsed(line, f"{path}, line {number}")
                    rows[row.issue.number] = row
        return rows

    def rewrite(self, rows: Iterable[Row], counted_at: str | None) -> None:
        """Replace all rows by these, in one part."""
        self._replace(dataclasses.replace(self.state, parts=self._part(rows), counted_at=counted_at))

    def _part(self, rows: Iterable[Row]) -> tuple[str, ...]:
        """The name of a new part with these rows; empty without rows."""
        text = "".join(map(_line, rows))
        if not text:
            return ()
        last = int(self.state.parts[-1][7:13]) if self.state.parts else 0
        name = f"issues-{last + 1:06d}.jsonl"
        write(self.folder / name, text.encode())
        return (name,)

    def _replace(self, state: State) -> None:
        write(self.folder / STATE, (json.dumps(dataclasses.asdict(state), indent=1) + "\n").encode())
        self.state = state
        for path in self.folder.glob("issues-*.jsonl"):
            if path.name not in state.parts:
                path.unlink()


@contextmanager
def opened(folder: Path, repository: str) -> Iterator[Cache]:
    """The cache in `folder`, created if there is none, and locked.

    The cache of another repository of the same name is dropped. Raises UsageError where another run holds the lock,
    DataError where the folder cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("wb") as file:
            lock(file, f"{folder}: another run is reading into it")
            yield Cache(folder, peek(folder, repository))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{folder}: cannot be used ({getattr(error, 'strerror', None) or error})",
            likely="the disk is full, the folder may not be written to, or it was damaged",
            next_step=f"make room or choose another folder; if it is damaged, {START_OVER}",
        ) from None


def peek(folder: Path, repository: str) -> State:
    """The state of reading, without the lock; that of a new folder if the format or the repository is another one.

    Raises DataError where it is damaged.
    """
    path = folder / STATE
    try:
        data = decoded(read(path, MAX_STATE))
        is_ours = isinstance(data, dict) and data.get("format") == FORMAT
        state = _checked(build(State, data)) if is_ours or not isinstance(data, dict) else None
    except FileNotFoundError:
        state = None
    except (OSError, SchemaError) as error:
        raise DataError(f"{path}: damaged ({error})", next_step=START_OVER) from None
    return state if state and state.repository == repository else State(repository)


def _checked(state: State) -> State:
    """The state, if its dates are dates and its parts are files of the folder. Raises SchemaError."""
    moments = {"counted_at": state.counted_at}
    for name, reading in (("issues", state.issues), ("pull_requests", state.pull_requests)):
        moments |= {f"{name}.watermark": reading.watermark, f"{name}.reached": reading.reached}
    for path, moment in moments.items():
        if moment is not None:
            convert(datetime, moment, path)
    if wrong := next((part for part in state.parts if not PART.fullmatch(part)), None):
        raise SchemaError(f"in 'parts': expected names such as issues-000001.jsonl, found {wrong!r:.60}")
    return state


@dataclass(frozen=True)
class _Ids:
    node_id: str
    label_ids: dict[str, str]


def _parsed(line: bytes, where: str) -> Row:
    try:
        data = decoded(line)
        ids = build(_Ids, data, strict=False)
        return Row(from_row(data, where=where), ids.node_id, ids.label_ids)
    except SchemaError as error:
        raise DataError(f"{where}: not a row of a cache ({error})", next_step=START_OVER) from None
    except DataError as error:
        raise DataError(f"{where}: not a row of a cache ({error.what})", next_step=START_OVER) from None


def _line(row: Row) -> str:
    data = to_row(row.issue) | {"node_id": row.node_id, "label_ids": dict(row.label_ids.items())}
    return json.dumps(data) + "\n"
