"""Changing many issues on GitHub, some in each request, with a journal: on the disk before and after each write.

    {"kind": "triage-journal", "format": 3, "task": "backfill", "repo": …}
    {"number": 7, "step": "intent", "labels": ["bug"], "ids": {"bug": …}, "seen": …}   about to be written
    {"number": 7, "step": "done", "labels": ["bug"], "ids": {"bug": …}, "seen": …}     written
    {"number": 8, "step": "skipped", "why": "it was deleted"}   nothing to write, or not allowed
    {"number": 9, "step": "failed", "why": …}                   GitHub refused; the next run tries again

After an intent without a later line, as after an outage, GitHub's label events show whether the write took place.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, TypeVar

from triage.actions import Runner
from triage.console import DRY_RUN, bar, log, log_json, stage, status
from triage.errors import AccessError, DataError, TriageError, made_by
from triage.files import append, lock, read
from triage.github.client import TOGETHER
from triage.github.errors import IssueGone, Rejected, Unreachable
from triage.issue import MAX_NUMBER, is_category, native
from triage.label.writer import IssueEdit, LabelWriter
from triage.markdown import escape, table
from triage.schema import SchemaError, build, convert, decoded, option

KIND, FORMAT = "triage-journal", 3
STEPS = ("intent", "done", "skipped", "failed")
WITHOUT = "to undo without the journal, use `triage undo --since`"
MOVE = "move it away or give another --journal; labels that GitHub has already are not set twice"
# Of more issues than GitHub has in a repository.
MAX_JOURNAL = 2**29
# GitHub drops a longer summary; the journal has all issues.
SHOWN = 500

T = TypeVar("T")
Item_contra = TypeVar("Item_contra", contravariant=True)


@dataclass(frozen=True)
class JournalTask:
    """The first line: `task` is "backfill" or "undo", `of` the digest of the plan, `me` the login that writes."""

    task: str
    repo: str
    of: str
    me: str
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


@dataclass(frozen=True)
class JournalRecord:
    """A step; `labels` are those written, with their `ids` where they are known.

    `seen` (ISO 8601, GitHub's clock) is a time before the write. `category` is the id of the category that a discussion
    was in before, if one of the labels is its new category.
    """

    number: int = field(metadata={"low": 1, "high": MAX_NUMBER})
    step: str = option("intent", "", choices=STEPS)
    labels: tuple[str, ...] = ()
    seen: str = ""
    why: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    category: str = ""


@dataclass(frozen=True)
class WrittenLabel:
    """A label that was to be written: its id ("": unknown), a time before, and the id of the category before."""

    id: str
    seen: str
    category: str = ""


class Journal:
    """A journal; without `file`, one that is only read.

    `last` is the newest record of each issue, `written` has each label that was to be written on it, by its name then.
    """

    def __init__(
        self, task: JournalTask, records: Iterable[JournalRecord], file: IO[bytes] | None = None
    ) -> None:
        self.task, self._file = task, file
        self.last: dict[int, JournalRecord] = {}
        self.written: dict[int, dict[str, WrittenLabel]] = {}
        self._changes = Counter[int]()
        for record in records:
            self._note(record)

    def add(self, *records: JournalRecord) -> None:
        """Write records to the disk. Raises DataError if there is no room, ValueError if the journal is only read."""
        if self._file is None:
            raise ValueError("this journal was opened to be read")
        try:
            append(self._file, "".join(map(_line, records)))
        except OSError as error:
            raise _unusable(Path(self._file.name), error) from None
        for record in records:
            self._note(record)

    def settled(self, number: int) -> bool:
        """Whether the issue is finished."""
        return number in self.last and self.last[number].step in {"done", "skipped"}

    @property
    def may_have_changes(self) -> bool:
        """Whether an issue was changed, or may have been."""
        # Labels, type and category are set one after another: where one is refused, another may be there.
        return any(
            changes > 0 or len(set(map(native, self.written.get(number, ())))) > 1
            for number, changes in self._changes.items()
        )

    def _note(self, record: JournalRecord) -> None:
        self.last[record.number] = record
        self._changes[record.number] += {"skipped": 0, "failed": -1}.get(record.step, 1)
        if record.step in {"intent", "done"}:
            written = self.written.setdefault(record.number, {})
            # A label that was renamed between two runs is there under its first name.
            names = {label.id: name for name, label in written.items() if label.id}
            for name in record.labels:
                label_id = record.ids.get(name, "")
                new = WrittenLabel(label_id, record.seen, record.category if is_category(name) else "")
                label = written.setdefault(names.get(label_id, name), new)
                if label_id and not label.id:
                    written[name] = dataclasses.replace(label, id=label_id)


@dataclass
class Throttle:
    """Keeps to `per_minute` changed issues on average: a call before some are changed waits until it is their turn."""

    per_minute: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    _next: float | None = None

    @property
    def together(self) -> int:
        """How many issues are changed in one request: a whole fraction of a minute's, so that none has more."""
        requests = -(-self.per_minute // TOGETHER)
        return max(1, int(self.per_minute / requests))

    def __call__(self) -> None:
        if self._next is not None:
            self.sleep(max(0.0, self._next - self.clock()))
        self._next = self.clock()

    def changed(self, issues: int) -> None:
        """So many issues are being changed now, as no others may be until their share of a minute is over."""
        self._next = self.clock() + issues * 60 / self.per_minute


@dataclass(frozen=True)
class PendingChange:
    """A change that is about to be made: what the journal says before, and after, given the labels that were added."""

    intent: JournalRecord
    edit: IssueEdit
    done: Callable[[tuple[str, ...]], JournalRecord]


class Changer(Protocol[Item_contra]):
    """What a job does with issues: `look` reads some of them, and says what to change or why nothing is."""

    @property
    def writer(self) -> LabelWriter: ...

    def look(self, items: Sequence[Item_contra]) -> Sequence[JournalRecord | PendingChange]:
        """One for each item, in order."""


@dataclass(frozen=True)
class Job:
    """Changes to `total` issues of `repo`, with the journal at `path`.

    `doing` and `done` are the words for it: "labelling", "labelled". If `whole`, an issue that was not changed in all
    its labels counts as done in part. If `again`, issues that an earlier run finished are looked at again: more may
    have happened to them.
    `json`: print the result as JSON.
    """

    doing: str
    done: str
    repo: str
    total: int
    path: Path
    dry_run: bool
    json: bool = False
    whole: bool = False
    again: bool = False


def run_job(
    job: Job,
    task: JournalTask,
    items: Iterable[tuple[int, T]],
    changer: Changer[T],
    throttle: Throttle,
) -> int:
    """Take the items, each with the number of its issue, of all issues that are not finished, and report.

    Returns the exit code. Raises AccessError at the end if GitHub refused some issues, and at once every other failure.
    """
    with _opened(job, task) as journal, stage(job.doing):
        records = _taken(job, journal, items, changer, throttle)
    if failed := [record for record in records if record.step == "failed"]:
        raise AccessError(
            f"GitHub refused {len(failed)} issues, such as {job.repo}#{failed[0].number}: {failed[0].why}",
            likely="",
            next_step=f"see {job.path}; the same command tries only these again",
        )
    return 0


def _opened(job: Job, task: JournalTask) -> AbstractContextManager[Journal]:
    """The journal to write; a dry run writes none."""
    return nullcontext(Journal(task, ())) if job.dry_run else journal(job.path, task)


def _taken(
    job: Job, journal: Journal, items: Iterable[tuple[int, T]], changer: Changer[T], throttle: Throttle
) -> list[JournalRecord]:
    """The record of each issue, new or of an earlier run."""
    progress, records, earlier, rest = bar(job.doing, job.total), list[JournalRecord](), 0, iter(items)
    try:
        while batch := list(islice(rest, throttle.together)):
            finished = (number for number, _ in batch if journal.settled(number) and not job.again)
            settled = {number: journal.last[number] for number in finished}
            earlier += sum(
                record.step == "done" and not _is_partial(job, record) for record in settled.values()
            )
            new = dict[int, JournalRecord]()
            try:
                todo = [item for number, item in batch if number not in settled]
                for record in _changed(job, journal, changer, todo, throttle):
                    new[record.number] = record
                    _print(job, record)
            finally:
                both = settled | new
                records += [both[number] for number, _ in batch if number in both]
            progress(len(records))
    finally:
        # A failure does not undo the changes before it.
        counted = _counts(job, records, earlier)
        log(f"{DRY_RUN if job.dry_run else ''}{counted}")
        if job.json:
            log_json(_result(job, records), indent=2)
        elif job.done == "labelled" and journal.may_have_changes:
            status(f"what was done is in {job.path}; to take it back: triage undo {job.path}")
        Runner(os.environ).summary(_report(job, counted, records))
    return records


def _changed(
    job: Job, journal: Journal, changer: Changer[T], items: Sequence[T], throttle: Throttle
) -> Iterator[JournalRecord]:
    """The result for each item, each in the journal. Raises every failure but GitHub's refusal of an issue."""
    if not items:
        return
    if not job.dry_run:
        throttle()
    looked = changer.look(items)
    pending = [change for change in looked if isinstance(change, PendingChange)]
    outcomes = iter(_written(journal, changer.writer, pending, throttle)) if pending else iter(())
    failure: TriageError | None = None
    for change in looked:
        if isinstance(change, PendingChange):
            record, error = _record(change, next(outcomes))
            failure = failure or error
        else:
            record, error = change, None
        if not job.dry_run and (error is None or _is_refusal(error)):
            journal.add(record)
        if error is None:
            yield record
    if failure:
        raise failure


def _written(
    journal: Journal, writer: LabelWriter, pending: Sequence[PendingChange], throttle: Throttle
) -> list[tuple[str, ...] | TriageError]:
    """The labels that were added to each issue, or why not, after the intents are on the disk."""
    journal.add(*(change.intent for change in pending))
    throttle.changed(len(pending))
    try:
        return writer.write([change.edit for change in pending])
    except TriageError as error:
        if _is_refusal(error):
            journal.add(
                *(JournalRecord(change.intent.number, "failed", why=error.what) for change in pending)
            )
        raise


def _is_refusal(error: TriageError) -> bool:
    """Whether GitHub refused, so that nothing was done; after an outage that is not known."""
    return isinstance(error, AccessError) and not isinstance(error, Unreachable)


def _record(
    change: PendingChange, outcome: tuple[str, ...] | TriageError
) -> tuple[JournalRecord, TriageError | None]:
    """(the result of a change, the failure if it ends the run)."""
    number = change.intent.number
    if isinstance(outcome, IssueGone):
        return JournalRecord(number, "skipped", why=outcome.likely), None
    if isinstance(outcome, TriageError):
        ends = None if isinstance(outcome, Rejected) else outcome
        return JournalRecord(number, "failed", why=outcome.what), ends
    return change.done(outcome), None


def _counts(job: Job, records: Sequence[JournalRecord], earlier: int) -> str:
    """The counts in words; `earlier` issues were changed by an earlier run."""
    steps = Counter(record.step for record in records)
    would = "would be " if job.dry_run else ""
    before = f" and {earlier} by an earlier run" if earlier else ""
    refused = f", {steps['failed']} refused" if steps["failed"] else ""
    partly = sum(_is_partial(job, record) for record in records)
    in_part = f", {partly} in part" if partly else ""
    now = f"{steps['done'] - partly - earlier} of {job.total} issues {would}{job.done}{before}{in_part}"
    return f"{now}, {steps['skipped']} left alone{refused}"


def _result(job: Job, records: Sequence[JournalRecord]) -> dict[str, object]:
    """The outcome as a JSON object; a dry run has other names for what it did not do."""
    steps = Counter(record.step for record in records)
    would = "would-label" if job.done == "labelled" else "would-remove"
    named = would if job.dry_run else "labels"
    rows = [{"number": r.number, "step": r.step, named: list(r.labels), "why": r.why} for r in records]
    done = f"would be {job.done}" if job.dry_run else job.done
    partly = sum(_is_partial(job, record) for record in records)
    counts = {
        "total": job.total,
        done: steps["done"] - partly,
        **({"in part": partly} if job.whole else {}),
        "left alone": steps["skipped"],
        "refused": steps["failed"],
    }
    where = {} if job.dry_run else {"journal": str(job.path)}
    return {"repo": job.repo, "dry_run": job.dry_run, **counts, **where, "issues": rows}


def _is_partial(job: Job, record: JournalRecord) -> bool:
    return job.whole and record.step == "done" and bool(record.why)


def _report(job: Job, counted: str, records: Sequence[JournalRecord]) -> str:
    """The summary in Markdown: the issues that did not go as planned, with the reason."""
    unexpected = [record for record in records if record.why]
    rows = [(str(record.number), escape(record.why)) for record in unexpected[:SHOWN]]
    if len(unexpected) > SHOWN:
        rows.append(("…", f"{len(unexpected) - SHOWN} more, in the journal"))
    lines = table(("issue", "reason"), rows) if rows else ()
    return "\n".join([f"### {escape(job.repo)}: {counted}", "", *lines])


def _print(job: Job, record: JournalRecord) -> None:
    """Log an issue in a dry run, and one that did not go as planned."""
    if job.dry_run or record.why:
        what = "; ".join(filter(None, [", ".join(record.labels), record.why]))
        log(f"{DRY_RUN if job.dry_run else ''}{job.repo}#{record.number}: {what}")


@contextmanager
def journal(path: Path, task: JournalTask) -> Iterator[Journal]:
    """The journal at `path`, created if there is none, for one run at a time.

    Raises UsageError if another run has it, DataError if it is of another task or damaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        lock(file, f"{path}: another run is writing this journal")
        records = _taken_up(file, task, path)
        yield Journal(task, records, file)
    finally:
        # Closing fails again after a write for which there was no room.
        with suppress(OSError):
            file.close()


def read_journal(path: Path) -> Journal:
    """The journal at `path`, only to read. Raises DataError."""
    try:
        data = read(path, MAX_JOURNAL)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})",
            likely="the path is wrong",
            next_step="give the journal that `triage backfill --apply` wrote next to the plan",
        ) from None
    task, records = _parsed(_whole(data), path, WITHOUT)
    return Journal(task, records)


def _taken_up(file: IO[bytes], task: JournalTask, path: Path) -> list[JournalRecord]:
    """The records of an earlier run, without a last line that was cut short; another file stays as it is."""
    first = _line(task).encode()
    try:
        file.seek(0)
        data = file.read(MAX_JOURNAL + 1)
        if len(data) > MAX_JOURNAL:
            raise OSError(errno.EFBIG, f"longer than {MAX_JOURNAL:,} bytes")
        records = [] if first.startswith(data) else _continued(_whole(data), task, path)
        file.truncate(len(_whole(data)))
        if not _whole(data):
            append(file, first.decode())
    except OSError as error:
        raise _unusable(path, error) from None
    return records


def _continued(whole: bytes, task: JournalTask, path: Path) -> list[JournalRecord]:
    earlier, records = _parsed(whole, path, MOVE)
    if earlier != task:
        what = "another plan" if dataclasses.replace(earlier, of=task.of) == task else "another task"
        raise DataError(
            f"{path}: this journal is for {what}",
            likely="it records what was changed before",
            next_step=f"{MOVE}; keep it, since `triage undo` reads it",
        )
    return records


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _parsed(data: bytes, path: Path, otherwise: str) -> tuple[JournalTask, list[JournalRecord]]:
    """The task and the records; `otherwise` is the next step where a line cannot be read."""
    lines = data.splitlines()
    if not lines:
        raise _no_journal(path)
    _refuse_others(lines[0], path)
    task = _read(JournalTask, lines[0], f"{path}, line 1", otherwise)
    rest = enumerate(lines[1:], start=2)
    return task, [_read(JournalRecord, text, f"{path}, line {number}", otherwise) for number, text in rest]


def _refuse_others(header: bytes, path: Path) -> None:
    """Other files and other versions, before anything else, since they have other keys."""
    with suppress(SchemaError):
        stated = decoded(header)
        if not isinstance(stated, dict) or stated.get("kind", KIND) != KIND:
            raise _no_journal(path)
        number = stated.get("format")
        if isinstance(number, int) and number != FORMAT:
            raise DataError(
                f"{path}: the journal's format is {number!r:.20}, and this version of triage reads {FORMAT}",
                likely=made_by(),
                next_step=f"use the version that made it; {WITHOUT}",
            )


def _no_journal(path: Path) -> DataError:
    return DataError(
        f"{path}: not a journal",
        likely="the path is wrong",
        next_step="check the path: the journal of `plan.jsonl` is `plan.journal.jsonl`",
    )


def _read(cls: type[T], text: bytes, where: str, otherwise: str) -> T:
    try:
        data = decoded(text)
    except SchemaError as error:
        raise DataError(f"{where}: not valid JSON ({error})", next_step=otherwise) from None
    try:
        value = build(cls, data)
        if isinstance(value, JournalRecord) and value.seen:
            convert(datetime, value.seen, "seen")
        return value
    except SchemaError as error:
        raise DataError(f"{where}: {error}", next_step=otherwise) from None


def _line(value: JournalTask | JournalRecord) -> str:
    data = {name: item for name, item in dataclasses.asdict(value).items() if item not in ("", (), {})}
    return json.dumps(data, ensure_ascii=False) + "\n"


def _unusable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be used ({error.strerror})",
        likely="the path is wrong, the disk is full, or the folder may not be written to",
        next_step="check the path, make room, and run the same command again",
    )
