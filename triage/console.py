"""What the program prints: plain lines, and in GitHub Actions lines that the runner never takes for a command.

The runner reads commands from standard output and standard error alike (`::name` at the start of a line,
`##[name]` anywhere), and issue text is hostile: every line with text from outside goes through this module.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO


def in_actions() -> bool:
    """Whether a GitHub Actions runner reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def log(text: str) -> None:
    """Print lines of a result on standard output."""
    _print(text, sys.stdout)


def status(text: str) -> None:
    """Print lines about the progress of the program on standard error."""
    _print(text, sys.stderr)


def notice(message: str) -> None:
    """Annotate the workflow run; outside GitHub Actions, print to standard error."""
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
    """The line, flattened, with zero-width spaces that break up any workflow command."""
    flat = " ".join(line.splitlines())
    return re.sub(r"^(\s*):(?=:)", "\\1:\u200b", flat.replace("##[", "#\u200b#["))


def _print(text: str, stream: TextIO) -> None:
    shown = "\n".join(map(harmless, text.split("\n"))) if in_actions() else text
    print(shown, file=stream, flush=True)


def _annotate(severity: str, message: str) -> None:
    if in_actions():
        print(f"::{severity}::{escaped(message)}", flush=True)
    else:
        print(f"{severity}: {message}", file=sys.stderr, flush=True)
