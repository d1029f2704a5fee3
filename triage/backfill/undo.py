"""`triage undo`: take back what a backfill set and nobody has touched since."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from triage.backfill.journal import Journal, JournalRecord, JournalTask, read_journal
from triage.backfill.run import Job, Throttle, run_job, writing
from triage.errors import DataError, TriageError
from triage.github.errors import IssueGone, LabelGone, NotFound, Rejected
from triage.github.graphql import LiveIssue
from triage.github.open import AN_HOUR, open_tracker
from triage.issue import format_time, parse_time
from triage.options import UndoOptions

if TYPE_CHECKING:
    from triage.github.client import Tracker


def undo(options: UndoOptions) -> int:
    """Take back, newest first; raises TriageError."""
    before = read_journal(options.undone)
    if before.task.task != "backfill":
        raise DataError(
            f"{options.undone}: not the journal of a backfill",
            likely="it is that of an undo",
            next_step="give the journal that `triage backfill --apply` wrote",
        )
    repo = before.task.repo
    tracker = open_tracker(repo, AN_HOUR)
    me = tracker.viewer().login
    path = options.journal or options.undone.with_suffix(".undo.jsonl")
    with writing(path, JournalTask("undo", repo, before.task.of, me), dry_run=options.dry_run) as log:
        undoer = Undoer(tracker, before, log, Throttle(options.per_minute), me, options.dry_run)
        steps = ((number, partial(undoer.undo, number)) for number in reversed(before.written))
        work = Job("taking back", "set back", repo, len(before.written), path, options.dry_run)
        return run_job(work, log, steps)


@dataclass(frozen=True)
class Undoer:
    """Takes labels away again; `before` is what was done, `me` the login that undoes it."""

    tracker: Tracker
    before: Journal
    journal: Journal
    pace: Throttle
    me: str
    dry_run: bool = False

    def undo(self, number: int) -> JournalRecord:
        """What became of one issue; every failure but the refusal of this one issue is raised."""
        try:
            live = self.tracker.issue(number)
        except NotFound as missing:
            return JournalRecord(number, "skipped", why=missing.likely)
        names = tuple(self.before.written[number])
        kept = {name: reason for name in names if (reason := self._keeps(live, name))}
        back = tuple(name for name in names if name not in kept and name in live.issue.labels)
        why = "; ".join(f"{name}: {reason}" for name, reason in kept.items())
        gone = tuple(name for name in names if name not in kept)
        if not back or self.dry_run:
            return JournalRecord(number, "done" if gone else "skipped", gone, why=why)
        self.pace()
        self.journal.add(JournalRecord(number, "intent", back, format_time(live.updated_at) or ""))
        try:
            self._remove(live, back)
        except IssueGone as lost:
            return JournalRecord(number, "skipped", why=lost.likely)
        except Rejected as refused:
            return JournalRecord(number, "failed", why=refused.what)
        except TriageError as error:
            self.journal.add(JournalRecord(number, "failed", why=error.what))
            raise
        return JournalRecord(number, "done", gone, why=why)

    def _keeps(self, live: LiveIssue, name: str) -> str | None:
        """Why a label stays as it is; None where it is to be taken away, or was by this undo already."""
        seen = self.before.written[live.issue.number][name]
        events = [event for event in live.issue.events or () if event.label == name]
        mine = [event for event in events if event.added and event.actor == self.before.task.me]
        since = [event for event in mine if not seen or event.at >= parse_time(seen)]
        if not since:
            return "the backfill did not set it"
        last = events[-1]
        if not last.added:
            return None if last.actor == self.me and len(since) == 1 else "it was removed already"
        if last not in since or len(since) > 1:
            return "it was set again by somebody else, or by another run"
        return None if name in live.issue.labels else "it is not there any more"

    def _remove(self, live: LiveIssue, names: tuple[str, ...]) -> None:
        for name in names:
            try:
                self.tracker.remove_label(live.node_id, live.label_ids[name])
            except LabelGone:
                # Deleted meanwhile, and so from this issue too.
                continue
