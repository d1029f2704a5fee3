"""The one door for whatever the program prints, on standard output and standard error.

GitHub's runner reads commands from both streams (`::name` at the start of a line, `##[name]` anywhere), terminals obey
control characters, and bidirectional controls reorder what a reader sees. Text from issues, configurations, bundles and
GitHub is hostile, so no line leaves with any of them, wherever the program runs. Only `notice`, `warning` and `error`
write a command of the runner, one line each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from triage.errors import did_you_mean

# C0 and C1 controls, separators of lines and paragraphs, bidirectional controls, and halves of surrogate pairs, which
# no encoding can write.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# At the start of each line of a dry run's log.
DRY_RUN = "dry run: "
COMMAND_MARK = re.compile(r"^([\s\u200b\ufeff]*):(?=:)")


@dataclass
class _Door:
    quiet: bool = False
    json: bool = False
    printed: int = 0


_door = _Door()


def open_door(*, quiet: bool = False, json: bool = False) -> None:
    """Set what comes out: if `quiet`, no progress and no notices; if `json`, nothing else on standard output."""
    _door.quiet, _door.json = quiet, json


def is_quiet() -> bool:
    """Whether progress and notices are left out."""
    return _door.quiet


def printed() -> int:
    """How many times something was printed."""
    return _door.printed


def shown() -> None:
    """Count something that a bar has shown, or will show soon, as printed."""
    _door.printed += 1


def in_actions() -> bool:
    """Whether a GitHub Actions runner reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def log(text: str) -> None:
    """Print lines of a result on standard output; as those of `status` where that is for JSON alone."""
    if _door.json:
        status(text)
    else:
        _print(text, sys.stdout)


def log_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON on standard output, on one line without `indent`."""
    _door.printed += 1
    print(harmless_json(json.dumps(value, ensure_ascii=False, indent=indent)), flush=True)


def status(text: str) -> None:
    """Print lines about the progress of the program on standard error, unless it is quiet."""
    if not _door.quiet:
        alert(text)


def alert(text: str) -> None:
    """Print lines on standard error that must be read."""
    _print(text, sys.stderr)


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
            _print(message.removesuffix("\n"), sys.stdout if file is sys.stdout else sys.stderr)


def _escape(control: re.Match[str]) -> str:
    return f"\\u{ord(control[0]):04x}"


def _defect(kind: type[BaseException], defect: BaseException, trace: TracebackType | None) -> None:
    alert("".join(traceback.format_exception(kind, defect, trace)).removesuffix("\n"))


def _print(text: str, stream: TextIO) -> None:
    _door.printed += 1
    print("\n".join(map(harmless, text.split("\n"))), file=stream, flush=True)


def _annotate(severity: str, message: str) -> None:
    if in_actions():
        shown = "\n".join(map(harmless, message.split("\n")))
        # The runner reads commands from both streams.
        print(f"::{severity}::{escaped(shown)}", file=sys.stderr if _door.json else sys.stdout, flush=True)
    else:
        alert(f"{severity}: {message}")
