"""What the commands' options have in common: the syntax of their values, and groups of the same options.

Values are parsed by `type=` functions, which the action's inputs pass through as well. They raise UsageError.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from triage.errors import UsageError
from triage.issue import MOST_ISSUES
from triage.options import CONFIG_PATH, LOCAL, MOST_SHARDS, OTHER_CONFIG_PATH, PER_MINUTE, ConfigSource, When
from triage.patterns import NAME
from triage.schema import parse_time

if TYPE_CHECKING:
    from triage.bundle.store import StoreName

MOST = 10_000_000
MOST_IN_RANGE = 10_000
SECONDS = {"s": 1, "m": 60, "h": 3600}
ENGINE = re.compile(r"local|ray(://(auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}))?")
# https://HOST/OWNER/NAME, with or without scheme and pages below it, or git@HOST:OWNER/NAME.git
ADDRESS = re.compile(
    r"(?:\w+://)?(?:[\w.-]+@)?(?:www\.)?(?P<host>[\w-]+(?:\.[\w-]+)+|localhost)(?::\d+)?[/:]"
    r"(?P<owner>[\w-]+)/(?P<name>[\w.-]+)(?:[/?#].*)?"
)
SHARDS = "write 1/4, 2/4, 3/4 and 4/4"
ISSUES = "N, N,N or A-B"

T = TypeVar("T", bound=Any)
# A parser, or one of its groups.
Parser = argparse._ActionsContainer


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_line: str
) -> argparse.ArgumentParser:
    """Add an action of a command, such as `list` of `triage bundle`."""
    return actions.add_parser(name, help=help_line, description=f"{help_line[:1].upper()}{help_line[1:]}.")


def items(text: str) -> list[str]:
    """The parts of a list, which commas, spaces and new lines separate."""
    return text.replace(",", " ").split()


def issue_numbers(text: str) -> tuple[int, ...]:
    """The numbers in "7", "7,9", "7 9" and "7-12" in any mixture, each once."""
    numbers: list[int] = []
    parts = items(re.sub(r"(?<=\d)\s*-\s*(?=\d)", "-", text))
    for part in parts:
        span = re.fullmatch(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", part)
        if not span:
            raise _not_numbers(text)
        low, high = int(span[1]), int(span[2] or span[1])
        if high > MOST_ISSUES:
            raise UsageError(
                f"{part!r:.60} is not an issue number: GitHub's numbers end at {MOST_ISSUES:,}",
                next_step="write 7, or 7,9, or 7-12",
            )
        if not 1 <= low <= high or high - low >= MOST_IN_RANGE:
            raise UsageError(
                f"{part!r:.60} is not a range of at most {MOST_IN_RANGE:,} issue numbers",
                next_step="write 7-12",
            )
        numbers += range(low, high + 1)
    if not numbers:
        raise _not_numbers(text)
    return tuple(dict.fromkeys(numbers))


def _not_numbers(text: str) -> UsageError:
    return UsageError(f"{text!r:.60} are not issue numbers", next_step="write 7, or 7,9, or 7-12")


def repository(text: str) -> str:
    """OWNER/NAME of the address of a repository's page or clone; anything else as it is.

    Raises UsageError for an address of another server than GITHUB_SERVER_URL.
    """
    parts = ADDRESS.fullmatch(text.strip())
    if not parts:
        if "://" not in text:
            return text
        raise UsageError(f"{text!r:.80} is not the address of a repository", next_step="write OWNER/NAME")
    server = os.environ.get("GITHUB_SERVER_URL", "") or "https://github.com"
    if parts["host"].casefold() not in re.split("[/:]", server.casefold()):
        raise UsageError(
            f"{text!r:.80} is not on {server}",
            likely="GITHUB_SERVER_URL and GITHUB_API_URL name another server",
            next_step="write OWNER/NAME, or set these variables",
        )
    return f"{parts['owner']}/{parts['name'].removesuffix('.git')}"


def source(text: str) -> str:
    """A file as it is, or else as `repository`."""
    return text if text == "-" or Path(text).exists() else repository(text)


def when(text: str) -> When:
    """The moment in "2026-01-31", "36 hours" or "90 days"."""
    text = text.strip()
    if span := re.fullmatch(r"(\d{1,5})\s*(hour|day|week)s?", text):
        return When(text, ago=timedelta(**{f"{span[2]}s": int(span[1])}))
    try:
        return When(text, moment=parse_time(text))
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r:.40} is not a time",
            next_step="write a date such as 2026-01-31, or 36 hours, or 90 days",
        ) from None


def duration(text: str) -> float:
    """The seconds in "90s", "30m" or "2h"."""
    parts = re.fullmatch(r"(\d{1,5})([smh])", text.strip())
    if not parts:
        raise UsageError(f"{text!r:.40} is not a time limit", next_step="write 30m, or 2h")
    return float(int(parts[1]) * SECONDS[parts[2]])


def shard(text: str) -> tuple[int, int]:
    """(i, n) of "i/n"."""
    first, slash, last = text.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and text.isascii() and len(text) < 12):
        raise UsageError(f"{text!r:.20} is not a shard", next_step=SHARDS)
    i, n = int(first), int(last)
    if not 1 <= i <= n <= MOST_SHARDS:
        raise UsageError(f"there is no shard {i} of {n}, or more than {MOST_SHARDS:,}", next_step=SHARDS)
    return i, n


def count(text: str) -> int:
    """A number of things, at least 1."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST:
        raise UsageError(f"{text!r:.20} is not a number from 1 to {MOST:,}")
    return int(text)


