"""The cache of a repository's issues in a work folder, which stays consistent if a run is killed at any moment.

    state.json            the state of reading, and the parts that are valid
    issues-000001.jsonl   rows in the order in which they were read; a later row of an issue replaces an earlier one
    lock                  held by the run that uses the folder

The rows of a page become valid when the new `state.json` replaces the old one; their part is written before. Issue
text is stored in this folder only, never in a bundle.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from triage.errors import DataError
from triage.files import lock, read, write
from triage.issue import Issue, Kind
from triage.rows import from_row, to_row
from triage.schema import SchemaError, build, convert, decoded, option

FORMAT = 3
STATE = "state.json"
PART = re.compile(r"issues-[0-9]{6}\.jsonl")
# A part has rows of issues with the history of their labels; the state names some thousands of parts.
MAX_LINE, MAX_STATE = 64_000_000, 16_000_000
START_OVER = "delete the folder; all issues are then read again"


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
                    row = _row(line, f"{path}, line {number}")
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
            f"{folder}: cannot be used ({error})",
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


def _row(line: bytes, where: str) -> Row:
    try:
        data = decoded(line)
        ids = build(_Ids, data, strict=False)
        return Row(from_row(data, where=where), ids.node_id, ids.label_ids)
    except SchemaError as error:
        raise DataError(f"{where}: not a row of a cache ({error})", next_step=START_OVER) from None
    except DataError as error:
        raise DataError(f"{where}: not a row of a cache ({error.what})", next_step=START_OVER) from None


def _line(row: Row) -> str:
    data = to_row(row.issue) | {"node_id": row.node_id, "label_ids": dict(row.label_ids)}
    return json.dumps(data) + "\n"
