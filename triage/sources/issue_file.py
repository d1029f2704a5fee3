"""Files of issues: JSON Lines or one array, plain or gzip."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import sys
import typing
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO

from triage.errors import DataError
from triage.issue import Issue, from_row

# A row holds one issue; GitHub's own limit for a body is 65,536 characters.
MAX_LINE = 16_000_000
# An array is decoded as a whole.
MAX_ARRAY = 500_000_000


def read_issues(
    path: Path, *, repo: str = "", skip_bad: bool = False, warn: Callable[[str], None] | None = None
) -> list[Issue]:
    """All issues in the file; see `iter_issues`. A later row of an issue replaces an earlier one."""
    issues = {issue.key: issue for issue in iter_issues(path, repo=repo, skip_bad=skip_bad, warn=warn)}
    if not issues:
        raise DataError(
            f"{path}: holds no issue", likely="the file is empty", next_step="check how it was written"
        )
    return list(issues.values())


def iter_issues(
    path: Path, *, repo: str = "", skip_bad: bool = False, warn: Callable[[str], None] | None = None
) -> Iterator[Issue]:
    """The issues of a file, one at a time. `repo` is the repository of rows that do not name theirs.

    Raises DataError for the first invalid line; with `skip_bad`, skips it and calls `warn` instead.
    """
    try:
        with _opened(path) as lines:
            for where, row in _rows(lines, str(path)):
                try:
                    yield from_row(row(), where=where, default_repo=repo)
                except DataError as error:
                    if not skip_bad:
                        raise
                    if warn:
                        warn(f"skipped: {error.what}")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})",
            likely="the path is wrong, or the file was cut short",
            next_step="check the path and the file",
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, a pipe or, for `-`, the standard input; opened once, since a pipe cannot be read twice."""
    with nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
        zipped = typing.cast(io.BufferedReader, file).peek(2)[:2] == b"\x1f\x8b"
        with gzip.GzipFile(fileobj=file) if zipped else nullcontext(file) as lines:
            yield lines  # type: ignore[misc]  # a reader of bytes


def _rows(lines: IO[bytes], path: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """The place of each row, and a function that decodes it: of lines, or of the array that `gh --json` prints."""
    for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE), b""), start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if number == 1 and text.lstrip().startswith(b"["):
            whole = text + lines.read(MAX_ARRAY)
            if len(whole) >= MAX_ARRAY:
                raise DataError(
                    f"{path}: an array of more than {MAX_ARRAY:,} bytes",
                    next_step="write one row a line (jq -c '.[]')",
                )
            for i, row in enumerate(typing.cast(list[object], _decoded(whole, path)), start=1):
                yield f"{path}, row {i}", partial(_same, row)
            return
        if text.strip():
            where = f"{path}, line {number}"
            yield where, partial(_decoded, text, where)


def _same(row: object) -> object:
    return row


def _decoded(line: bytes, where: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON ({error})") from None
