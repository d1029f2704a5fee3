"""Files of issues: JSON Lines or arrays, plain or gzip, in UTF-8 or UTF-16; the only reader of rows."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import json
import sys
import tempfile
import typing
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO

from triage.errors import DataError, UsageError
from triage.issue import Issue
from triage.rows import from_row

# A row holds one issue; GitHub's own limit for a body is 65,536 characters.
MAX_LINE = 16_000_000
# An array is decoded as a whole.
MAX_ARRAY = 500_000_000
# Of a pipe, by which a device without an end is known.
MAX_COPY, CHUNK = 8 * 2**30, 1 << 20
STDIN = "-"


def is_file(source: str) -> bool:
    """Whether a source of issues is a file or a pipe; `-` is the standard input."""
    return source == STDIN or (Path(source).exists() and not Path(source).is_dir())


def no_source(source: str) -> UsageError:
    """That a source is neither a file nor a repository."""
    if Path(source).is_dir():
        likely = "it is a folder"
    elif source.endswith((".jsonl", ".gz", ".json")):
        likely = "there is no such file"
    else:
        likely = "a typing mistake"
    return UsageError(
        f"{source!r} is neither a file nor of the form OWNER/NAME",
        likely=likely,
        next_step="check --from; - is the standard input",
    )


def read_issues(
    path: Path,
    *,
    repo: str = "",
    skip_bad: bool = False,
    warn: Callable[[str], None] | None = None,
    partial_rows: bool = False,
) -> list[Issue]:
    """All issues in the file; see `iter_issues`. A later row of an issue replaces an earlier one."""
    found = iter_issues(path, repo=repo, skip_bad=skip_bad, warn=warn, partial_rows=partial_rows)
    issues = {issue.key: issue for issue in found}
    if not issues:
        raise DataError(
            f"{shown(path)}: holds no issue", likely="it is empty", next_step="check how it was written"
        )
    return list(issues.values())


def iter_issues(
    path: Path,
    *,
    repo: str = "",
    skip_bad: bool = False,
    warn: Callable[[str], None] | None = None,
    partial_rows: bool = False,
    name: str = "",
) -> Iterator[Issue]:
    """The issues of a file, one at a time. `repo` is the repository of rows that do not name theirs; `name` is that of
    the file in messages, where it is not its path.

    With `partial_rows`, labels and numbers may be missing. Raises DataError for the first invalid line; with
    `skip_bad`, skips it and calls `warn` instead.
    """
    name = name or shown(path)
    with _readable(name), _opened(path) as lines:
        for place, (where, row) in enumerate(_rows(lines, name), start=1):
            try:
                issue = from_row(row(), where=where, default_repo=repo, place=place if partial_rows else 0)
            except DataError as error:
                if not skip_bad:
                    raise
                if warn:
                    warn(f"skipped: {error.what}")
            else:
                yield issue


def shown(source: str | Path) -> str:
    """The name of a source in messages."""
    return "the standard input" if str(source) == STDIN else str(source)


@contextmanager
def lasting(source: str) -> Iterator[Path]:
    """A file that can be read more than once: the source itself, or a copy of what a pipe gives."""
    if source != STDIN and Path(source).is_file():
        yield Path(source)
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "rows"
        with _readable(shown(source)), _raw(Path(source)) as pipe, copy.open("wb") as file:
            for chunk in iter(lambda: pipe.read(CHUNK), b""):
                file.write(chunk)
                if file.tell() > MAX_COPY:
                    raise OSError(errno.EFBIG, f"longer than {MAX_COPY:,} bytes")
        yield copy


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Failures of reading as DataError."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(
            f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})",
            likely="the path is wrong, or the file was cut short",
            next_step="check the path and the file",
        ) from None


@contextmanager
def _raw(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, a pipe or the standard input; opened once, since a pipe cannot be read twice."""
    with nullcontext(sys.stdin.buffer) if str(path) == STDIN else path.open("rb") as file:
        yield typing.cast(io.BufferedReader, file)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The text as UTF-8, unpacked where it is packed; known by its first bytes, whatever the name."""
    with _raw(path) as file:
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        with gzip.GzipFile(fileobj=file) if zipped else nullcontext(file) as unpacked:
            lines = typing.cast(io.BufferedReader, unpacked)
            # `>` of Windows PowerShell writes UTF-16.
            if lines.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                yield io.BytesIO(lines.read(MAX_ARRAY).decode("utf-16").encode())
            else:
                yield lines


def _rows(lines: IO[bytes], path: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """The place of each row, and a function that decodes it: of lines, or of the arrays that `gh` prints."""
    begun = False
    for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE), b""), start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if not begun and text.lstrip().startswith(b"["):
            whole = text + lines.read(MAX_ARRAY)
            if len(whole) >= MAX_ARRAY:
                raise DataError(
                    f"{path}: an array of more than {MAX_ARRAY:,} bytes",
                    next_step="write one row per line (jq -c '.[]')",
                )
            for i, row in enumerate(_items(whole, path), start=1):
                yield f"{path}, row {i}", partial(_same, row)
            return
        if text.strip():
            begun = True
            where = f"{path}, line {number}"
            yield where, partial(_decoded, text, where)


def _items(text: bytes, path: str) -> Iterator[object]:
    """The items of an array, or of several, one after the other or in another array: `gh api --paginate [--slurp]`."""
    try:
        rest, arrays = text.decode().lstrip(), []
        while rest:
            array, end = json.JSONDecoder().raw_decode(rest)
            arrays.append(array)
            rest = rest[end:].lstrip()
    except (ValueError, RecursionError) as error:
        raise _not_json(path, error, "check how it was written") from None
    for array in arrays:
        for item in array if isinstance(array, list) else [array]:
            yield from item if isinstance(item, list) else [item]


def _same(row: object) -> object:
    return row


def _decoded(line: bytes, where: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _not_json(where, error) from None


def _not_json(where: str, error: Exception, next_step: str | None = None) -> DataError:
    return DataError(
        f"{where}: not valid JSON ({error})",
        likely="the file was cut short or edited by hand, or it does not have one row per line (jq -c writes this)",
        next_step=next_step,
    )
