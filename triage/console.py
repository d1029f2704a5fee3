"""The one door for whatever the program prints, on standard output and standard error.

GitHub's runner reads commands from both streams (`::name` at the start of a line, `##[name]` anywhere), terminals obey
control characters, and bidirectional controls reorder what a reader sees. Text from issues, configurations, bundles and
GitHub is hostile, so no line leaves with any of them, wherever the program runs. Only `notice`, `warning` and `error`
write a command of the runner, one line each.

What cannot be printed or reported does not stop work on GitHub or in a store: it goes on to its end, see `to_the_end`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from triage.errors import ReportError, did_you_mean

# C0 and C1 controls, separators of lines and paragraphs, bidirectional controls, and halves of surrogate pairs, which
# no encoding can write.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# At the start of each line of a dry run's log.
DRY_RUN = "dry run: "
COMMAND_MARK = re.compile(r"^([\s\u200b\ufeff]*):(?=:)")


# No dataclass: what those take to load is a tenth of the program's help.
class _Door:
    quiet: bool = False
    json: bool = False
    at: float = 0.0


_door = _Door()


def open_door(*, quiet: bool = False, json: bool = False) -> None:
    """Set what comes out: if `quiet`, no progress and no notices; if `json`, nothing else on standard output."""
    _door.quiet, _door.json = quiet, json


def is_quiet() -> bool:
    """Whether progress and notices are left out."""
    return _door.quiet


def silent_for() -> float:
    """The seconds since something was shown."""
    return time.monotonic() - _door.at


def shown() -> None:
    """Note that something is shown now."""
    _door.at = time.monotonic()


def in_actions() -> bool:
    """Whether a GitHub Actions runner reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def log(text: str) -> None:
    """Print lines of a result on standard output; as those of `status` where that is for JSON alone."""
    if _door.json:
        status(text)
    else:
        _write(_harmless_lines(text), sys.stdout)


def log_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON on standard output, on one line without `indent`."""
    ascii_only = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    _write(harmless_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent)), sys.stdout)


def status(text: str) -> None:
    """Print lines about the progress of the program on standard error, unless it is quiet."""
    if not _door.quiet:
        alert(text)


def alert(text: str) -> None:
    """Print lines on standard error that must be read."""
    _write(_harmless_lines(text), sys.stderr)


def notice(message: str) -> None:
    """Annotate the workflow run; outside GitHub Actions, print to standard error. Nothing if the program is quiet."""
    if not _door.quiet:
        _annotate("notice", message)


def warning(message: str) -> None:
    """As `notice`, with the severity of a warning."""
    _annotate("warning", message)


def error(message: str) -> None:
    """As `notice`, with the severity of an error."""
    _annotate("error", message)


def escaped(message: str) -> str:
    """The message as the data of a workflow command."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def harmless(line: str) -> str:
    """The line, flattened: controls become visible escapes, and zero-width spaces break up any workflow command."""
    flat = " ".join(line.replace("\t", " ").splitlines())
    return COMMAND_MARK.sub("\\1:\u200b", CONTROLS.sub(_escape, flat).replace("##[", "#\u200b#["))


def harmless_json(text: str) -> str:
    """The JSON text with escapes in its strings for what must not be printed: it stays the same JSON.

    Its lines begin with white space, brackets or quotation marks, never with `::`.
    """
    lines = text.split("\n")
    return "\n".join(CONTROLS.sub(_escape, line).replace("##[", "#\\u0023[") for line in lines)