def slice_sizes(text: str) -> tuple[int, ...]:
    """The sizes in "8,16,all"; all issues are always the last slice."""
    parts = [part for part in items(text) if part != "all"]
    if any(not re.fullmatch("[0-9]{1,9}", part) or not 2 <= int(part) <= MOST for part in parts):
        raise UsageError(f"{text!r:.60} are not slice sizes", next_step="write 8,16,32, or all")
    return tuple(map(int, parts))


def rate(text: str) -> float:
    """A number of issues per minute, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise UsageError(f"{text!r:.20} is not a number of issues per minute")
    return value


def model_location(text: str) -> tuple[str, str]:
    """(name, location) of "NAME=WHERE"."""
    name, equals, where = text.partition("=")
    if not (name and equals and where):
        raise UsageError(f"--model {text!r:.60} is not of the form NAME=WHERE")
    return name, where


def engine(text: str) -> str:
    """`local`, or the address of a Ray cluster."""
    if not ENGINE.fullmatch(text):
        raise UsageError(
            f"--engine {text!r:.60} is not an engine",
            next_step="write local, ray, ray://auto or ray://HOST:6379",
        )
    return text


def store(text: str) -> StoreName:
    """The store that "FOLDER" or "github:OWNER/NAME" names."""
    from triage.bundle.store import PREFIX, StoreName

    repo = repository(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else ""
    if not text.strip() or "\0" in text:
        raise UsageError(f"{text!r:.80} is not a store", next_step="write a folder, or github:OWNER/NAME")
    if text.startswith(PREFIX) and not NAME.fullmatch(repo):
        raise UsageError(
            f"{repo!r:.80} is not of the form OWNER/NAME", next_step="write github:OWNER/NAME, or a folder"
        )
    if not repo and Path(text).is_file():
        raise UsageError(f"{text} is a file, not a store", next_step="write a folder, or github:OWNER/NAME")
    return StoreName(repo=repo) if repo else StoreName.parse(text)


def build(options: type[T], args: argparse.Namespace, **values: object) -> T:
    """The options, with each field from the argument of the same name; `values` replace and add to them."""
    names = {field.name for field in dataclasses.fields(options)}
    given = {name: value for name, value in vars(args).items() if name in names}
    if "config" in names:
        given["config"] = ConfigSource(args.config, args.config_path)
    given |= values
    built: T = options(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    return built


# Options that several commands have. In a help, `{}` stands for what the command says of it.
SHARED: Mapping[str, Mapping[str, Any]] = {
    "--repo": {"type": repository, "default": "", "metavar": "OWNER/NAME", "help": "{}"},
    "--issue": {
        "dest": "issues",
        "type": issue_numbers,
        "default": (),
        "metavar": "NUMBERS",
        "help": f"these issues: {ISSUES}",
    },
    "--out": {"type": Path, "metavar": "DIR", "help": "folder for {}"},
    "--cache": {
        "type": Path,
        "metavar": "DIR",
        "help": "folder for issues read from GitHub, so that later runs read only changes{}",
    },
    "--engine": {
        "type": engine,
        "default": LOCAL,
        "metavar": "local|ray[://ADDRESS]",
        "help": "where texts are encoded: in this process (local, the default), or by Ray workers on this machine "
        "(ray), in the cluster that this machine has joined (ray://auto), or at ray://HOST:PORT; Ray needs the extra "
        "`ray`",
    },
    "--split": {
        "choices": ("time", "stratified"),
        "help": "how {} (default: by time if at least 60%% of the rows have a date)",
    },
    "--json": {"action": "store_true", "help": "print {} as JSON, and nothing else"},
    "--skip-bad": {"action": "store_true", "help": "skip invalid rows with a warning instead of stopping"},
}


def add(parser: Parser, name: str, what: str = "", **own: Any) -> None:
    """Add an option of SHARED: `what` completes its help, `own` settings are added to the shared ones."""
    settings = {**SHARED[name], **own}
    parser.add_argument(name, **settings | {"help": settings["help"].format(what)})


def add_config(parser: Parser) -> None:
    """`--config` and `--config-path`, which `build` combines."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="local configuration file, instead of the repository's"
    )
    parser.add_argument(
        "--config-path",
        default="",
        metavar="PATH",
        help="configuration on GitHub, which must exist: a path on the repository's default branch, or OWNER/NAME:PATH "
        f"for another repository's (default: {CONFIG_PATH} or {OTHER_CONFIG_PATH}, if there is one)",
    )


