"""Files of issues: JSON Lines, plain or gzip."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from triage.errors import DataError
from triage.issue import Issue, from_row

# A row holds one issue; GitHub's own limit for a body is 65,536 characters.
MAX_LINE = 16_000_000


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
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE), b""), start=1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    yield from_row(_decoded(line, where), where=where, default_repo=repo)
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


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]  # a reader of bytes


def _decoded(line: bytes, where: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON ({error})") from None
