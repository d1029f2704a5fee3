"""Undoing: removes the labels that a backfill, or the bot since a moment, set, unless anyone has touched them since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from triage.backfill.journal import (
    Job,
    Journal,
    JournalRecord,
    JournalTask,
    PendingChange,
    Throttle,
    WrittenLabel,
    read_journal,
    run_job,
)
from triage.console import stage, status
from triage.errors import DataError, UsageError
from triage.github.client import Tracker
from triage.github.errors import NotFound
from triage.github.graphql import Actor, IssueFilter, LiveIssue
from triage.github.open import AN_HOUR, open_tracker
from triage.issue import KINDS, fold, folded, format_time, is_category, is_type
from triage.label.writer import IssueEdit, LabelWriter
from triage.options import UndoOptions
from triage.schema import parse_time

NOT_SET = "the backfill did not set it"
NOT_FOUND = f"{NOT_SET}, or it was renamed since: the journal does not have its id"


def undo(options: UndoOptions) -> int:
    """Remove the labels, newest issue first; see `run_job`. Raises DataError for a journal of another kind."""
    if options.undone:
        before = _backfilled(options.undone)
        path = options.undone.with_suffix(".undo.jsonl")
        tracker = open_tracker(before.task.repo, AN_HOUR)
        viewer = tracker.viewer()
    else:
        tracker = open_tracker(options.repo, AN_HOUR)
        tracker.with_types = True
        # GitHub's clock is known from its first answer.
        viewer = tracker.viewer()
        before, path = _since(tracker, viewer, options)
    repo = before.task.repo
    tracker.with_discussions = tracker.with_types = True
    writer, throttle = LabelWriter(tracker, viewer.login), Throttle(options.per_minute)
    if any(map(is_category, chain(*before.written.values()))):
        tracker.with_categories = True
        writer.available = tracker.labels()
    undoer = Undoer(writer, before, options.dry_run)
    numbers = ((number, number) for number in reversed(before.written))
    path = options.journal or path
    job = Job(
        "removing",
        "undone",
        repo,
        len(before.written),
        path,
        options.dry_run,
        options.json,
        whole=True,
        # The bot may have set more labels since an earlier run of the same day.
        again=not options.undone,
    )
    task = JournalTask("undo", repo, before.task.of, writer.me)
    return run_job(job, task, numbers, undoer, throttle)


def _backfilled(path: Path) -> Journal:
    """The journal of a backfill. Raises DataError."""
    before = read_journal(path)
    if before.task.task != "backfill":
        raise DataError(
            f"{path}: not the journal of a backfill",
            likely="it is the journal of an undo",
            next_step="give the journal that `triage backfill --apply` wrote",
        )
    return before


def _since(tracker: Tracker, viewer: Actor, options: UndoOptions) -> tuple[Journal, Path]:
    """What an account has set since a moment and is still there, as if it were a backfill's, and where to write.

    GitHub's history is that journal. Raises UsageError where the account would be a person's by default.
    """
    if not options.by and not viewer.is_bot:
        raise UsageError(
            f"the token acts as {viewer.login}, a person, whose own labels would be removed",
            next_step="name the account that labelled: --by github-actions[bot], or --by with an App's name",
        )
    me = options.by or viewer.login
    at = options.since.at(tracker.now()) if options.since else tracker.now()
    records, tracker.bots = list[JournalRecord](), (me,)
    with stage("reading what was labelled"):
        # Of discussions, GitHub has no such history.
        for kind in (kind for kind in KINDS if kind != "discussion"):
            # A label that somebody accepted is that person's.
            for page in tracker.pages(IssueFilter(updated_since=at, kind=kind, answers=True)):
                records += [_record(live, me, at) for live in page.items]
    found = sorted((record for record in records if record.labels), key=lambda record: record.number)
    day = f"{at:%Y-%m-%d}"
    if not found:
        status(f"no issue has a label that {me} has set since {day}; --by names another account")
    task = JournalTask("backfill", tracker.repository.name, f"set by {me} since {day}", me)
    return Journal(task, found), Path(f"undo-since-{day}.jsonl")


def _record(live: LiveIssue, me: str, at: datetime) -> JournalRecord:
    """The labels of the issue that the account has set since then."""
    events = [event for event in live.issue.events or () if event.added and event.at >= at]
    set_by = folded(event.label for event in events if fold(event.actor) == fold(me))
    labels = tuple(name for name in live.issue.labels if fold(name) in set_by)
    ids = {name: live.label_ids[name] for name in labels}
    return JournalRecord(live.issue.number, "done", labels, format_time(at) or "", ids=ids)


@dataclass(frozen=True)
class Undoer:
    """Removes the labels in the journal `before`."""

    writer: LabelWriter
    before: Journal
    dry_run: bool = False

    def look(self, items: Sequence[int]) -> list[JournalRecord | PendingChange]:
        """What to remove from the issues with these numbers, which are read now."""
        typed = {number for number in items if any(map(is_type, self.before.written[number]))}
        lives = self.writer.tracker.issues(items, typed=typed)
        return [self._look(number, live) for number, live in zip(items, lives, strict=True)]

    def _look(self, number: int, live: LiveIssue | NotFound) -> JournalRecord | PendingChange:
        if isinstance(live, NotFound):
            return JournalRecord(number, "skipped", why=live.likely)
        names = self._present_names(live)
        written = self.before.written[number].items()
        kept = {
            names.get(name, name): reason
            for name, label in written
            if (reason := self._reason_to_keep(live, names.get(name), label))
        }
        reasons = "; ".join(f"{name}: {reason}" for name, reason in kept.items())
        gone = tuple(names[name] for name, _ in written if name in names and names[name] not in kept)
        back = tuple(name for name in gone if name in live.issue.labels)
        former = [self._former(label) for name, label in written if names.get(name) in back]
        record = JournalRecord(number, "done" if gone else "skipped", gone, why=reasons)
        if not back or self.dry_run:
            return record
        intent = JournalRecord(number, "intent", back, format_time(live.updated_at) or "")
        edit = IssueEdit(live, tuple(filter(None, former)), back)
        return PendingChange(intent, edit, lambda _: record)

    def _present_names(self, live: LiveIssue) -> dict[str, str]:
        """What the written labels are called now, by their names then: those that were ever on the issue."""
        by_id = {label_id: name for name, label_id in live.label_ids.items()}
        here = {fold(name): name for name in live.label_ids}
        written = self.before.written[live.issue.number].items()
        present = {name: by_id.get(label.id) if label.id else here.get(fold(name)) for name, label in written}
        return {name: now for name, now in present.items() if now}

    def _reason_to_keep(self, live: LiveIssue, name: str | None, label: WrittenLabel) -> str | None:
        """Why a label, so called now, stays; None if it is to be removed, or this undo removed it in an earlier run."""
        if live.issue.kind == "discussion":
            return self._reason_to_keep_on_discussion(live, name, label)
        if name is None:
            return NOT_SET if label.id else NOT_FOUND
        seen = label.seen
        events = [event for event in live.issue.events or () if event.label == name]
        mine = [event for event in events if event.added and fold(event.actor) == fold(self.before.task.me)]
        since = [event for event in mine if not seen or event.at >= parse_time(seen)]
        if not since:
            return NOT_SET
        last = events[-1]
        if not last.added:
            return None if last.actor == self.writer.me and len(since) == 1 else "it was removed already"
        if last not in since or len(since) > 1:
            return "it was set again by somebody else, or by another run"
        return None if name in live.issue.labels else "it is not there any more"

    def _former(self, label: WrittenLabel) -> str:
        """The category before, as it is called now; empty where it is gone, or the label is none."""
        return next((name for name, now in self.writer.available.items() if now.id == label.category), "")

    def _reason_to_keep_on_discussion(
        self, live: LiveIssue, name: str | None, label: WrittenLabel
    ) -> str | None:
        """GitHub does not tell who set labels on a discussion: they are the backfill's where there are no others.

        It does not tell who moved it either: where it is in the category still, that is the backfill's.
        """
        if name is None or name not in live.issue.labels:
            return "it is not there any more"
        if is_category(name):
            return None if self._former(label) else "the category that it was in before is gone"
        labels = folded(label for label in live.issue.labels if not is_category(label))
        others = labels - folded(self._present_names(live).values())
        return (
            "the discussion has other labels by now, and GitHub does not say who set which"
            if others
            else None
        )
