"""Plans as files: written as they are made, whole at the end, and read back strictly, line by line.

plan.jsonl           complete, see `triage.backfill.plan`
plan.jsonl.partial   under way: after each batch a mark `{"place": …}` says where reading goes on
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from triage.backfill.plan import ANEW, END, Entry, Header, line, read_entry, read_header
from triage.errors import DataError
from triage.files import append, lock, replacing

# An entry holds names of labels and a short title.
MAX_LINE = 1_000_000
MARK = b'{"place"'


@dataclass(frozen=True)
class Plan:
    """A complete plan on disk; `digest` is of the whole file, `total` counts its entries."""

    path: Path
    header: Header
    digest: str
    total: int

    def entries(self) -> Iterator[Entry]:
        """The entries, one at a time, so that memory does not grow with their number."""
        for where, text in _lines(self.path):
            if where > 1 and text != END:
                yield read_entry(text, f"{self.path}, line {where}")


def open_plan(path: Path) -> Plan:
    """The plan, every line of which was checked. Raises DataError that names the first broken line."""
    header, seen, ended, digest = None, set[int](), False, hashlib.sha256()
    for where, text in _lines(path):
        place = f"{path}, line {where}"
        digest.update(text.encode())
        if ended:
            raise DataError(f"{place}: follows the end of the plan", next_step=ANEW)
        if header is None:
            header = read_header(text, place)
        elif text == END:
            ended = True
        else:
            number = read_entry(text, place).number
            if number in seen:
                raise DataError(f"{place}: issue {number} is planned twice", next_step=ANEW)
            seen.add(number)
    if header is None or not ended:
        raise DataError(
            f"{path}: the plan does not go to its end", likely="the file was cut short", next_step=ANEW
        )
    return Plan(path, header, digest.hexdigest(), len(seen))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error})", likely="the path is wrong", next_step=ANEW
        ) from None


class Draft:
    """A plan under way; made by `drafting`.

    `place` is where reading goes on, "" at the beginning; `planned` counts the entries there are.
    """

    def __init__(self, path: Path, header: Header, file: IO[bytes]) -> None:
        self.path, self.header, self._file = path, header, file
        self.place, self.planned = "", 0
        keep = self._continued()
        file.truncate(keep)
        file.seek(0, os.SEEK_END)
        if not keep:
            append(file, line(header))

    def add(self, entries: Sequence[Entry], place: str) -> None:
        """Keep a batch together with the place after it: both or, when the power fails, neither."""
        self.planned += len(entries)
        mark = json.dumps({"place": place, "planned": self.planned}) + "\n"
        append(self._file, "".join([*map(line, entries), mark]))
        self.place = place

    def finish(self) -> Plan:
        """Let the plan stand under its name, whole, in the place of what was there."""
        self._file.seek(0)
        plan = _stand(self.path, (text for text in self._file if not text.startswith(MARK)))
        Path(self._file.name).unlink()
        return plan

    def _continued(self) -> int:
        """Take up what an interrupted run left, up to its last mark: so many bytes. The first date stays."""
        self._file.seek(0)
        first = self._file.readline(MAX_LINE)
        try:
            found = read_header(first.decode("utf-8", "replace"), str(self.path))
        except DataError:
            return 0
        if dataclasses.replace(found, created_at=self.header.created_at) != self.header:
            return 0
        self.header = found
        keep = end = len(first)
        for text in self._file:
            end += len(text)
            if text.startswith(MARK) and text.endswith(b"\n"):
                mark = json.loads(text)
                self.place, self.planned, keep = mark["place"], mark["planned"], end
        return keep


@contextmanager
def drafting(path: Path, header: Header) -> Iterator[Draft]:
    """The draft of the plan at `path`: what an interrupted run with the same header left, or a new one.

    Raises UsageError where another run is at it, DataError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + ".partial").open("a+b") as file:
            lock(file, f"{path}: another run is making this plan")
            yield Draft(path, header, file)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room or choose another --out, and run the same command again",
        ) from None


def merge(plans: Sequence[Plan], out: Path) -> Plan:
    """One plan out of the plans of all shards. Raises DataError where they do not belong together."""
    first = plans[0].header
    together = dataclasses.replace(first, shard="", created_at=min(p.header.created_at for p in plans))
    for plan in plans:
        if dataclasses.replace(plan.header, shard="", created_at=together.created_at) != together:
            raise _apart(f"{plan.path}: made under other conditions than {plans[0].path}")
    count = int(first.shard.partition("/")[2] or 1)
    found = [plan.header.shard for plan in plans]
    wanted = [f"{i}/{count}" for i in range(1, count + 1)] if first.shard else [""]
    if missing := [shard for shard in wanted if shard not in found]:
        raise _apart(f"the plan of shard {missing[0]} is missing")
    if len(found) != len(wanted):
        raise _apart("the plan of a shard is given twice")
    entries = (entry for plan in sorted(plans, key=_shard) for entry in plan.entries())
    out.parent.mkdir(parents=True, exist_ok=True)
    return _stand(out, (text.encode() for text in chain([line(together)], map(line, entries))))


def _shard(plan: Plan) -> int:
    return int(plan.header.shard.partition("/")[0] or 1)


def _stand(path: Path, lines: Iterable[bytes]) -> Plan:
    """The plan of these lines and an end under that name: checked first, then put there at one stroke."""
    with replacing(path) as whole:
        whole.writelines(lines)
        append(whole, END)
        plan = open_plan(Path(whole.name))
    return dataclasses.replace(plan, path=path)


def _apart(what: str) -> DataError:
    return DataError(
        what, likely="plans of different runs", next_step="make all shards' plans with the same options"
    )
