"""What a run did on GitHub, line by line: on the disk before and after each write, never changed again.

    {"kind": "triage-journal", "format": 1, "task": "backfill", "repo": …}
    {"number": 7, "step": "intent", "labels": ["bug"], "seen": …}    about to be written
    {"number": 7, "step": "done", "labels": ["bug"], "seen": …}      written
    {"number": 8, "step": "skipped", "why": "it was deleted"}        there is nothing to write, or it must not be
    {"number": 9, "step": "failed", "why": …}                        GitHub refused; tried again by the next run

An intent without a later line was cut short: whether it was carried out, GitHub's label events tell.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from triage.errors import DataError
from triage.files import append, lock
from triage.schema import SchemaError, build, option

KIND, FORMAT = "triage-journal", 1
STEPS = ("intent", "done", "skipped", "failed")
ASIDE = "move it away or give another --journal; what GitHub says was set is not set twice"

T = TypeVar("T")


@dataclass(frozen=True)
class JournalTask:
    """What a journal is of. `task` is "backfill" or "undo", `me` the login that writes.

    `of` is the digest of the plan, or of the journal's first line that is undone.
    """

    task: str
    repo: str
    of: str
    me: str
    kind: str = option(KIND, "", choices=(KIND,))
    format: int = FORMAT


@dataclass(frozen=True)
class JournalRecord:
    """A step; `labels` are those written, `seen` (ISO 8601, GitHub's clock) is a moment before the write."""

    number: int
    step: str = option("intent", "", choices=STEPS)
    labels: tuple[str, ...] = ()
    seen: str = ""
    why: str = ""


class Journal:
    """What was read of a journal: `last` is the newest record of each issue; `written` every label that was ever to
    be written on it, with a moment before. Without `file` it is only read.
    """

    def __init__(
        self, task: JournalTask, records: Iterable[JournalRecord], file: IO[bytes] | None = None
    ) -> None:
        self.task, self._file = task, file
        self.last: dict[int, JournalRecord] = {}
        self.written: dict[int, dict[str, str]] = {}
        for record in records:
            self._keep(record)

    def add(self, record: JournalRecord) -> None:
        """Have it on the disk before this returns; raises DataError where there is no room.

        Raises ValueError where the journal is only read.
        """
        if self._file is None:
            raise ValueError("this journal was opened to be read")
        try:
            append(self._file, _line(record))
        except OSError as error:
            raise _unusable(Path(self._file.name), error) from None
        self._keep(record)

    def settled(self, number: int) -> bool:
        """Whether nothing more is to be done for the issue."""
        return number in self.last and self.last[number].step in {"done", "skipped"}

    def _keep(self, record: JournalRecord) -> None:
        self.last[record.number] = record
        if record.step in {"intent", "done"}:
            held = self.written.setdefault(record.number, {})
            for name in record.labels:
                held.setdefault(name, record.seen)


@contextmanager
def journal(path: Path, task: JournalTask) -> Iterator[Journal]:
    """The journal at `path`, made where there is none, for one run at a time.

    Raises UsageError where another run has it, DataError where it is of another task or damaged.
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
        # What did not fit on the disk fails once more; it was told already.
        with suppress(OSError):
            file.close()


def read_journal(path: Path) -> Journal:
    """The journal at `path`, to be read only. Raises DataError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from None
    task, records = _parsed(_whole(data), path)
    return Journal(task, records)


def _taken_up(file: IO[bytes], task: JournalTask, path: Path) -> list[JournalRecord]:
    """The records of an earlier run; a line that was cut short while it was written is dropped."""
    try:
        file.seek(0)
        whole = _whole(file.read())
        file.truncate(len(whole))
        if not whole:
            append(file, _line(task))
            return []
    except OSError as error:
        raise _unusable(path, error) from None
    found, records = _parsed(whole, path)
    if found != task:
        what = "another plan" if dataclasses.replace(found, of=task.of) == task else "another task"
        raise DataError(f"{path}: this journal is of {what}", likely="it is an older one", next_step=ASIDE)
    return records


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _parsed(data: bytes, path: Path) -> tuple[JournalTask, list[JournalRecord]]:
    lines = data.splitlines()
    if not lines:
        raise DataError(f"{path}: holds no journal", likely="the path is wrong", next_step="check the path")
    task = _read(JournalTask, lines[0], f"{path}, line 1")
    if task.format != FORMAT:
        raise DataError(
            f"{path}: a journal of format {task.format}", likely="another version", next_step=ASIDE
        )
    rest = enumerate(lines[1:], start=2)
    return task, [_read(JournalRecord, text, f"{path}, line {number}") for number, text in rest]


def _read(cls: type[T], text: bytes, where: str) -> T:
    try:
        return build(cls, json.loads(text))
    except SchemaError as error:
        raise DataError(f"{where}: {error}", next_step=ASIDE) from None
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not valid JSON", next_step=ASIDE) from None


def _line(value: JournalTask | JournalRecord) -> str:
    data = {name: item for name, item in dataclasses.asdict(value).items() if item not in ("", ())}
    return json.dumps(data, ensure_ascii=False) + "\n"


def _unusable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be used ({error.strerror})",
        likely="the path is wrong, the disk is full, or the folder may not be written to",
        next_step="check the path, make room, and run the same command again",
    )