def guard() -> None:
    """Send through this module what Python itself and libraries print: tracebacks of defects, and log records."""
    import logging

    class Records(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            alert(self.format(record))

    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding than UTF-8 gets escapes for what it cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _defect
    logging.lastResort = Records(logging.WARNING)


class CommandParser(argparse.ArgumentParser):
    """A parser whose help and errors, which repeat arguments, are printed by this module.

    An unknown command, option or choice is answered with the known one that is most like it.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._subparsers is None and args is not None:
            self._refuse_unknown(args)
        return super().parse_known_args(args, namespace)

    def _refuse_unknown(self, args: Sequence[str]) -> None:
        """Before argparse asks for what is missing, which a mistyped option may be."""
        for word in args:
            name = word.partition("=")[0]
            if word == "--":
                return
            if not name.startswith("--") or " " in name:
                continue
            known = [option for option in self._option_string_actions if option.startswith("--")]
            if not any(option.startswith(name) for option in known):
                shown = [
                    option
                    for option in known
                    if self._option_string_actions[option].help != argparse.SUPPRESS
                ]
                meant = did_you_mean(name, shown).rstrip()
                self.error(f"unrecognized arguments: {name}" + (f"; {meant}" if meant else ""))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            meant = did_you_mean(str(value), map(str, action.choices or ())).rstrip()
            error.message += f"; {meant}" if meant else ""
            raise

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            lines = _harmless_lines(message.removesuffix("\n"))
            _write(lines, sys.stdout if file is sys.stdout else sys.stderr)


def _escape(control: re.Match[str]) -> str:
    return f"\\u{ord(control[0]):04x}"


def _defect(kind: type[BaseException], defect: BaseException, trace: TracebackType | None) -> None:
    import traceback

    alert("".join(traceback.format_exception(kind, defect, trace)).removesuffix("\n"))


# Failures to report that wait for the end of the work; None where the first one ends it.
_LOST: ContextVar[list[ReportError] | None] = ContextVar("lost", default=None)


@contextmanager
def to_the_end() -> Iterator[None]:
    """Work within is not stopped by what cannot be reported: ReportError is raised for it at the end.

    A reader who has gone, as `| head` does, is not told so.
    """
    lost = list[ReportError]()
    token = _LOST.set(lost)
    try:
        yield
    except BaseException:
        for failure in lost:
            alert(f"warning: {failure.what}")
        raise
    finally:
        _LOST.reset(token)
    if lost:
        raise lost[0]


@contextmanager
def at_once() -> Iterator[None]:
    """Within, where printing is all of the work, the first failure ends it: ReportError, or BrokenPipeError."""
    token = _LOST.set(None)
    try:
        yield
    finally:
        _LOST.reset(token)


@contextmanager
def reporting(what: str) -> Iterator[None]:
    """Turns a failure to write a report into ReportError; see `to_the_end`."""
    try:
        yield
    except OSError as error:
        _lose(ReportError(f"{what} cannot be written ({error.strerror})"))


class _Nowhere(io.TextIOBase):
    """Takes the place of a stream that cannot be written to, which Python would try again at its exit."""

    def write(self, text: str) -> int:
        return len(text)


def _lose(failure: ReportError) -> None:
    lost = _LOST.get()
    if lost is None:
        raise failure
    lost.append(failure)


def _write(text: str, stream: TextIO | None) -> None:
    """Print on `stream`; what cannot be said on standard error is lost."""
    shown()
    is_error = stream is sys.stderr
    try:
        if stream is None:
            raise OSError(0, "it is closed")
        print(text, file=stream, flush=True)
    except OSError as error:
        if is_error:
            sys.stderr = _Nowhere()
            return
        sys.stdout = _Nowhere()
        if not isinstance(error, BrokenPipeError):
            _lose(ReportError(f"standard output cannot be written ({error.strerror})"))
        elif _LOST.get() is None:
            raise


def _harmless_lines(text: str) -> str:
    return "\n".join(map(harmless, text.split("\n")))


def _annotate(severity: str, message: str) -> None:
    if in_actions():
        # The runner reads commands from both streams.
        stream = sys.stderr if _door.json else sys.stdout
        _write(f"::{severity}::{escaped(_harmless_lines(message))}", stream)
    else:
        alert(f"{severity}: {message}")
