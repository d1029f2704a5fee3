"""Working through issues that are written to: a bar, a line for whatever is not as planned, a report at the end."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from triage.actions.runner import Runner
from triage.backfill.journal import Journal, JournalRecord, JournalTask, journal
from triage.console import log
from triage.errors import AccessError
from triage.markdown import escape, table
from triage.progress import bar

# GitHub drops a summary that is too long; the journal holds them all.
SHOWN = 500


@dataclass
class Throttle:
    """At most `per_minute` writes: called before each of them, it waits where the last was too near."""

    per_minute: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    last: float | None = None

    def __call__(self) -> None:
        if self.last is not None:
            self.sleep(max(0.0, self.last + 60 / self.per_minute - self.clock()))
        self.last = self.clock()


@dataclass(frozen=True)
class Job:
    """What is done ("labelling") and was done ("labelled") to `total` issues of `repo`, journalled at `path`."""

    doing: str
    did: str
    repo: str
    total: int
    path: Path
    dry_run: bool


@contextmanager
def writing(path: Path, task: JournalTask, *, dry_run: bool) -> Iterator[Journal]:
    """The journal to write; a dry run leaves none."""
    if dry_run:
        yield Journal(task, ())
        return
    with journal(path, task) as log:
        yield log


def run_job(work: Job, log: Journal, steps: Iterable[tuple[int, Callable[[], JournalRecord]]]) -> int:
    """Take every step, by issue number, that is not settled, and report; returns the exit code.

    Raises AccessError at the end where GitHub refused some issues, and at once what stops the whole work.
    """
    tell = bar(work.doing, work.total)
    found: list[JournalRecord] = []
    try:
        for done, (number, step) in enumerate(steps, start=1):
            if log.settled(number):
                found.append(log.last[number])
            else:
                record = step()
                if not work.dry_run:
                    log.add(record)
                found.append(record)
                _tell(work, record)
            tell(done)
    finally:
        # What was done before a failure is done, and is told.
        counted = counts(work, found)
        print(counted, flush=True)
        Runner(os.environ).summary(report(work, counted, found))
    if failed := [record for record in found if record.step == "failed"]:
        raise AccessError(
            f"GitHub refused {len(failed)} issues, such as {work.repo}#{failed[0].number}: {failed[0].why}",
            likely="",
            next_step=f"see {work.path}; the same command tries these again and no other",
        )
    return 0


def counts(work: Job, found: Iterable[JournalRecord]) -> str:
    """How many issues came to which end, in a sentence."""
    steps = Counter(record.step for record in found)
    would = "would be " if work.dry_run else ""
    refused = f", {steps['failed']} refused" if steps["failed"] else ""
    return f"{steps['done']} of {work.total} issues {would}{work.did}, {steps['skipped']} left alone{refused}"


def report(work: Job, counted: str, found: Iterable[JournalRecord]) -> str:
    """The summary in Markdown: the issues that did not go as planned, with the reason."""
    unexpected = [record for record in found if record.why]
    rows = [(str(record.number), escape(record.why)) for record in unexpected[:SHOWN]]
    if len(unexpected) > SHOWN:
        rows.append(("…", f"{len(unexpected) - SHOWN} more, in the journal"))
    lines = table(("issue", "reason"), rows) if rows else ()
    return "\n".join([f"### {escape(work.repo)}: {counted}", "", *lines])


def _tell(work: Job, record: JournalRecord) -> None:
    """A line for the log, where it is a dry run or something is not as planned."""
    if work.dry_run or record.why:
        what = "; ".join(filter(None, [", ".join(record.labels), record.why]))
        log(f"{work.repo}#{record.number}: {what}")