def add_store(
    parser: Parser,
    purpose: str = "store of bundles",
    *,
    name: str = "--store",
    required: bool = False,
    default: str = "",
) -> None:
    """`--store` or another option that names a store; `default` explains what is used without it."""
    parser.add_argument(
        name,
        type=store,
        required=required,
        metavar="STORE",
        help=f"{purpose}: a folder, or github:OWNER/NAME{default}",
    )


def add_repo_of_rows(parser: Parser, *, default: str = "", more: str = "") -> None:
    """`--repo-of-rows`, for files; it sets what `--repo` sets."""
    parser.add_argument(
        "--repo-of-rows",
        dest="repo",
        type=repository,
        default=default,
        metavar="OWNER/NAME",
        help=f"with a file: repository of rows that name none{more}",
    )


def add_sources(parser: Parser) -> None:
    """`--from`, `--repo-of-rows` and `--skip-bad`: where labelled issues come from."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        type=source,
        required=True,
        metavar="FILE|OWNER/NAME",
        help="labelled issues: a file of rows, - for standard input, or a repository; OWNER/* means all repositories "
        "of an owner, and !OWNER/NAME excludes one; may be repeated",
    )
    add_repo_of_rows(parser)
    add(parser, "--skip-bad")


def add_writing(parser: Parser, would: str, more: str = "") -> None:
    """`--journal`, `--per-minute` and `--dry-run`, for commands that change many issues."""
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help=f"journal to write (default: next to the input file{more})",
    )
    parser.add_argument(
        "--per-minute",
        type=rate,
        default=PER_MINUTE,
        metavar="N",
        help=f"change at most N issues per minute (default: {PER_MINUTE:.0f})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help=f"show what would be {would}, and change nothing on GitHub"
    )
