"""Past issues of a repository, from a file or from GitHub, in batches after which reading can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from triage.console import warning
from triage.errors import DataError, UsageError
from triage.github.client import Tracker
from triage.github.errors import NotFound, Rejected, no_such_issues
from triage.github.graphql import IssueFilter, LiveIssue, Page
from triage.issue import KINDS, Issue, Kind, fold, folded, native
from triage.sources.issue_file import iter_issues

# Issues of a file in a batch.
BATCH = 256
# Issues in a batch where each is requested by its number.
NUMBERS = 50

# The names of kinds in the places of a plan.
PLACES: dict[Kind, str] = {"issue": "issues", "pull request": "pulls", "discussion": "discussions"}

MaySet = Callable[[str], str | None]


@dataclass(frozen=True)
class Selection:
    """Which issues: opened from `since` up to and excluding `until`, in that `state`, with one of `labels`, among
    `numbers`; `unlabelled`: without any label that the bot may set. Of these the newest `limit`, and of those the ones
    whose number modulo `shard[1]` is `shard[0] - 1`.
    """

    since: datetime | None = None
    until: datetime | None = None
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    unlabelled: bool = False
    numbers: frozenset[int] | None = None
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)

    def takes(self, issue: Issue, may_set: MaySet) -> bool:
        """Whether the issue matches all but `state`, `limit` and `shard`; one without a date is outside all bounds."""
        at = issue.created_at
        return not (
            (self.since and (at is None or at < self.since))
            or (self.until and (at is None or at >= self.until))
            or (self.labels and not folded(self.labels) & folded(issue.labels))
            or (self.unlabelled and any(may_set(n) is None and not native(n) for n in issue.labels))
            or (self.numbers is not None and issue.number not in self.numbers)
        )

    def shares(self, number: int) -> bool:
        """Whether the issue belongs to this shard."""
        return number % self.shard[1] == self.shard[0] - 1


@dataclass(frozen=True)
class PastIssue:
    """An issue, and whether it is locked (None: unknown)."""

    issue: Issue
    locked: bool | None = None


@dataclass(frozen=True)
class Batch:
    """Issues, and the place to resume reading after them; there are at most `total` issues in all."""

    items: tuple[PastIssue, ...]
    place: str
    total: int


@dataclass(frozen=True)
class FileRows:
    """The rows of a file, called `name` in messages.

    `repo` is that of rows that do not name theirs; rows of others are left out.
    """

    path: Path
    name: str
    repo: str = ""
    skip_bad: bool = False

    def read(self, warn: Callable[[str], None] | None = None) -> Iterator[Issue]:
        """The issues, one at a time."""
        rows = iter_issues(self.path, repo=self.repo, skip_bad=self.skip_bad, warn=warn, name=self.name)
        for issue in rows:
            if not self.repo or fold(issue.repo) == fold(self.repo):
                yield issue


@dataclass(frozen=True)
class FileOfIssues:
    """Issues of `repo` in a file: `chosen` rows, counted from 0, are taken; `digest` is the sha256 of its bytes."""

    rows: FileRows
    repo: str
    chosen: frozenset[int]
    digest: str

    def batches(self, place: str) -> Iterator[Batch]:
        """The chosen issues from `place` on ("": from the beginning); memory does not grow with their number."""
        start = int(place or 0)
        rows = ((i, issue) for i, issue in enumerate(self.rows.read()) if i >= start)
        wanted = ((i, issue) for i, issue in rows if i in self.chosen)
        while batch := list(islice(wanted, BATCH)):
            yield Batch(
                tuple(PastIssue(issue) for _, issue in batch), str(batch[-1][0] + 1), len(self.chosen)
            )


def of_file(file: FileRows, wanted: Selection, may_set: MaySet) -> FileOfIssues:
    """Choose the issues of a file. A later row of an issue replaces an earlier one.

    Raises UsageError for a
    state, which files do not have, and for several repositories, DataError if no issue is left.
    """
    if wanted.state != "all":
        raise UsageError("a file does not say which issues are open", next_step="omit --state")
    name, rows = "", dict[int, int]()
    for i, issue in enumerate(file.read(warning)):
        name = name or issue.repo
        if fold(issue.repo) != fold(name):
            raise UsageError(
                f"{file.name}: holds issues of {name} and of {issue.repo}; a plan is for one repository",
                next_step=f"choose one, such as --repo-of-rows {name}",
            )
        rows.pop(issue.number, None)
        if wanted.takes(issue, may_set):
            rows[issue.number] = i
    newest = sorted(rows, reverse=True)[: wanted.limit]
    chosen = frozenset(rows[number] for number in newest if wanted.shares(number))
    if not rows:
        raise DataError(
            f"{file.name}: holds no such issue",
            likely="no issue matches the filters"
            if name
            else "it is empty, or holds issues of other repositories",
            next_step="check --since and the other filters"
            if name
            else "check how it was written, and --repo-of-rows",
        )
    with file.path.open("rb") as content:
        return FileOfIssues(file, name, chosen, hashlib.file_digest(content, "sha256").hexdigest())


def grouped(batches: Iterable[Batch], least: int) -> Iterator[Batch]:
    """The same issues in batches of at least `least`, except for the last batch."""
    items: list[PastIssue] = []
    batch: Batch | None = None
    for batch in batches:
        items += batch.items
        if len(items) >= least:
            yield replace(batch, items=tuple(items))
            items.clear()
    if batch and items:
        yield replace(batch, items=tuple(items))


def of_repository(
    tracker: Tracker,
    wanted: Selection,
    may_set: MaySet,
    place: str,
    kinds: Collection[Kind],
) -> Iterator[Batch]:
    """The chosen items from `place` on ("": from the beginning), one kind after the other, newest first."""
    if wanted.numbers is not None:
        yield from _numbered(tracker, wanted, may_set, place)
        return
    first, taken, cursor = _read(place)
    for kind in (later for later in KINDS[KINDS.index(first) :] if later in kinds):
        query = IssueFilter(
            since=wanted.since,
            until=wanted.until,
            state=wanted.state,
            labels=wanted.labels,
            kind=kind,
            # What was refused stays so, also where suggestions are switched off by now.
            answers=True,
        )
        for page in _pages(tracker, query, cursor if kind == first and cursor else None):
            room = None if wanted.limit is None else wanted.limit - taken
            chosen = [live for live in page.items if wanted.takes(live.issue, may_set)][:room]
            taken += len(chosen)
            place = f"{PLACES[kind]} {taken} {page.cursor}"
            yield Batch(_of_shard(chosen, wanted), place, wanted.limit or page.total)
            if wanted.limit is not None and taken >= wanted.limit:
                return


def _pages(tracker: Tracker, query: IssueFilter, after: str | None) -> Iterator[Page]:
    """The pages of a kind; none of discussions where the server, or the repository, has none."""
    try:
        yield from tracker.pages(query, after=after)
    except Rejected as rejected:
        if query.kind != "discussion":
            raise
        warning(f"discussions are left out: {rejected.what}")


def _read(place: str) -> tuple[Kind, int, str]:
    name, taken, cursor = place.split(" ", 2) if place else (PLACES["issue"], "0", "")
    return next(kind for kind in KINDS if PLACES[kind] == name), int(taken), cursor


def _numbered(tracker: Tracker, wanted: Selection, may_set: MaySet, place: str) -> Iterator[Batch]:
    """Issues by their numbers, newest first; those that do not exist are left out. Raises NotFound where none does."""
    taken, below = (int(part) for part in (place or "0 0").split())
    found = bool(place)
    numbers = sorted(wanted.numbers or (), reverse=True)
    rest = iter([number for number in numbers if not below or number < below])
    while chunk := list(islice(rest, NUMBERS)):
        room = None if wanted.limit is None else wanted.limit - taken
        lives = tracker.issues(chunk, answers=True)
        existing = [live for live in lives if not isinstance(live, NotFound)]
        found = found or bool(existing)
        fits = [live for live in existing if wanted.state in ("all", live.state)]
        chosen = [live for live in fits if wanted.takes(live.issue, may_set)][:room]
        taken += len(chosen)
        yield Batch(_of_shard(chosen, wanted), f"{taken} {chunk[-1]}", len(numbers))
        if wanted.limit is not None and taken >= wanted.limit:
            return
    if not found:
        raise no_such_issues(tracker.repo, numbers[::-1])


def _of_shard(chosen: Iterable[LiveIssue], wanted: Selection) -> tuple[PastIssue, ...]:
    return tuple(PastIssue(live.issue, live.locked) for live in chosen if wanted.shares(live.issue.number))
