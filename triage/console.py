"""The one door for whatever the program prints, on standard output and standard error.

GitHub's runner reads commands from both streams (`::name` at the start of a line, `##[name]` anywhere), terminals obey
control characters, and bidirectional controls reorder what a reader sees. Text from issues, configurations, bundles and
GitHub is hostile, so no line leaves with any of them, wherever the program runs. Only `notice`, `warning` and `error`
write a command of the runner, one line each.

Long work shows its progress: a bar on a terminal, lines in a log, and a sign of life where nothing can be counted.

What cannot be printed or reported does not stop work on GitHub or in a store: it goes on to its end, see `to_the_end`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO, TypeVar

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
    # When something was shown last.
    at: float = 0.0


_door = _Door()


def open_door(*, quiet: bool = False, json: bool = False) -> None:
    """Set what comes out: if `quiet`, no progress and no notices; if `json`, nothing else on standard output."""
    _door.quiet, _door.json = quiet, json


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
    _door.at = time.monotonic()
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


T = TypeVar("T")
# Seconds between two lines of a bar in a log, and after which a stage speaks where none came: no five are silent.
SECONDS_BETWEEN_LINES = 4.0
MOST_SILENT = 4.8
# The time of work that is too short for any line.
AT_ONCE = 1.0
# Seconds after which a stage that must not speak looks again.
SOON = 0.1
# The stages that the program is in, the innermost last.
_stages: list[object] = []


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Say on standard error what goes on, and for how long, whenever nothing else was shown for almost five seconds.

    Of stages within each other the innermost speaks; what was silent before the outermost does not count.
    """
    if _door.quiet:
        yield
        return
    mark, ended = object(), threading.Event()
    if not _stages:
        _door.at = time.monotonic()
    _stages.append(mark)
    threading.Thread(target=_give_signs, args=(title, mark, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        _stages.remove(mark)


def _give_signs(title: str, mark: object, ended: threading.Event) -> None:
    started = time.monotonic()
    while not ended.wait(max(SOON, MOST_SILENT - (time.monotonic() - _door.at))):
        if time.monotonic() - _door.at >= MOST_SILENT and _stages[-1:] == [mark]:
            # To the second: a line that is the same again reads as if nothing moved.
            _between_bars(f"{title}: {_clock(time.monotonic() - started)} so far")


def _clock(seconds: float) -> str:
    return duration(seconds) if seconds < 90 else f"{seconds // 60:.0f}:{seconds % 60:02.0f} minutes"


def _between_bars(text: str) -> None:
    if not sys.stderr.isatty():
        status(text)
        return
    from tqdm import tqdm

    with tqdm.external_write_mode():
        status(text)


def counted(items: Iterable[T], report: Callable[[int], None] | None) -> Iterator[T]:
    """The items, with `report` called with how many there were so far."""
    for done, item in enumerate(items, start=1):
        if report:
            report(done)
        yield item


def bar(title: str, total: int, unit: str = "issues", *, start: int = 0) -> Callable[[int], None]:
    """A function that takes the number done of `total` and shows it on standard error.

    `start` were done by an earlier run and do not count for the speed.
    """
    if _door.quiet:
        return lambda _: None
    if not sys.stderr.isatty():
        return _Lines(title, total, start)
    from tqdm import tqdm

    # tqdm writes to the terminal itself; only the title may hold text from outside.
    shown = tqdm(total=total, initial=start, desc=harmless(title), unit=f" {unit}", leave=True)

    def update(done: int) -> None:
        _door.at = time.monotonic()
        shown.update(done - shown.n)
        if done >= total:
            shown.close()

    return update


class Shared:
    """One progress bar for parts that are processed at the same time."""

    def __init__(self, title: str, total: int) -> None:
        self._report, self._total, self._done = bar(title, total), total, 0
        self._lock = threading.Lock()

    def part(self, _total: int) -> Callable[[int], None]:
        """A function, for any thread, that takes the number done of a part."""
        before = 0

        def report(done: int) -> None:
            nonlocal before
            with self._lock:
                self._done, before = self._done + done - before, done
                # A part may be larger than estimated; only `finish` reports the end.
                self._report(min(self._done, self._total - 1))

        return report

    def finish(self) -> None:
        """Report the end of all parts."""
        self._report(self._total)


def duration(seconds: float) -> str:
    """A rounded duration: 40 s, 12 minutes, 3.5 hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


class _Lines:
    def __init__(self, title: str, total: int, start: int) -> None:
        self.title, self.total, self.start = title, total, start
        self.started = self.said = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        too_soon = now - self.said < SECONDS_BETWEEN_LINES and done < self.total
        if too_soon or now - self.started < AT_ONCE:
            return
        self.said = now
        rate = (done - self.start) / max(1e-6, now - self.started)
        left = (self.total - done) / max(1e-6, rate)
        tail = f", {duration(left)} left" if done < self.total else f" in {duration(now - self.started)}"
        speed = f"{rate:.0f}/s" if rate >= 1 else f"{60 * rate:.2g}/min"
        status(f"{self.title}: {done} of {self.total}, {speed}{tail}")
